//! Reconciles Organizations: connects to Amigo, and reports.

mod apply;
mod observe;
mod plan;
mod report;
mod secret;
mod sweep;
mod validate;

use std::sync::Arc;

use amigo_api::Organization;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};

pub use self::secret::SecretWatches;
use self::{apply::apply, observe::observe, plan::plan, report::report, validate::validate};
use super::context::{Context, ReconcileError, SharedContext};
use crate::telemetry::labels::Outcome;

/// Connects an Organization to Amigo, starts its sweep if it is due, and writes its status.
///
/// # Errors
/// Those of the Kubernetes API. Failures of Amigo go to the status.
pub async fn reconcile(
    organization: Arc<Organization>,
    context: SharedContext,
) -> Result<(Action, Outcome), ReconcileError> {
    let secret = observe(&organization, &context).await; // (client)
    let parts = validate(&organization, secret.as_ref(), &context); // (pure)
    let (connection, changed) = context.connections.upsert(parts); // (pure)
    let plan = plan(&connection, context.clock.boot()); // (pure)
    let applied = apply(connection, plan, &context).await; // (client)
    if changed || applied.changed {
        context.triggers.organization_changed();
    }
    report(&organization, &applied, secret.as_ref().err(), &context).await // (client)
}

/// Wakes the objects that used a deleted Organization.
pub fn deleted(organization: &Organization, context: &Context) {
    forget(&organization.name_any(), &organization.uid().unwrap_or_default(), context);
}

/// Removes connections without an object, and unused rate limiters. A reconcile that was in progress during the deletion
/// may have added such a connection.
pub fn prune(context: &Context) {
    for connection in context.connections.all() {
        let object = context.stores.organizations.get(&ObjectRef::new(&connection.name));
        if object.is_none_or(|object| object.metadata.uid.as_ref() != Some(&connection.uid)) {
            forget(&connection.name, &connection.uid, context);
        }
    }
    context.connections.prune_rate_limiters();
}

fn forget(name: &str, uid: &str, context: &Context) {
    context.connections.remove(name, uid);
    context.triggers.organizations.pull();
    context.triggers.organization_changed();
}
