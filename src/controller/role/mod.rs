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
    connection::{Link, existing},
    context::{COMING, Context, Named, ReconcileError, SharedContext, holds},
    finalizers, jitter,
    seniority::{label, senior_to},
    standing::rest_after,
};
use crate::telemetry::labels::{Kind, Outcome};

/// One pass over one role.
///
/// # Errors
/// Those of the Kubernetes API; whatever Amigo says goes into the status.
pub async fn reconcile(role: Arc<Role>, context: SharedContext) -> Result<(Action, Outcome), ReconcileError> {
    let link = match context.organization(&role.spec.organization_ref.name).await {
        Named::Here(link) => Some(link),
        Named::Nowhere => None,
        Named::Coming => return Ok((Action::requeue(COMING), Outcome::Waiting)),
    };
    let holds = holds(&context, link.as_ref(), role.as_ref(), &context.stores.roles);
    if role.meta().deletion_timestamp.is_some() {
        return finalizer::let_go(&role, (link.as_deref(), holds), &context).await;
    }
    let wanted = role.spec.deletion_policy == DeletionPolicy::Disable;
    let role = finalizers::keep_in_step(role, (finalizer::NAME, wanted), Kind::Role, &context).await?;
    let mut pass = Pass::new(&role, &context);
    let result = match usable(&role, link.as_deref(), &context) {
        Ok((link, client)) => pass.pursue(link, &client.only_while(holds)).await?,
        Err(failure) => Err(failure),
    };
    let (wait, outcome) = rest_after(result.as_ref().map(drop), link.as_deref(), &context);
    pass.report(result).await?;
    Ok((Action::requeue(jitter(wait)), outcome))
}

/// What must hold before Amigo is asked anything.
fn usable<'a>(role: &Role, link: Option<&'a Link>, context: &Context) -> Result<(&'a Link, Client), Failure> {
    let link = existing(link, &role.spec.organization_ref.name)?;
    let client = link.client_for(&role.namespace().unwrap_or_default())?.clone();
    let name = role.remote_name();
    let roles = context.stores.roles.state();
    let rivals = roles
        .iter()
        .map(AsRef::as_ref)
        .filter(|rival: &&Role| rival.remote_name() == name && rival.spec.organization_ref.name == link.name)
        // Who may not use the Organization manages nothing there.
        .filter(|rival| link.admits(&rival.namespace().unwrap_or_default()));
    match senior_to(role, rivals) {
        None => Ok((link, client)),
        Some(senior) => {
            let message = format!("role {name} is managed by the older Role {}: delete one of the two", label(senior));
            Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
        }
    }
}
