//! Reconciles Organizations: connects to Amigo, and reports.

mod apply;
mod counts;
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

pub use self::counts::recount;
pub use self::secret::{SecretWatches, Waker};
use self::{apply::apply, observe::observe, plan::plan, report::report, validate::validate};
use super::{
    connection::api_endpoint::ApiEndpoint,
    context::{Context, ReconcileError, SharedContext},
    resync,
};
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
    let resync = resync::is_requested(&*organization, handled_resync(&organization));
    let plan = plan(&connection, resync, context.clock.boot()); // (pure)
    let applied = apply(connection, plan, &context).await; // (client)
    if changed || applied.changed {
        context.triggers.organization_changed();
    }
    report(&organization, &applied, secret.as_ref().err(), &context).await // (client)
}

fn handled_resync(organization: &Organization) -> Option<&String> {
    organization.status.as_ref()?.last_handled_resync.as_ref()
}

/// Wakes the objects that used a deleted Organization, and the Organizations that it kept from connecting.
pub fn deleted(organization: &Organization, context: &Context) {
    forget(&organization.name_any(), &organization.uid().unwrap_or_default(), context);
    let endpoint = ApiEndpoint::from_spec(&organization.spec);
    for rival in context.stores.organizations.state() {
        if ApiEndpoint::from_spec(&rival.spec) == endpoint {
            context.triggers.organizations.pull(&rival.name_any());
        }
    }
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
    context.triggers.organization_changed();
}
