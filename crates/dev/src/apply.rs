//! What `kubectl apply --server-side -f` does, for the tour and the tests.

use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{Scope, oneshot},
};

/// Why a manifest could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It is not YAML, or not objects.
    #[error("cannot read the manifest: {0}")]
    Unreadable(String),
    /// The API server refused it, or was not there.
    #[error(transparent)]
    Refused(#[from] kube::Error),
}

/// Applies every document of `yaml`; objects that name no namespace go to `namespace`.
///
/// # Errors
/// At the first document that cannot be read or is refused.
pub async fn apply(
    client: &Client,
    namespace: &str,
    manager: &str,
    yaml: &str,
) -> Result<Vec<DynamicObject>, ApplyError> {
    let objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple(yaml).map_err(|error| ApplyError::Unreadable(error.to_string()))?;
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
    let unreadable = |what: &str| ApplyError::Unreadable(format!("{}: {what}", object.name_any()));
    let types = object.types.as_ref().ok_or_else(|| unreadable("no apiVersion and kind"))?;
    let kind = GroupVersionKind::try_from(types).map_err(|error| unreadable(&error.to_string()))?;
    let (resource, capabilities) = oneshot::pinned_kind(client, &kind).await?;
    let own = object.namespace();
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), own.as_deref().unwrap_or(namespace), &resource),
    };
    Ok(api.patch(&object.name_any(), &PatchParams::apply(manager).force(), &Patch::Apply(object)).await?)
}
