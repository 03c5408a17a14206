//! What becomes of a role at Amigo when its object goes.

use amigo_api::{Role, reasons};
use amigo_client::{ErrorKind, Holds, RoleChange};
use amigo_lifecycle::{Failure, RetryClass};
use kube::runtime::controller::Action;

use super::{Pass, usable};
use crate::{
    controller::{
        connection::Link,
        context::{Announcement, Context, ReconcileError},
        finalizers, jitter, standing,
    },
    telemetry::labels::{Kind, Outcome},
};

/// Holds the object back until the role's grants were emptied.
pub const NAME: &str = "permissions.amigo.ai/disable-role";

/// Lets an object go although its role could not be emptied.
const ESCAPE: &str = "permissions.amigo.ai/skip-disable";

/// Empties the role's grants, where that is wanted, and lets the object go.
pub async fn let_go(
    role: &Role,
    (link, holds): (Option<&Link>, Holds),
    context: &Context,
) -> Result<(Action, Outcome), ReconcileError> {
    if !finalizers::has(role, NAME) {
        return Ok((Action::await_change(), Outcome::Done));
    }
    match disable(role, (link, holds), context).await {
        Ok(told) => {
            if let Some(announcement) = told {
                standing::tell(role, announcement, super::pass::about(role), context);
            }
            finalizers::set(role, (NAME, false), Kind::Role, context).await?;
            Ok((Action::await_change(), Outcome::Done))
        }
        Err(failure) => {
            let (wait, outcome) = standing::rest_after(Err(&failure), link, context);
            let failure = finalizers::held_back("the role could not be emptied", ESCAPE, &failure);
            Pass::new(role, context).report(Err(failure)).await?;
            Ok((Action::requeue(jitter(wait)), outcome))
        }
    }
}

/// What is to be told of a role that was emptied; `None` where there was nothing to empty.
async fn disable(
    role: &Role,
    (link, holds): (Option<&Link>, Holds),
    context: &Context,
) -> Result<Option<Announcement>, Failure> {
    let status = role.status.clone().unwrap_or_default();
    if (status.role_id.is_none() && !status.creating) || finalizers::is_escaped(role, ESCAPE) {
        return Ok(None);
    }
    let (link, client) = match usable(role, link, context) {
        // The role is another object's, which goes on managing it.
        Err(failure) if failure.reason == reasons::CONFLICT => return Ok(None),
        usable => usable?,
    };
    let client = client.only_while(holds);
    if status.organization.as_deref() != Some(client.organization_id()) {
        // Its role is in another organization, which this connection does not reach.
        return Ok(None);
    }
    if role.spec.suspend || link.spec.suspend {
        let what = if role.spec.suspend { "the Role".to_owned() } else { format!("Organization {}", link.name) };
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, format!("{what} is suspended")));
    }
    let change = RoleChange { permission_grants: Some(Vec::new()), ..RoleChange::default() };
    let emptied = client.modify_role(&role.remote_name(), &change).await;
    if emptied.as_ref().map_or_else(amigo_client::Error::ambiguous, |_| true) {
        link.listing.forget().await;
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
