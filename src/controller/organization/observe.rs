//! Reads the Secret of an Organization.

use amigo_api::{Organization, reasons};
use amigo_lifecycle::{Failure, RetryClass};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};

use crate::controller::context::{Context, is_status};

/// The Secret, or `None` if it does not exist.
///
/// # Errors
/// If the operator cannot read it.
pub async fn observe(organization: &Organization, context: &Context) -> Result<Option<Secret>, Failure> {
    let namespace = &context.settings.namespace;
    let secrets: Api<Secret> = Api::namespaced(context.client_no_retry.clone(), namespace);
    let name = &organization.spec.credentials_secret_ref.name;
    secrets.get_opt(name).await.map_err(|error| {
        tracing::warn!(%error, secret = name, organization = organization.name_any(), "cannot read a Secret");
        let (class, remedy) = if is_status(&error, 403) {
            (RetryClass::Persistent, "allow the operator's ServiceAccount to get it")
        } else {
            (RetryClass::Transient, "the operator retries")
        };
        let message = format!("cannot read Secret {namespace}/{name}: {error}; {remedy}");
        Failure::new(reasons::SECRET_UNREADABLE, class, message)
    })
}
