//! Which remote organization an address and an ID name.

use amigo_api::{OrganizationSpec, console};
use amigo_client::ApiAddress;
use http::Uri;

/// A remote organization on a server, with a normalized address.
///
/// Statuses record both parts. An ID or a record of another endpoint says nothing about this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiEndpoint {
    /// Scheme, host and port, without the default port: `https://api.amigo.ai`.
    pub origin: String,
    /// The organization's ID in paths.
    pub organization: String,
}

impl ApiEndpoint {
    /// `None` if the address is no URL.
    #[must_use]
    pub fn from_spec(spec: &OrganizationSpec) -> Option<Self> {
        Some(Self::new(&spec.api_url.trim_end_matches('/').parse().ok()?, &spec.organization))
    }

    #[must_use]
    pub fn new(address: &Uri, organization: &str) -> Self {
        let scheme = address.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let authority = console::normal_authority(address);
        Self { origin: format!("{scheme}://{authority}"), organization: organization.to_owned() }
    }

    /// Whether a status describes this endpoint.
    #[must_use]
    pub fn is_recorded(&self, organization: Option<&String>, origin: Option<&String>) -> bool {
        organization == Some(&self.organization) && origin == Some(&self.origin)
    }
}

impl From<&ApiAddress> for ApiEndpoint {
    fn from(address: &ApiAddress) -> Self {
        Self::new(&address.base_url, &address.organization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> ApiEndpoint {
        let spec = OrganizationSpec { api_url: url.to_owned(), organization: "acme".to_owned(), ..Default::default() };
        ApiEndpoint::from_spec(&spec).unwrap()
    }

    #[test]
    fn spellings_of_one_endpoint_are_equal() {
        for same in ["https://API.amigo.ai/", "https://api.amigo.ai:443", "https://api.amigo.ai.:443/"] {
            assert_eq!(endpoint(same), endpoint("https://api.amigo.ai"), "{same}");
        }
        assert_eq!(endpoint("http://[::1]:80"), endpoint("http://[0:0:0:0:0:0:0:1]"));
        for other in ["http://api.amigo.ai", "https://api.amigo.ai:8443", "https://api-eu-central-1.amigo.ai"] {
            assert_ne!(endpoint(other), endpoint("https://api.amigo.ai"), "{other}");
        }
    }

    #[test]
    fn status_of_another_origin_describes_nothing() {
        let here = endpoint("https://api.amigo.ai:443/");
        let recorded = |origin: &str| here.is_recorded(Some(&"acme".to_owned()), Some(&origin.to_owned()));
        assert!(recorded("https://api.amigo.ai"));
        assert!(!recorded("https://api-eu-central-1.amigo.ai") && !recorded("http://api.amigo.ai"));
        assert!(!here.is_recorded(Some(&"acme".to_owned()), None), "a status of an older CRD");
    }
}
