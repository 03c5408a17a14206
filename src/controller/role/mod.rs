//! Reconciles Roles: observe → validate → plan → apply → report.

mod apply;
mod cleanup;
mod lint;
mod observe;
mod plan;
mod report;
mod status;
mod validate;

use std::sync::Arc;

use amigo_api::Role;
use amigo_lifecycle::Failure;
use kube::{Resource as _, ResourceExt as _, runtime::controller::Action};

use self::{
    apply::{Applied, apply},
    cleanup::cleanup,
    observe::observe,
    plan::{Planned, Subject, plan},
    report::report,
    status::StatusDraft,
    validate::validate,
};
use super::{
    access::{Access, Target},
    context::{Context, NOT_READY_RETRY, POSTPONED, ReconcileError, SharedContext},
    finalizers, jitter, readiness,
};
use crate::telemetry::labels::Outcome;

/// Makes the role at Amigo match its object.
///
/// # Errors
/// Those of the Kubernetes API. Failures of Amigo go to the status.
pub async fn reconcile(role: Arc<Role>, context: SharedContext) -> Result<(Action, Outcome), ReconcileError> {
    let organization = &role.spec.organization_ref.name;
    let Some(access) = Access::find(&*role, organization, &context.stores.roles, &context).await else {
        return Ok((Action::requeue(NOT_READY_RETRY), Outcome::Waiting));
    };
    let Some(_permit) = access.try_acquire(&context) else {
        return Ok((Action::requeue(POSTPONED), Outcome::Waiting));
    };
    if role.meta().deletion_timestamp.is_some() {
        return cleanup(&role, &access, &context).await; // (client)
    }
    let role = finalizers::ensure_finalizer(role.clone(), cleanup::finalizer(&role), &context).await?; // (client)
    let mut draft = StatusDraft::new(&role, &context);
    let target = validate(&role, &access, &context); // (pure)
    let result = match &target {
        Ok(target) => synchronize(&mut draft, target).await?, // observe (client), plan (pure), apply (client)
        Err(failure) => {
            draft.release_turn();
            Err(failure.clone())
        }
    };
    let requeue = readiness::requeue_after(result.as_ref().map(drop), access.connection(), &context); // (pure)
    report(draft, result).await?; // (client)
    Ok((Action::requeue(jitter(requeue.wait)), requeue.outcome))
}

/// Wakes the object that the deleted one kept from its role, and releases its place in the queue.
pub fn deleted(role: &Role, context: &Context) {
    context.role_turns.release(&role.uid().unwrap_or_default());
    context.triggers.roles.pull();
}

/// The steps that need an open connection. The outer error is the Kubernetes API's, before anything was sent.
async fn synchronize(
    draft: &mut StatusDraft<'_>,
    target: &Target<'_>,
) -> Result<Result<Applied, Failure>, ReconcileError> {
    draft.enter(&target.endpoint);
    let (role, context) = (draft.role, draft.context);
    let (name, before) = (role.remote_name(), draft.status.clone());
    let subject = Subject { role, name: &name, status: &before };
    let roles = observe(target, draft.listing_age(target), context).await; // (client)
    let mut planned = roles.map(|roles| plan(subject, &roles, target)); // (pure)
    if planned.as_ref().is_ok_and(Planned::sends_deny) {
        // Before a Deny is sent, a recent listing must show that the API supports it.
        let roles = observe(target, observe::EVIDENCE, context).await; // (client)
        planned = roles.map(|roles| plan(subject, &roles, target)); // (pure)
    }
    match planned {
        Ok(planned) => apply(planned, draft, target).await, // (client)
        Err(failure) => Ok(Err(failure)),
    }
}
