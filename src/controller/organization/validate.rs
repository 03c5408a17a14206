//! Checks an Organization and its Secret before any request to Amigo.

use std::sync::Arc;

use amigo_api::{Organization, OrganizationSpec, reasons};
use amigo_client::{AddressError, Credentials};
use amigo_lifecycle::{Failure, RetryClass};
use http::Uri;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use crate::controller::{
    connection::{Parts, api_endpoint::ApiEndpoint},
    context::Context,
    ownership::older_owner,
    settings::Settings,
};

/// The parts of the connection. If the Secret cannot be read, the previous credentials remain in use.
pub fn validate(organization: &Organization, secret: Result<&Option<Secret>, &Failure>, context: &Context) -> Parts {
    let (name, uid) = (organization.name_any(), organization.uid().unwrap_or_default());
    let secret_name = &organization.spec.credentials_secret_ref.name;
    let access = exclusive(organization, context).and_then(|()| {
        let address = address(&organization.spec, &context.settings)?;
        let credentials = match secret {
            Ok(secret) => credentials(secret.as_ref(), secret_name, &context.settings.namespace)?,
            Err(unreadable) => {
                let connection = context.connections.get(&name);
                let previous = connection.and_then(|connection| connection.credentials_for(&uid, secret_name));
                previous.ok_or_else(|| unreadable.clone())?
            }
        };
        Ok((address, credentials))
    });
    Parts { name, uid, spec: Arc::new(organization.spec.clone()), access }
}

/// Rate limits belong to the remote organization: two objects for one organization would exceed them.
///
/// # Errors
/// If an older Organization connects the same remote organization.
fn exclusive(organization: &Organization, context: &Context) -> Result<(), Failure> {
    let Some(endpoint) = ApiEndpoint::from_spec(&organization.spec) else { return Ok(()) };
    let organizations = context.stores.organizations.state();
    let is_rival = |rival: &&Organization| ApiEndpoint::from_spec(&rival.spec).as_ref() == Some(&endpoint);
    let rivals = organizations.iter().map(AsRef::as_ref).filter(is_rival);
    let Some(owner) = older_owner(organization, rivals) else { return Ok(()) };
    let message = format!(
        "the older Organization {} already connects organization {}: use it, and add your namespaces to its \
         spec.allowedNamespaces",
        owner.name_any(),
        organization.spec.organization
    );
    Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
}

/// # Errors
/// If the URL has a scheme or a host that the operator does not allow.
fn address(spec: &OrganizationSpec, settings: &Settings) -> Result<Uri, Failure> {
    let failure = |error: AddressError| {
        let remedy = error.remedy("the operator's flag").map(|remedy| format!("; {remedy}")).unwrap_or_default();
        Failure::new(reasons::API_URL_NOT_ALLOWED, RetryClass::Persistent, format!("{error}{remedy}"))
    };
    amigo_client::address(&spec.api_url, &settings.allowed_hosts).map_err(failure)
}

/// # Errors
/// If the Secret is missing or incomplete. The message names the Secret and the key, but no value.
fn credentials(secret: Option<&Secret>, name: &str, namespace: &str) -> Result<Credentials, Failure> {
    let Some(secret) = secret else {
        let message =
            format!("Secret {namespace}/{name} does not exist: create it with the keys apiKey, apiKeyId and userId");
        return Err(Failure::new(reasons::SECRET_NOT_FOUND, RetryClass::Persistent, message));
    };
    Credentials::from_values(|key| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice())).map_err(|error| {
        let message = format!("Secret {namespace}/{name} {error}");
        Failure::new(reasons::SECRET_INCOMPLETE, RetryClass::Persistent, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disallowed_url_names_the_flag() {
        let settings = Settings::new("amigo-system", "me");
        for (url, flag) in
            [("http://api.amigo.ai", "must start with https://"), ("https://evil.example", "--allowed-api-host")]
        {
            let spec = OrganizationSpec { api_url: url.to_owned(), ..OrganizationSpec::default() };
            let failure = address(&spec, &settings).unwrap_err();
            assert_eq!(failure.reason, reasons::API_URL_NOT_ALLOWED);
            assert!(failure.message.contains(url) && failure.message.contains(flag), "{}", failure.message);
        }
    }

    #[test]
    fn incomplete_secret_is_named() {
        let failure = credentials(Some(&Secret::default()), "acme", "amigo-system").unwrap_err();
        assert_eq!(failure.reason, reasons::SECRET_INCOMPLETE);
        assert!(failure.message.contains("Secret amigo-system/acme") && failure.message.contains("apiKey"));
    }
}
