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
    /// Neither https, nor http to a host that could be allowed.
    #[error("apiUrl {0} must start with https://")]
    NotHttps(String),
    /// The list has the host, for https.
    #[error("apiUrl {0} would send the API key unencrypted")]
    PlainHttp(String),
    /// The host is not in the list.
    #[error("the host of apiUrl {0} is not allowed")]
    Host(String),
}

impl AddressError {
    /// The flag that allows the address, if there is one; `flag` says whose flag.
    #[must_use]
    pub fn remedy(&self, flag: &str) -> Option<String> {
        match self {
            Self::NotUrl(_) | Self::NotHttps(_) => None,
            Self::PlainHttp(url) => Some(format!("to allow it, set {flag} --allowed-api-host={url}")),
            Self::Host(_) => Some(format!("to allow it, set {flag} --allowed-api-host")),
        }
    }
}

/// The base URL of the API, if the client may send a key there.
///
/// An allowed host is a name, which means https, or has a scheme, and a port if only this port is allowed:
/// `http://127.0.0.1:8090`. No entry allows http for the [`DOCUMENTED_HOSTS`].
///
/// # Errors
/// When the URL is not of an allowed host.
pub fn address(api_url: &str, allowed_hosts: &[impl AsRef<str>]) -> Result<Uri, AddressError> {
    let url = api_url.trim_end_matches('/');
    let Ok(uri) = url.parse::<Uri>() else { return Err(AddressError::NotUrl(url.to_owned())) };
    let host = uri.host().unwrap_or_default();
    let is_documented = DOCUMENTED_HOSTS.iter().any(|documented| documented.eq_ignore_ascii_case(host));
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if !is_documented => {}
        _ => return Err(AddressError::NotHttps(url.to_owned())),
    }
    let entries = || allowed_hosts.iter().map(AsRef::as_ref);
    if entries().any(|entry| allows(entry, &uri)) {
        Ok(uri)
    } else if entries().any(|entry| entry.eq_ignore_ascii_case(host)) {
        Err(AddressError::PlainHttp(url.to_owned()))
    } else {
        Err(AddressError::Host(url.to_owned()))
    }
}

fn allows(entry: &str, uri: &Uri) -> bool {
    let entry = entry.trim_end_matches('/');
    let forms = if entry.contains("://") {
        [entry.to_owned(), String::new()]
    } else {
        // An IPv6 address has brackets in a URL.
        [format!("https://{entry}"), format!("https://[{entry}]")]
    };
    let Some(allowed) = forms.iter().find_map(|form| form.parse::<Uri>().ok()) else { return false };
    let same_host = match (allowed.host(), uri.host()) {
        (Some(allowed), Some(host)) => allowed.eq_ignore_ascii_case(host),
        _ => false,
    };
    same_host && allowed.scheme() == uri.scheme() && allowed.port_u16().is_none_or(|port| port == effective_port(uri))
}

fn effective_port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
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
        assert!(address("https://api.amigo.ai", &DOCUMENTED_HOSTS).is_ok());
        assert!(address("https://API-EU-CENTRAL-1.amigo.ai/", &DOCUMENTED_HOSTS).is_ok());
        let forced = address("http://API.amigo.ai", &["http://api.amigo.ai"]);
        assert_eq!(forced.unwrap_err().remedy("the"), None, "no entry allows http for a documented host");
        for rejected in
            ["http://api.amigo.ai", "https://evil.example", "https://10.0.0.1", "https://api.amigo.ai.evil.example", ""]
        {
            assert!(address(rejected, &DOCUMENTED_HOSTS).is_err(), "{rejected}");
        }
    }

    #[test]
    fn user_in_address_is_not_the_host() {
        for tricky in ["https://api.amigo.ai@evil.example", "https://api.amigo.ai:443@evil.example/"] {
            assert!(address(tricky, &DOCUMENTED_HOSTS).is_err(), "{tricky}");
        }
    }

    #[test]
    fn forty_hostile_addresses_are_refused() {
        let hostile = [
            "",
            " ",
            "api.amigo.ai",
            "//api.amigo.ai",
            "/api.amigo.ai",
            "http://api.amigo.ai",
            "HTTP://api.amigo.ai",
            "http://api.amigo.ai:443",
            "ftp://api.amigo.ai",
            "file:///etc/passwd",
            "file://api.amigo.ai/etc/passwd",
            "javascript:alert(1)",
            "gopher://api.amigo.ai",
            "https:",
            "https://",
            "https:///api.amigo.ai",
            "https://api.amigo.ai.evil.example",
            "https://evil.example/api.amigo.ai",
            "https://evil.example?https://api.amigo.ai",
            "https://evil.example#https://api.amigo.ai",
            "https://evil.example/https://api.amigo.ai",
            "https://api.amigo.ai@evil.example",
            "https://api.amigo.ai:443@evil.example",
            "https://api.amigo.ai%40evil.example",
            "https://api.amigo.ai%2eevil.example",
            "https://evil.example\\@api.amigo.ai",
            "https://api.amigo.ai\\.evil.example",
            "https://xapi.amigo.ai",
            "https://api-amigo.ai",
            "https://amigo.ai",
            "https://127.0.0.1",
            "https://[::1]",
            "https://[::ffff:169.254.169.254]",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433",
            "https://localhost",
            "https://kubernetes.default.svc",
            "https://api.am\u{456}go.ai",
            "https://api.amigo.ai\n.evil.example",
            "https://api.amigo.ai\u{200b}",
            "https://api.amigo.ai evil.example",
        ];
        assert!(hostile.len() >= 40);
        for url in hostile {
            assert!(address(url, &DOCUMENTED_HOSTS).is_err(), "{url:?}");
        }
    }

    #[test]
    fn http_needs_an_entry_with_the_scheme() {
        let url = "http://127.0.0.1:8090";
        assert_eq!(address(url, &DOCUMENTED_HOSTS).unwrap_err(), AddressError::Host(url.to_owned()));
        let plain = address(url, &["127.0.0.1"]).unwrap_err();
        assert!(plain.remedy("the").unwrap().ends_with("--allowed-api-host=http://127.0.0.1:8090"));
        for entry in ["http://127.0.0.1", "http://127.0.0.1:8090/"] {
            assert!(address(url, &[entry]).is_ok(), "{entry}");
        }
        for entry in ["http://127.0.0.1:80", "https://127.0.0.1:8090", "ftp://127.0.0.1", "http://"] {
            assert!(address(url, &[entry]).is_err(), "{entry}");
        }
        assert!(address("https://gateway:8443", &["gateway"]).is_ok());
        assert!(address("https://[fd00::1]", &["fd00::1"]).is_ok());
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
