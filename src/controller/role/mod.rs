//! Roles: observe → validate → plan → apply → status.

mod advice;
mod finalizer;
mod pass;

use std::sync::Arc;

use amigo_api::{DeletionPolicy, Role, reasons};
use amigo_client::Client;
use amigo_lifecycle::{Failure, RetryClass};
use kube::{Resource as _, ResourceExt as _, runtime::controller::Action};

use self::pass::Pass;
use super::{
    connection::{Connection, existing},
    context::{Context, Lookup, NOT_READY_RETRY, ReconcileError, SharedContext, holds},
    finalizers, jitter,
    ownership::{object_name, older_owner},
    readiness::requeue_after,
};
use crate::telemetry::labels::Outcome;

/// One pass over one role.
///
/// # Errors
/// Those of the Kubernetes API; whatever Amigo says goes into the status.
pub async fn reconcile(role: Arc<Role>, context: SharedContext) -> Result<(Action, Outcome), ReconcileError> {
    let connection = match context.organization(&role.spec.organization_ref.name).await {
        Lookup::Found(connection) => Some(connection),
        Lookup::Missing => None,
        Lookup::NotReady => return Ok((Action::requeue(NOT_READY_RETRY), Outcome::Waiting)),
    };
    let holds = holds(&context, connection.as_ref(), role.as_ref(), &context.stores.roles);
    if role.meta().deletion_timestamp.is_some() {
        return finalizer::cleanup(&role, (connection.as_deref(), holds), &context).await;
    }
    let wanted = role.spec.deletion_policy == DeletionPolicy::Disable;
    let role = finalizers::ensure_finalizer(role, (finalizer::NAME, wanted), &context).await?;
    let mut pass = Pass::new(&role, &context);
    let result = match usable(&role, connection.as_deref(), &context) {
        Ok((connection, client)) => pass.pursue(connection, &client.with_precondition(holds)).await?,
        Err(failure) => Err(failure),
    };
    let (wait, outcome) = requeue_after(result.as_ref().map(drop), connection.as_deref(), &context);
    pass.report(result).await?;
    Ok((Action::requeue(jitter(wait)), outcome))
}

/// What must hold before Amigo is asked anything.
fn usable<'a>(
    role: &Role,
    connection: Option<&'a Connection>,
    context: &Context,
) -> Result<(&'a Connection, Client), Failure> {
    let connection = existing(connection, &role.spec.organization_ref.name)?;
    let client = connection.client_for(&role.namespace().unwrap_or_default())?.clone();
    let name = role.remote_name();
    let roles = context.stores.roles.state();
    let rivals = roles
        .iter()
        .map(AsRef::as_ref)
        .filter(|rival: &&Role| rival.remote_name() == name && rival.spec.organization_ref.name == connection.name)
        // Who may not use the Organization manages nothing there.
        .filter(|rival| connection.admits(&rival.namespace().unwrap_or_default()));
    match older_owner(role, rivals) {
        None => Ok((connection, client)),
        Some(senior) => {
            let message =
                format!("role {name} is managed by the older Role {}: delete one of the two", object_name(senior));
            Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
        }
    }
}
