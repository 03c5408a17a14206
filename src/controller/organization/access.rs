//! Where an Organization's API is and who signs in, or what its status says instead.

use amigo_api::{OrganizationSpec, reasons};
use amigo_client::{AddressError, Credentials};
use amigo_lifecycle::{Failure, RetryClass};
use http::Uri;
use k8s_openapi::api::core::v1::Secret;

use crate::controller::settings::Settings;

/// The API's address, if the operator allows it.
///
/// # Errors
/// When the URL has another scheme than https (or http, where allowed) or a host that is not on the allow-list.
pub fn address(spec: &OrganizationSpec, settings: &Settings) -> Result<Uri, Failure> {
    let refuse = |error: AddressError| {
        let remedy = error.remedy("the operator's flag").map(|remedy| format!("; {remedy}")).unwrap_or_default();
        Failure::new(reasons::API_URL_NOT_ALLOWED, RetryClass::Persistent, format!("{error}{remedy}"))
    };
    amigo_client::address(&spec.api_url, &settings.allowed_hosts, settings.allow_plain_http).map_err(refuse)
}

/// The credentials in a Secret.
///
/// # Errors
/// When the Secret is missing or incomplete; the message names the Secret and the key, never a value.
pub fn credentials(secret: Option<&Secret>, name: &str, namespace: &str) -> Result<Credentials, Failure> {
    let Some(secret) = secret else {
        let message =
            format!("Secret {namespace}/{name} does not exist: create it with the keys apiKey, apiKeyId and userId");
        return Err(Failure::new(reasons::SECRET_NOT_FOUND, RetryClass::Persistent, message));
    };
    Credentials::from_values(|key| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice())).map_err(|unusable| {
        let message = format!("Secret {namespace}/{name} {unusable}");
        Failure::new(reasons::SECRET_INCOMPLETE, RetryClass::Persistent, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_names_the_operators_flag() {
        let settings = Settings::new("amigo-system", "me");
        for (url, flag) in
            [("http://api.amigo.ai", "--allow-plain-http"), ("https://evil.example", "--allowed-api-host")]
        {
            let spec = OrganizationSpec { api_url: url.to_owned(), ..OrganizationSpec::default() };
            let refusal = address(&spec, &settings).unwrap_err();
            assert_eq!(refusal.reason, reasons::API_URL_NOT_ALLOWED);
            assert!(refusal.message.contains(url) && refusal.message.contains(flag), "{}", refusal.message);
        }
    }

    #[test]
    fn an_incomplete_secret_is_named() {
        let failure = credentials(Some(&Secret::default()), "acme", "amigo-system").unwrap_err();
        assert_eq!(failure.reason, reasons::SECRET_INCOMPLETE);
        assert!(failure.message.contains("Secret amigo-system/acme") && failure.message.contains("apiKey"));
    }
}
