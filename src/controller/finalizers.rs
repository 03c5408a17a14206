//! Finalizers that Role and `RoleAssignment` share.

use std::{fmt::Debug, sync::Arc};

use amigo_lifecycle::Failure;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::context::{Context, ReconcileError, Reconciled};
use crate::telemetry::labels::Verb;

/// Whether the object carries the finalizer.
pub fn has<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|one| one == finalizer)
}

/// Whether somebody set the annotation that lets the object go as it is.
pub fn has_skip_annotation<K: Resource>(object: &K, annotation: &str) -> bool {
    object.annotations().get(annotation).is_some_and(|value| value == "true")
}

/// The object with the finalizer if it is wanted, and without it if not.
///
/// # Errors
/// Those of the Kubernetes API.
pub async fn ensure_finalizer<K>(
    object: Arc<K>,
    (finalizer, wanted): (&str, bool),
    context: &Context,
) -> Result<Arc<K>, ReconcileError>
where
    K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    if has(&*object, finalizer) == wanted {
        return Ok(object);
    }
    set(&*object, (finalizer, wanted), context).await.map(Arc::new)
}

/// Puts the finalizer on, or takes it off.
///
/// # Errors
/// Those of the Kubernetes API.
pub async fn set<K>(object: &K, (finalizer, wanted): (&str, bool), context: &Context) -> Result<K, ReconcileError>
where
    K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|one| one != finalizer);
    if wanted {
        finalizers.push(finalizer.to_owned());
    }
    let metadata = json!({ "finalizers": finalizers, "resourceVersion": object.resource_version() });
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    context.metrics.kubernetes_written(K::KIND, Verb::Patch);
    let patched = context.api_of(object).patch(&object.name_any(), &PatchParams::default(), &patch).await;
    patched.map_err(|source| ReconcileError::kubernetes("set the finalizer of", object, source))
}

/// The failure that holds an object back, with the way out.
pub fn cleanup_blocked(what: &str, annotation: &str, failure: &Failure) -> Failure {
    let message = format!("{what}: {}; annotation {annotation}=true lets the object go as it is", failure.message);
    Failure { message, ..failure.clone() }
}
