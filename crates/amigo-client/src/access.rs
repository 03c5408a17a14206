//! Checks the API's address and the credentials before the client sends anything.

use http::Uri;
use secrecy::SecretString;

use super::Credentials;

/// The API hosts in the Amigo documentation. The client sends keys to other hosts only if they are allowed.
pub const DOCUMENTED_HOSTS: [&str; 5] = [
    "api.amigo.ai",
    "api-ca-central-1.amigo.ai",
    "api-eu-central-1.amigo.ai",
    "api-ap-southeast-2.amigo.ai",
    "internal-api.amigo.ai",
];

/// Why the client sends no key to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("apiUrl {0} is not a URL")]
    NotUrl(String),
    /// Neither https, nor http where that is allowed.
    #[error("apiUrl {0} must start with https://")]
    NotHttps(String),
    /// The host is not in the list.
    #[error("the host of apiUrl {0} is not allowed")]
    Host(String),
}

impl AddressError {
    /// The flag that allows the address, if there is one; `flag` says whose flag.
    #[must_use]
    pub fn remedy(&self, flag: &str) -> Option<String> {
        match self {
            Self::NotUrl(_) => None,
            Self::NotHttps(_) => Some(format!("to allow http, set {flag} --allow-plain-http")),
            Self::Host(_) => Some(format!("to allow it, set {flag} --allowed-api-host")),
        }
    }
}

/// The base URL of the API, if the client may send a key there.
///
/// # Errors
/// When the URL has another scheme than https (or http, where allowed) or a host that is not allowed.
pub fn address(api_url: &str, allowed_hosts: &[impl AsRef<str>], allow_plain_http: bool) -> Result<Uri, AddressError> {
    let url = api_url.trim_end_matches('/');
    let Ok(uri) = url.parse::<Uri>() else { return Err(AddressError::NotUrl(url.to_owned())) };
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if allow_plain_http => {}
        _ => return Err(AddressError::NotHttps(url.to_owned())),
    }
    let host = uri.host().unwrap_or_default();
    if allowed_hosts.iter().any(|allowed| allowed.as_ref().eq_ignore_ascii_case(host)) {
        Ok(uri)
    } else {
        Err(AddressError::Host(url.to_owned()))
    }
}

/// A key of a Secret without a usable value. It never contains the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has no usable value for key {0}: set apiKey, apiKeyId and userId to plain text")]
pub struct UnusableKey(
    /// The key.
    pub &'static str,
);

impl Credentials {
    /// The credentials in the values of a Secret: `apiKey`, `apiKeyId` and `userId`.
    ///
    /// # Errors
    /// When one is missing or is not a valid header value.
    pub fn from_values<'a>(value: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, UnusableKey> {
        let text = |key: &'static str| {
            let text = value(key).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim);
            // No other text is a valid header value, and no error may print it.
            let fits = |text: &&str| !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic());
            text.filter(fits).map(str::to_owned).ok_or(UnusableKey(key))
        };
        Ok(Self {
            api_key: SecretString::from(text("apiKey")?),
            api_key_id: text("apiKeyId")?,
            user_id: text("userId")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_hosts_need_https() {
        assert!(address("https://api.amigo.ai", &DOCUMENTED_HOSTS, false).is_ok());
        assert!(address("https://API-EU-CENTRAL-1.amigo.ai/", &DOCUMENTED_HOSTS, false).is_ok());
        for rejected in
            ["http://api.amigo.ai", "https://evil.example", "https://10.0.0.1", "https://api.amigo.ai.evil.example", ""]
        {
            assert!(address(rejected, &DOCUMENTED_HOSTS, false).is_err(), "{rejected}");
        }
    }

    #[test]
    fn user_in_address_is_not_the_host() {
        for tricky in ["https://api.amigo.ai@evil.example", "https://api.amigo.ai:443@evil.example/"] {
            assert!(address(tricky, &DOCUMENTED_HOSTS, false).is_err(), "{tricky}");
        }
    }

    #[test]
    fn private_http_host_needs_both_permissions() {
        let url = "http://127.0.0.1:8090";
        let not_allowed = address(url, &DOCUMENTED_HOSTS, true).unwrap_err();
        assert_eq!(not_allowed, AddressError::Host(url.to_owned()));
        assert_eq!(address(url, &["127.0.0.1"], false).unwrap_err(), AddressError::NotHttps(url.to_owned()));
        assert!(address(url, &["127.0.0.1"], true).is_ok());
    }

    fn read(values: &[(&str, &'static str)]) -> Result<Credentials, UnusableKey> {
        Credentials::from_values(|key| values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_bytes()))
    }

    #[test]
    fn missing_key_error_names_key_not_value() {
        let unusable = read(&[("apiKey", "hush"), ("apiKeyId", "id")]).unwrap_err().to_string();
        assert!(unusable.contains("userId") && !unusable.contains("hush"), "{unusable}");
        let unusable = read(&[("apiKey", "hush\u{e9}"), ("apiKeyId", "id"), ("userId", "user")]).unwrap_err();
        assert_eq!(unusable, UnusableKey("apiKey"));
    }

    #[test]
    fn values_are_trimmed() {
        let credentials = read(&[("apiKey", "hush\n"), ("apiKeyId", "id\n"), ("userId", " user ")]).unwrap();
        assert_eq!(credentials.user_id, "user");
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}
