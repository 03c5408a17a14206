//! Cleanup: remove the role's grants at Amigo before a Role with `deletionPolicy: Disable` is deleted.

use amigo_api::{DeletionPolicy, Role, reasons};
use amigo_client::{Error, ErrorKind, RoleChange};
use amigo_lifecycle::{Failure, RetryClass};
use kube::runtime::controller::Action;

use super::{
    report,
    status::{StatusDraft, audit_line},
    validate::validate,
};
use crate::{
    controller::{
        access::Access,
        announce,
        context::{Announcement, Context, ReconcileError},
        finalizers::{self, Finalizer},
        jitter, readiness,
    },
    telemetry::labels::Outcome,
};

/// Blocks the deletion of the object until the role's grants are removed.
const FINALIZER: &str = "permissions.amigo.ai/disable-role";

/// Unblocks the deletion although the role's grants could not be removed.
const SKIP_ANNOTATION: &str = "permissions.amigo.ai/skip-disable";

/// The finalizer, and whether the object must have it.
pub fn finalizer(role: &Role) -> Finalizer {
    Finalizer { name: FINALIZER, wanted: role.spec.deletion_policy == DeletionPolicy::Disable }
}

/// Removes the role's grants, if the object manages the role, and then the finalizer.
pub async fn cleanup(role: &Role, access: &Access, context: &Context) -> Result<(Action, Outcome), ReconcileError> {
    if !finalizers::has(role, FINALIZER) {
        return Ok((Action::await_change(), Outcome::Done));
    }
    match disable(role, access, context).await {
        Ok(announcement) => {
            if let Some(announcement) = announcement {
                announce::emit(role, announcement, audit_line(role), context);
            }
            finalizers::set(role, Finalizer { name: FINALIZER, wanted: false }, context).await?;
            Ok((Action::await_change(), Outcome::Done))
        }
        Err(failure) => {
            let requeue = readiness::requeue_after(Err(&failure), access.connection(), context);
            let what = "the operator could not remove the grants of the role";
            let failure = finalizers::cleanup_blocked(what, SKIP_ANNOTATION, &failure);
            report(StatusDraft::new(role, context), Err(failure)).await?;
            Ok((Action::requeue(jitter(requeue.wait)), requeue.outcome))
        }
    }
}

/// Removes the grants. The announcement is `None` if there was nothing to remove.
async fn disable(role: &Role, access: &Access, context: &Context) -> Result<Option<Announcement>, Failure> {
    let status = role.status.clone().unwrap_or_default();
    let is_managed = status.role_id.is_some() || status.creating;
    if !is_managed || finalizers::has_skip_annotation(role, SKIP_ANNOTATION) {
        return Ok(None);
    }
    let target = match validate(role, access, context) {
        // Another object manages the role and keeps it.
        Err(failure) if failure.reason == reasons::CONFLICT => return Ok(None),
        validated => validated?,
    };
    if status.organization.as_deref() != Some(target.client.organization_id()) {
        // The role is in another organization, which this connection does not reach.
        return Ok(None);
    }
    if role.spec.suspend || target.connection.spec.suspend {
        let what =
            if role.spec.suspend { "the Role".to_owned() } else { format!("Organization {}", target.connection.name) };
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, format!("{what} is suspended")));
    }
    let change = RoleChange { permission_grants: Some(Vec::new()), ..RoleChange::default() };
    let response = target.client.modify_role(&role.remote_name(), &change).await;
    if response.as_ref().map_or_else(Error::ambiguous, |_| true) {
        target.connection.role_cache.forget().await;
    }
    match response {
        Ok(_) => {
            let message = format!("removed all grants of role {} at Amigo", role.remote_name());
            Ok(Some(Announcement { reason: reasons::DISABLED, message, warning: false }))
        }
        // There is nothing left to remove.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::from(&error)),
    }
}
