//! Finalizers that Role and `RoleAssignment` share.

use std::{fmt::Debug, sync::Arc};

use amigo_api::Stored;
use amigo_lifecycle::Failure;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    context::{Context, ReconcileError, Reconciled},
    unreadable::readable_or_last,
};
use crate::telemetry::labels::Verb;

/// A finalizer, and whether the object must have it.
#[derive(Clone, Copy)]
pub struct Finalizer {
    pub name: &'static str,
    pub wanted: bool,
}

/// Whether the object has the finalizer.
pub fn has<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|one| one == finalizer)
}

/// Whether a user set the annotation that skips the cleanup.
pub fn has_skip_annotation<K: Resource>(object: &K, annotation: &str) -> bool {
    object.annotations().get(annotation).is_some_and(|value| value == "true")
}

/// Adds or removes the finalizer, if the object differs.
///
/// # Errors
/// Errors of the Kubernetes API.
pub async fn ensure_finalizer<K>(
    object: Arc<K>,
    finalizer: Finalizer,
    context: &Context,
) -> Result<Arc<K>, ReconcileError>
where
    K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    if has(&*object, finalizer.name) == finalizer.wanted {
        return Ok(object);
    }
    set(&*object, finalizer, context).await.map(Arc::new)
}

/// Adds or removes the finalizer.
///
/// # Errors
/// Errors of the Kubernetes API.
pub async fn set<K>(object: &K, finalizer: Finalizer, context: &Context) -> Result<K, ReconcileError>
where
    K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|one| one != finalizer.name);
    if finalizer.wanted {
        finalizers.push(finalizer.name.to_owned());
    }
    let metadata = json!({ "finalizers": finalizers, "resourceVersion": object.resource_version() });
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    context.metrics.kubernetes_written(K::KIND, Verb::Patch);
    let api: Api<Stored<K>> = Api::namespaced(context.client_no_retry.clone(), &object.namespace().unwrap_or_default());
    let patched = api.patch(&object.name_any(), &PatchParams::default(), &patch).await;
    let patched = patched.map_err(|source| ReconcileError::kubernetes("set the finalizer of", object, source))?;
    // An edit to an unreadable spec does not stop the cleanup that the last readable spec asks for.
    Ok(readable_or_last(patched, object))
}

/// The failure that blocks the deletion, with the remedy.
pub fn cleanup_blocked(what: &str, annotation: &str, failure: &Failure) -> Failure {
    let message = format!("{what}: {}. To delete the object anyway, set annotation {annotation}=true", failure.message);
    Failure { message, ..failure.clone() }
}
