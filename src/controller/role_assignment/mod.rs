//! Reconciles RoleAssignments: observe → validate → plan → apply → report.

mod apply;
mod cleanup;
mod observe;
mod plan;
mod report;
mod validate;

use std::sync::Arc;

use amigo_api::RoleAssignment;
use amigo_lifecycle::Failure;
use kube::{Resource as _, runtime::controller::Action};

use self::{
    apply::apply,
    cleanup::cleanup,
    observe::observe,
    plan::{Plan, plan},
    report::{Progress, report},
    validate::validate,
};
use super::{
    access::{Access, Target},
    context::{Context, NOT_READY_RETRY, POSTPONED, ReconcileError, SharedContext},
    finalizers, jitter, readiness, resync,
};
use crate::telemetry::labels::Outcome;

/// The object, and the connection that it uses.
#[derive(Clone, Copy)]
struct Scope<'a> {
    assignment: &'a RoleAssignment,
    target: &'a Target<'a>,
    context: &'a Context,
}

/// Gives the user the role that the object names.
///
/// # Errors
/// Those of the Kubernetes API. Failures of Amigo go to the status.
pub async fn reconcile(
    object: Arc<RoleAssignment>,
    context: SharedContext,
) -> Result<(Action, Outcome), ReconcileError> {
    let organization = &object.spec.organization_ref.name;
    let Some(access) = Access::find(&*object, organization, &context.stores.assignments, &context).await else {
        return Ok((Action::requeue(NOT_READY_RETRY), Outcome::Waiting));
    };
    let Some(_permit) = access.try_acquire(&context) else {
        return Ok((Action::requeue(POSTPONED), Outcome::Waiting));
    };
    if object.meta().deletion_timestamp.is_some() {
        return cleanup(&object, &access, &context).await; // (client)
    }
    if !observe::roles_are_loaded(&object, &context).await {
        return Ok((Action::requeue(NOT_READY_RETRY), Outcome::Waiting));
    }
    let object = finalizers::ensure_finalizer(object.clone(), cleanup::finalizer(&object), &context).await?; // (client)
    let mut progress = Progress::default();
    let result = match &validate(&object, &access) {
        Ok(target) => synchronize(Scope::new(&object, target, &context), &mut progress).await?,
        Err(failure) => Err(failure.clone()),
    };
    let requeue = readiness::requeue_after(result.as_ref().copied(), access.connection(), &context); // (pure)
    report(&object, progress, &result, &context).await?; // (client)
    Ok((Action::requeue(jitter(requeue.wait)), requeue.outcome))
}

/// The steps that need an open connection. The outer error is the Kubernetes API's, before anything was sent.
async fn synchronize(scope: Scope<'_>, progress: &mut Progress) -> Result<Result<(), Failure>, ReconcileError> {
    let observed = observe(scope, progress).await; // (client)
    let planned = observed.and_then(|observed| Ok((plan(&observed, scope)?, observed))); // (pure)
    match planned {
        Ok((Plan::Keep, observed)) => {
            progress.role_name = Some(observed.role_name);
            Ok(Ok(()))
        }
        Ok((Plan::Assign, observed)) => apply(observed, scope, progress).await, // (client)
        Err(failure) => Ok(Err(failure)),
    }
}

impl<'a> Scope<'a> {
    fn new(assignment: &'a RoleAssignment, target: &'a Target<'a>, context: &'a Context) -> Self {
        Self { assignment, target, context }
    }

    /// What stops changes to the user's role.
    fn suspended(&self) -> Option<String> {
        let connection = self.target.connection;
        if self.assignment.spec.suspend {
            return Some("the RoleAssignment".to_owned());
        }
        connection.spec.suspend.then(|| format!("Organization {}", connection.name))
    }

    /// Whether a user asked for a fresh look at Amigo.
    fn is_resync_requested(&self) -> bool {
        let handled = self.assignment.status.as_ref().and_then(|status| status.last_handled_resync.as_ref());
        resync::is_requested(self.assignment, handled)
    }
}
