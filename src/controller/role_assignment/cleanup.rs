//! Cleanup: assign the fallback role before a `RoleAssignment` is deleted.

use amigo_api::{RoleAssignment, reasons};
use amigo_client::RemoteUser;
use amigo_lifecycle::{Failure, RetryClass};
use kube::runtime::controller::Action;

use super::{
    Scope,
    observe::RECENT,
    report::{self, Progress, audit_line},
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

/// Blocks the deletion of the object until the fallback role is assigned.
const FINALIZER: &str = "permissions.amigo.ai/assign-fallback-role";

/// Unblocks the deletion although the fallback role could not be assigned.
const SKIP_ANNOTATION: &str = "permissions.amigo.ai/skip-fallback";

/// The finalizer, and whether the object must have it.
pub fn finalizer(assignment: &RoleAssignment) -> Finalizer {
    Finalizer { name: FINALIZER, wanted: assignment.spec.fallback_role_name.is_some() }
}

/// Assigns the fallback role, if this object decides the user's role, and then removes the finalizer.
pub async fn cleanup(
    assignment: &RoleAssignment,
    access: &Access,
    context: &Context,
) -> Result<(Action, Outcome), ReconcileError> {
    if !finalizers::has(assignment, FINALIZER) {
        return Ok((Action::await_change(), Outcome::Done));
    }
    match fall_back(assignment, access, context).await {
        Ok(announcement) => {
            if let Some(announcement) = announcement {
                let status = assignment.status.clone().unwrap_or_default();
                announce::emit(assignment, announcement, audit_line(assignment, &status), context);
            }
            let finalizer = Finalizer { name: FINALIZER, wanted: false };
            finalizers::set(assignment, finalizer, context).await?;
            Ok((Action::await_change(), Outcome::Done))
        }
        Err(failure) => {
            let requeue = readiness::requeue_after(Err(&failure), access.connection(), context);
            let fallback = assignment.spec.fallback_role_name.as_deref().unwrap_or_default();
            let what = format!("the operator could not assign the fallback role {fallback}");
            let failure = finalizers::cleanup_blocked(&what, SKIP_ANNOTATION, &failure);
            report::report(assignment, Progress::default(), &Err(failure), context).await?;
            Ok((Action::requeue(jitter(requeue.wait)), requeue.outcome))
        }
    }
}

/// Assigns the fallback role. The announcement is `None` if this object never assigned a role.
async fn fall_back(
    assignment: &RoleAssignment,
    access: &Access,
    context: &Context,
) -> Result<Option<Announcement>, Failure> {
    let status = assignment.status.clone().unwrap_or_default();
    // The user can have either role through this object: the response to an assignment can be lost.
    let assigned: Vec<&String> = status.assigning.iter().chain(&status.role_name).collect();
    let (Some(fallback), Some(role_name)) = (&assignment.spec.fallback_role_name, assigned.first()) else {
        return Ok(None);
    };
    if finalizers::has_skip_annotation(assignment, SKIP_ANNOTATION) {
        return Ok(None);
    }
    let target = validate(assignment, access)?;
    if status.organization.as_deref() != Some(target.client.organization_id()) {
        // The user is in another organization, which this connection does not reach.
        return Ok(None);
    }
    let scope = Scope { assignment, target: &target, context };
    let user = scope.user(RECENT).await?;
    if let Err(conflict) = scope.yield_to_older_owner(&user) {
        return Ok(Some(released(&conflict.message)));
    }
    if !scope.has_one_of(&user, &assigned).await? {
        match scope.has_one_of(&user, &[fallback]).await {
            // The response to that assignment was lost, or somebody else made it.
            Ok(true) => return Ok(Some(fallback_assigned(&user.user_id, fallback))),
            Err(failure) if failure.class == RetryClass::Transient => return Err(failure),
            // Nobody has a fallback role that does not exist.
            Ok(false) | Err(_) => {}
        }
        let message = format!("user {} no longer has role {role_name}", user.user_id);
        return Ok(Some(released(&message)));
    }
    if target.connection.spec.suspend {
        let message = format!("Organization {} is suspended", target.connection.name);
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, message));
    }
    scope.send(&user.user_id, fallback).await.map_err(|error| Failure::from(&error))?;
    Ok(Some(fallback_assigned(&user.user_id, fallback)))
}

impl Scope<'_> {
    async fn has_one_of(&self, user: &RemoteUser, role_names: &[&String]) -> Result<bool, Failure> {
        for role_name in role_names {
            if self.compare(user.clone(), role_name).await?.1 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn fallback_assigned(user_id: &str, fallback: &str) -> Announcement {
    let message = format!("assigned the fallback role {fallback} to user {user_id}");
    Announcement { reason: reasons::ASSIGNED, message, warning: false }
}

fn released(why: &str) -> Announcement {
    let message = format!("did not assign the fallback role: {why}");
    Announcement { reason: reasons::RELEASED, message, warning: false }
}
