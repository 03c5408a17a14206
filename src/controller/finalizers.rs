//! Finalizers that Role and `RoleAssignment` share.

use std::{fmt::Debug, sync::Arc, time::Duration};

use amigo_api::reasons;
use amigo_lifecycle::{Failure, release_in};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _, runtime::controller::Action};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    announce,
    audit::AuditLine,
    context::{Announcement, Context, ReconcileError, Reconciled},
    unreadable::readable_or_last,
};
use crate::telemetry::labels::Outcome;

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

/// Announces the end of a cleanup, and removes the finalizer.
///
/// # Errors
/// Errors of the Kubernetes API.
pub async fn release<K>(
    object: &K,
    finalizer: &'static str,
    (announcement, about): (Option<Announcement>, AuditLine),
    context: &Context,
) -> Result<(Action, Outcome), ReconcileError>
where
    K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    if let Some(announcement) = announcement {
        if announcement.reason == reasons::RELEASED {
            context.metrics.object_released(K::KIND);
        }
        announce::emit(object, announcement, about, context);
    }
    set(object, Finalizer { name: finalizer, wanted: false }, context).await?;
    Ok((Action::await_change(), Outcome::Done))
}

/// Adds or removes the finalizer.
async fn set<K>(object: &K, finalizer: Finalizer, context: &Context) -> Result<K, ReconcileError>
where
    K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|one| one != finalizer.name);
    if finalizer.wanted {
        finalizers.push(finalizer.name.to_owned());
    }
    let patched = context.replace_finalizers::<K>(object.meta(), finalizers).await;
    let patched = patched.map_err(|source| ReconcileError::kubernetes("set the finalizer of", object, source))?;
    // An edit to an unreadable spec does not stop the cleanup that the last readable spec asks for.
    Ok(readable_or_last(patched, object))
}

/// The Event of an object that the operator lets go without a change at Amigo.
pub fn released(message: String) -> Announcement {
    Announcement { reason: reasons::RELEASED, message, warning: false }
}

/// A cleanup that failed.
pub struct Blocked {
    /// The failure, with the remedy.
    pub failure: Failure,
    /// When the operator lets the object go, if it does.
    pub release_in: Option<Duration>,
}

/// What follows from a failed cleanup.
///
/// # Errors
/// The announcement, if the operator lets the object go now.
pub fn blocked<K: Resource>(
    object: &K,
    (what, annotation): (&str, &str),
    failure: &Failure,
    context: &Context,
) -> Result<Blocked, Announcement> {
    let (now, grace) = (context.clock.now(), context.settings.release_grace);
    let deleted_at = object.meta().deletion_timestamp.as_ref().map_or(now, |time| time.0);
    let release_in = release_in(failure, deleted_at, grace, now);
    if release_in == Some(Duration::ZERO) {
        let message = format!("{what}, and no longer waits: {}", failure.message);
        return Err(Announcement { warning: true, ..released(message) });
    }
    let until = if release_in.is_some() {
        let release_at = deleted_at.saturating_add(grace).unwrap_or(Timestamp::MAX);
        format!(". Otherwise the operator lets the object go at {release_at}")
    } else {
        String::new()
    };
    let message = format!(
        "{what}: {}. To delete the object anyway, set annotation {annotation}=true{until}",
        failure.message.trim_end_matches('.')
    );
    Ok(Blocked { failure: Failure { message, ..failure.clone() }, release_in })
}
