//! Cleanup: assign the fallback role before a `RoleAssignment` is deleted.

use std::time::Duration;

use amigo_api::{ManagementPolicy, RoleAssignment, annotations, reasons};
use amigo_client::{ErrorKind, RemoteUser};
use amigo_lifecycle::{Failure, RetryClass};
use kube::runtime::controller::Action;

use super::{
    Scope,
    observe::RECENT,
    report::{self, Progress, audit_line, describes},
    validate::validate,
};
use crate::{
    controller::{
        access::Access,
        context::{Announcement, Context, ReconcileError},
        finalizers::{self, Finalizer, released},
        jitter, readiness,
    },
    telemetry::labels::Outcome,
};

/// Blocks the deletion of the object until the fallback role is assigned.
const FINALIZER: &str = "permissions.amigo.ai/assign-fallback-role";

/// The finalizer, and whether the object must have it.
pub fn finalizer(assignment: &RoleAssignment) -> Finalizer {
    let falls_back = assignment.spec.fallback_role_name.is_some();
    Finalizer { name: FINALIZER, wanted: falls_back && assignment.spec.management_policy == ManagementPolicy::Manage }
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
    let about = || audit_line(assignment, &assignment.status.clone().unwrap_or_default());
    let failure = match fall_back(assignment, access, context).await {
        Ok(announcement) => return finalizers::release(assignment, FINALIZER, (announcement, about()), context).await,
        Err(failure) => failure,
    };
    let fallback = assignment.spec.fallback_role_name.as_deref().unwrap_or_default();
    let what = format!("the operator could not assign the fallback role {fallback}");
    match finalizers::blocked(assignment, (&what, annotations::SKIP_FALLBACK), &failure, context) {
        Ok(blocked) => {
            let requeue = readiness::requeue_after(Err(&failure), access.connection(), context);
            let wait = jitter(requeue.wait).min(blocked.release_in.unwrap_or(Duration::MAX));
            report::report(assignment, Progress::default(), &Err(blocked.failure), context).await?;
            Ok((Action::requeue(wait), requeue.outcome))
        }
        Err(announcement) => finalizers::release(assignment, FINALIZER, (Some(announcement), about()), context).await,
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
    let (Some(fallback), false) = (&assignment.spec.fallback_role_name, assigned.is_empty()) else { return Ok(None) };
    if assignment.spec.management_policy == ManagementPolicy::Observe
        || finalizers::has_skip_annotation(assignment, annotations::SKIP_FALLBACK)
    {
        return Ok(None);
    }
    let target = validate(assignment, access)?;
    if !describes(&status, &target.endpoint) {
        let origin = status.api_origin.as_deref().unwrap_or_default();
        return Ok(Some(kept(&format!(
            "the user is at {origin}, and Organization {} connects elsewhere",
            target.connection.name
        ))));
    }
    let scope = Scope { assignment, target: &target, context };
    match scope.user(RECENT).await {
        Ok(user) => scope.replace_role(user, &assigned, fallback).await.map(Some),
        Err(failure) if failure.reason == reasons::USER_NOT_FOUND => {
            scope.replace_role_of_missing_user(failure, fallback).await.map(Some)
        }
        Err(failure) => Err(failure),
    }
}

impl Scope<'_> {
    /// Assigns the fallback role, if the user still has a role of this object.
    async fn replace_role(
        &self,
        user: RemoteUser,
        assigned: &[&String],
        fallback: &String,
    ) -> Result<Announcement, Failure> {
        if let Err(conflict) = self.yield_to_older_owner(&user) {
            return Ok(kept(&conflict.message));
        }
        if !self.has_one_of(&user, assigned).await? {
            return match self.has_one_of(&user, &[fallback]).await {
                // The response to that assignment was lost, or somebody else made it.
                Ok(true) => Ok(fallback_assigned(&user.user_id, fallback)),
                Err(failure) if failure.class == RetryClass::Transient => Err(failure),
                // Nobody has a fallback role that does not exist.
                Ok(false) | Err(_) => Ok(kept(&format!("user {} no longer has role {}", user.user_id, assigned[0]))),
            };
        }
        self.fail_if_suspended()?;
        self.send(&user.user_id, fallback).await.map_err(|error| Failure::from(&error))?;
        Ok(fallback_assigned(&user.user_id, fallback))
    }

    /// The operator's user cannot see the user. Only the assignment itself shows whether the user still exists.
    async fn replace_role_of_missing_user(&self, missing: Failure, fallback: &str) -> Result<Announcement, Failure> {
        let Some(user_id) = self.known_user_id(self.assignment) else { return Ok(kept(&missing.message)) };
        self.fail_if_suspended()?;
        match self.send(&user_id, fallback).await {
            Ok(_) => Ok(fallback_assigned(&user_id, fallback)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(kept(&format!("user {user_id} does not exist at Amigo")))
            }
            Err(error) => Err(Failure::from(&error)),
        }
    }

    fn fail_if_suspended(&self) -> Result<(), Failure> {
        let Some(what) = self.suspended() else { return Ok(()) };
        Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, format!("{what} is suspended")))
    }

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

fn kept(why: &str) -> Announcement {
    released(format!("did not assign the fallback role: {why}"))
}
