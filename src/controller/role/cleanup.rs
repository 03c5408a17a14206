//! Cleanup: remove the role's grants at Amigo before a Role with `deletionPolicy: Disable` is deleted.

use std::time::Duration;

use amigo_api::{DeletionPolicy, ManagementPolicy, Role, annotations, reasons};
use amigo_client::{Error, ErrorKind, RoleChange};
use amigo_lifecycle::{Failure, RetryClass, role};
use kube::runtime::controller::Action;

use super::{
    observe, report,
    status::{StatusDraft, audit_line, describes},
    validate::validate,
};
use crate::{
    controller::{
        access::{Access, Target},
        context::{Announcement, Context, ReconcileError},
        finalizers::{self, Finalizer, released},
        jitter, readiness,
    },
    telemetry::labels::Outcome,
};

/// Blocks the deletion of the object until the role's grants are removed.
const FINALIZER: &str = "permissions.amigo.ai/disable-role";

/// The finalizer, and whether the object must have it.
pub fn finalizer(role: &Role) -> Finalizer {
    let disables = role.spec.deletion_policy == DeletionPolicy::Disable;
    Finalizer { name: FINALIZER, wanted: disables && role.spec.management_policy == ManagementPolicy::Manage }
}

/// Removes the role's grants, if the object manages the role, and then the finalizer.
pub async fn cleanup(role: &Role, access: &Access, context: &Context) -> Result<(Action, Outcome), ReconcileError> {
    if !finalizers::has(role, FINALIZER) {
        return Ok((Action::await_change(), Outcome::Done));
    }
    let failure = match disable(role, access, context).await {
        Ok(announcement) => {
            return finalizers::release(role, FINALIZER, (announcement, audit_line(role)), context).await;
        }
        Err(failure) => failure,
    };
    let what = "the operator could not remove the grants of the role";
    match finalizers::blocked(role, (what, annotations::SKIP_DISABLE), &failure, context) {
        Ok(blocked) => {
            let requeue = readiness::requeue_after(Err(&failure), access.connection(), context);
            let wait = jitter(requeue.wait).min(blocked.release_in.unwrap_or(Duration::MAX));
            report(StatusDraft::new(role, context), Err(blocked.failure)).await?;
            Ok((Action::requeue(wait), requeue.outcome))
        }
        Err(announcement) => {
            finalizers::release(role, FINALIZER, (Some(announcement), audit_line(role)), context).await
        }
    }
}

/// Removes the grants. The announcement is `None` if there was nothing to remove.
async fn disable(role: &Role, access: &Access, context: &Context) -> Result<Option<Announcement>, Failure> {
    let status = role.status.clone().unwrap_or_default();
    let may_manage = status.role_id.is_some() || status.sent.is_some();
    if !may_manage
        || role.spec.management_policy == ManagementPolicy::Observe
        || finalizers::has_skip_annotation(role, annotations::SKIP_DISABLE)
    {
        return Ok(None);
    }
    let target = match validate(role, access, context) {
        // Another object manages the role and keeps it.
        Err(failure) if failure.reason == reasons::CONFLICT => return Ok(None),
        validated => validated?,
    };
    let name = role.remote_name();
    if !describes(&status, &target.endpoint) {
        let origin = status.api_origin.unwrap_or_default();
        let message = format!(
            "role {name} at {origin} keeps its grants: Organization {} connects elsewhere",
            target.connection.name
        );
        return Ok(Some(released(message)));
    }
    if role.spec.suspend || target.connection.spec.suspend {
        let what =
            if role.spec.suspend { "the Role".to_owned() } else { format!("Organization {}", target.connection.name) };
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, format!("{what} is suspended")));
    }
    if !is_owner(role, &target, context).await? {
        return Ok(Some(released(format!("role {name} at Amigo is not the one that the operator began to create"))));
    }
    remove_grants(&name, &target).await
}

/// Whether the role is this object's. If its creation was never confirmed, only the role itself can tell.
async fn is_owner(object: &Role, target: &Target<'_>, context: &Context) -> Result<bool, Failure> {
    let status = object.status.clone().unwrap_or_default();
    if status.role_id.is_some() {
        return Ok(true);
    }
    let roles = observe(target, observe::EVIDENCE, context).await?;
    Ok(role::current(&roles.listed, &object.remote_name()).is_none_or(|observed| role::is_owner(&status, observed)))
}

async fn remove_grants(name: &str, target: &Target<'_>) -> Result<Option<Announcement>, Failure> {
    let change = RoleChange { permission_grants: Some(Vec::new()), ..RoleChange::default() };
    let response = target.client.modify_role(name, &change).await;
    if response.as_ref().map_or_else(Error::ambiguous, |_| true) {
        target.connection.role_cache.forget();
    }
    match response {
        Ok(_) => {
            let message = format!("removed all grants of role {name} at Amigo");
            Ok(Some(Announcement { reason: reasons::DISABLED, message, warning: false }))
        }
        // There is nothing left to remove.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::from(&error)),
    }
}
