//! What becomes of a role at Amigo when its object goes.

use amigo_api::{Role, reasons};
use amigo_client::{ErrorKind, Precondition, RoleChange};
use amigo_lifecycle::{Failure, RetryClass};
use kube::runtime::controller::Action;

use super::{Pass, usable};
use crate::{
    controller::{
        announce,
        connection::Connection,
        context::{Announcement, Context, ReconcileError},
        finalizers, jitter, readiness,
    },
    telemetry::labels::Outcome,
};

/// Holds the object back until the role's grants were emptied.
pub const NAME: &str = "permissions.amigo.ai/disable-role";

/// Lets an object go although its role could not be emptied.
const SKIP_ANNOTATION: &str = "permissions.amigo.ai/skip-disable";

/// Empties the role's grants, where that is wanted, and lets the object go.
pub async fn cleanup(
    role: &Role,
    (connection, holds): (Option<&Connection>, Precondition),
    context: &Context,
) -> Result<(Action, Outcome), ReconcileError> {
    if !finalizers::has(role, NAME) {
        return Ok((Action::await_change(), Outcome::Done));
    }
    match disable(role, (connection, holds), context).await {
        Ok(told) => {
            if let Some(announcement) = told {
                announce::emit(role, announcement, super::pass::about(role), context);
            }
            finalizers::set(role, (NAME, false), context).await?;
            Ok((Action::await_change(), Outcome::Done))
        }
        Err(failure) => {
            let (wait, outcome) = readiness::requeue_after(Err(&failure), connection, context);
            let failure = finalizers::cleanup_blocked("the role could not be emptied", SKIP_ANNOTATION, &failure);
            Pass::new(role, context).report(Err(failure)).await?;
            Ok((Action::requeue(jitter(wait)), outcome))
        }
    }
}

/// What is to be told of a role that was emptied; `None` where there was nothing to empty.
async fn disable(
    role: &Role,
    (connection, holds): (Option<&Connection>, Precondition),
    context: &Context,
) -> Result<Option<Announcement>, Failure> {
    let status = role.status.clone().unwrap_or_default();
    if (status.role_id.is_none() && !status.creating) || finalizers::has_skip_annotation(role, SKIP_ANNOTATION) {
        return Ok(None);
    }
    let (connection, client) = match usable(role, connection, context) {
        // The role is another object's, which goes on managing it.
        Err(failure) if failure.reason == reasons::CONFLICT => return Ok(None),
        usable => usable?,
    };
    let client = client.with_precondition(holds);
    if status.organization.as_deref() != Some(client.organization_id()) {
        // Its role is in another organization, which this connection does not reach.
        return Ok(None);
    }
    if role.spec.suspend || connection.spec.suspend {
        let what = if role.spec.suspend { "the Role".to_owned() } else { format!("Organization {}", connection.name) };
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, format!("{what} is suspended")));
    }
    let change = RoleChange { permission_grants: Some(Vec::new()), ..RoleChange::default() };
    let emptied = client.modify_role(&role.remote_name(), &change).await;
    if emptied.as_ref().map_or_else(amigo_client::Error::ambiguous, |_| true) {
        connection.role_cache.forget().await;
    }
    match emptied {
        Ok(_) => {
            let message = format!("role {} was emptied: it allows nothing any more", role.remote_name());
            Ok(Some(Announcement { reason: reasons::DISABLED, message, warning: false }))
        }
        // There is nothing left to empty.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::from(&error)),
    }
}
