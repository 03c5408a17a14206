//! What becomes of a user's role when the assignment goes.

use amigo_api::{RoleAssignment, reasons};
use amigo_client::{Precondition, RemoteUser};
use amigo_lifecycle::{Failure, RetryClass};
use kube::runtime::controller::Action;

use super::{Came, Desk, RECENT, about, report, usable};
use crate::{
    controller::{
        announce,
        connection::Connection,
        context::{Announcement, Context, ReconcileError},
        finalizers, jitter, readiness,
    },
    telemetry::labels::Outcome,
};

/// Holds the object back until the fallback role was assigned.
pub const NAME: &str = "permissions.amigo.ai/assign-fallback-role";

/// Lets an object go although the fallback role could not be assigned.
const SKIP_ANNOTATION: &str = "permissions.amigo.ai/skip-fallback";

/// Gives the user the fallback role, where that is wanted, and lets the object go.
pub async fn cleanup(
    assignment: &RoleAssignment,
    (connection, holds): (Option<&Connection>, Precondition),
    context: &Context,
) -> Result<(Action, Outcome), ReconcileError> {
    if !finalizers::has(assignment, NAME) {
        return Ok((Action::await_change(), Outcome::Done));
    }
    match fall_back(assignment, (connection, holds), context).await {
        Ok(told) => {
            if let Some(announcement) = told {
                let status = assignment.status.clone().unwrap_or_default();
                announce::emit(assignment, announcement, about(assignment, &status), context);
            }
            finalizers::set(assignment, (NAME, false), context).await?;
            Ok((Action::await_change(), Outcome::Done))
        }
        Err(failure) => {
            let (wait, outcome) = readiness::requeue_after(Err(&failure), connection, context);
            let fallback = assignment.spec.fallback_role_name.as_deref().unwrap_or_default();
            let what = format!("the fallback role {fallback} could not be assigned");
            let failure = finalizers::cleanup_blocked(&what, SKIP_ANNOTATION, &failure);
            report(assignment, Came::default(), &Err(failure), context).await?;
            Ok((Action::requeue(jitter(wait)), outcome))
        }
    }
}

/// What is to be told of a user whose role may have been changed; `None` where this object never gave one.
async fn fall_back(
    assignment: &RoleAssignment,
    (connection, holds): (Option<&Connection>, Precondition),
    context: &Context,
) -> Result<Option<Announcement>, Failure> {
    let status = assignment.status.clone().unwrap_or_default();
    // Either may be the user's role by this object: the answer to an assignment may have been lost.
    let given: Vec<&String> = status.assigning.iter().chain(&status.role_name).collect();
    let (Some(fallback), Some(role_name), false) = (
        &assignment.spec.fallback_role_name,
        given.first(),
        finalizers::has_skip_annotation(assignment, SKIP_ANNOTATION),
    ) else {
        return Ok(None);
    };
    let (connection, client) = usable(assignment, connection)?;
    let client = client.with_precondition(holds);
    if status.organization.as_deref() != Some(client.organization_id()) {
        // The user it gave a role is in another organization, which this connection does not reach.
        return Ok(None);
    }
    let desk = Desk { assignment, connection, client: &client, context };
    let user = desk.user(RECENT).await?;
    if let Err(conflict) = desk.yield_to_senior(&user) {
        return Ok(Some(released(&conflict.message)));
    }
    if !desk.has_one_of(&user, &given).await? {
        match desk.has_one_of(&user, &[fallback]).await {
            // Then the answer to that was lost, or somebody else was faster.
            Ok(true) => return Ok(Some(assigned(&user.user_id, fallback))),
            Err(failure) if failure.class == RetryClass::Transient => return Err(failure),
            // A fallback that does not exist was given to nobody.
            Ok(false) | Err(_) => {}
        }
        let message = format!("user {} has another role than {role_name} by now", user.user_id);
        return Ok(Some(released(&message)));
    }
    if connection.spec.suspend {
        let message = format!("Organization {} is suspended", connection.name);
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, message));
    }
    desk.send(&user.user_id, fallback).await.map_err(|error| Failure::from(&error))?;
    Ok(Some(assigned(&user.user_id, fallback)))
}

impl Desk<'_> {
    async fn has_one_of(&self, user: &RemoteUser, role_names: &[&String]) -> Result<bool, Failure> {
        for role_name in role_names {
            if self.compare(user.clone(), role_name).await?.1 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn assigned(user_id: &str, fallback: &str) -> Announcement {
    let message = format!("user {user_id} was given the fallback role {fallback}");
    Announcement { reason: reasons::ASSIGNED, message, warning: false }
}

fn released(why: &str) -> Announcement {
    let message = format!("the fallback role was not assigned: {why}");
    Announcement { reason: reasons::RELEASED, message, warning: false }
}
