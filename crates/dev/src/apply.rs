//! Server-side apply of YAML manifests, for the tour and the tests.

use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{Scope, oneshot},
};

/// A failure to apply a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("cannot parse the manifest: {0}")]
    InvalidManifest(String),
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
}

/// Applies every document of `yaml`. `namespace` is the default namespace.
///
/// # Errors
/// At the first document that is invalid or that the API server rejects.
pub async fn apply(
    client: &Client,
    namespace: &str,
    manager: &str,
    yaml: &str,
) -> Result<Vec<DynamicObject>, ApplyError> {
    let objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple(yaml).map_err(|error| ApplyError::InvalidManifest(error.to_string()))?;
    let mut applied = Vec::with_capacity(objects.len());
    for object in objects {
        applied.push(apply_object(client, namespace, manager, &object).await?);
    }
    Ok(applied)
}

async fn apply_object(
    client: &Client,
    namespace: &str,
    manager: &str,
    object: &DynamicObject,
) -> Result<DynamicObject, ApplyError> {
    let invalid = |what: &str| ApplyError::InvalidManifest(format!("{}: {what}", object.name_any()));
    let types = object.types.as_ref().ok_or_else(|| invalid("apiVersion and kind are missing"))?;
    let kind = GroupVersionKind::try_from(types).map_err(|error| invalid(&error.to_string()))?;
    let (resource, capabilities) = oneshot::pinned_kind(client, &kind).await?;
    let object_namespace = object.namespace();
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            Api::namespaced_with(client.clone(), object_namespace.as_deref().unwrap_or(namespace), &resource)
        }
    };
    Ok(api.patch(&object.name_any(), &PatchParams::apply(manager).force(), &Patch::Apply(object)).await?)
}
