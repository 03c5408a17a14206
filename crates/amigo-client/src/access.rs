//! Where an organization's API may be and who signs in: checked before anything is sent.

use http::Uri;
use secrecy::SecretString;

use super::Credentials;

/// The API hosts the Amigo documentation names; keys are sent nowhere else unless allowed.
pub const DOCUMENTED_HOSTS: [&str; 5] = [
    "api.amigo.ai",
    "api-ca-central-1.amigo.ai",
    "api-eu-central-1.amigo.ai",
    "api-ap-southeast-2.amigo.ai",
    "internal-api.amigo.ai",
];

/// Why no key is sent to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read.
    #[error("apiUrl {0} is not a URL")]
    NotUrl(String),
    /// It is not https, or http where that is allowed.
    #[error("apiUrl {0} must begin with https://")]
    NotHttps(String),
    /// Its host is not on the list.
    #[error("the host of apiUrl {0} is not allowed")]
    Host(String),
}

impl AddressError {
    /// What the flag that allows the address does, if there is one; `whose` has the flag.
    #[must_use]
    pub fn remedy(&self, whose: &str) -> Option<String> {
        match self {
            Self::NotUrl(_) => None,
            Self::NotHttps(_) => Some(format!("{whose} --allow-plain-http permits http")),
            Self::Host(_) => Some(format!("{whose} --allowed-api-host names those that are")),
        }
    }
}

/// The API's base address, if a key may be sent there.
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

/// A key of a Secret that has no usable value. It never tells the value.
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
    /// When one is missing or cannot be sent.
    pub fn read<'a>(value: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, UnusableKey> {
        let text = |key: &'static str| {
            let text = value(key).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim);
            // A header cannot carry anything else, and no error may print what was there instead.
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
    fn documented_hosts_are_allowed_over_https_only() {
        assert!(address("https://api.amigo.ai", &DOCUMENTED_HOSTS, false).is_ok());
        assert!(address("https://API-EU-CENTRAL-1.amigo.ai/", &DOCUMENTED_HOSTS, false).is_ok());
        for refused in
            ["http://api.amigo.ai", "https://evil.example", "https://10.0.0.1", "https://api.amigo.ai.evil.example", ""]
        {
            assert!(address(refused, &DOCUMENTED_HOSTS, false).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_user_in_the_address_is_no_host() {
        for tricky in ["https://api.amigo.ai@evil.example", "https://api.amigo.ai:443@evil.example/"] {
            assert!(address(tricky, &DOCUMENTED_HOSTS, false).is_err(), "{tricky}");
        }
    }

    #[test]
    fn a_private_host_needs_both_permissions() {
        let url = "http://127.0.0.1:8090";
        let not_allowed = address(url, &DOCUMENTED_HOSTS, true).unwrap_err();
        assert_eq!(not_allowed, AddressError::Host(url.to_owned()));
        assert_eq!(address(url, &["127.0.0.1"], false).unwrap_err(), AddressError::NotHttps(url.to_owned()));
        assert!(address(url, &["127.0.0.1"], true).is_ok());
    }

    fn read(values: &[(&str, &'static str)]) -> Result<Credentials, UnusableKey> {
        Credentials::read(|key| values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_bytes()))
    }

    #[test]
    fn a_missing_key_is_named_and_no_value_is() {
        let unusable = read(&[("apiKey", "hush"), ("apiKeyId", "id")]).unwrap_err().to_string();
        assert!(unusable.contains("userId") && !unusable.contains("hush"), "{unusable}");
        let unusable = read(&[("apiKey", "hush\u{e9}"), ("apiKeyId", "id"), ("userId", "user")]).unwrap_err();
        assert_eq!(unusable, UnusableKey("apiKey"));
    }

    #[test]
    fn line_ends_around_values_are_no_part_of_them() {
        let credentials = read(&[("apiKey", "hush\n"), ("apiKeyId", "id\n"), ("userId", " user ")]).unwrap();
        assert_eq!(credentials.user_id, "user");
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}
