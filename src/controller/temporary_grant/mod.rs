//! Reconciles temporary grants: observe → validate → plan → apply → report.
//!
//! # Expected flow
//! The plan is the pure protocol of [`amigo_lifecycle::grant`]. It requests one effect at a time, the last one a wait.
//!
//! # Guarantees
//! While a reconcile runs, [`LocalState`] has no entry for its object. An interrupted reconcile thus leaves no state
//! that a later one could mistake for facts.
//!
//! # Assumptions
//! The controller's queue runs at most one reconcile per object.
//!
//! # Caveats
//! A reconcile waits while the cache is older than this process's last write.

mod announce;
mod apply;
mod failed_ttl;
mod local_state;
mod observe;
mod renewals;
mod report;
mod transitions;
mod validate;

use std::sync::Arc;

use amigo_api::{Phase, TemporaryPermissionGrant};
use amigo_client::Client;
use amigo_lifecycle::grant::{self, Input, Now};
use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::controller::Action};

pub use self::local_state::LocalState;
use self::{
    announce::{emit_deletion, emit_expiry},
    apply::Applied,
    local_state::LocalEntry,
    observe::{NotReady, observe},
    report::{LastStep, report},
    validate::validate,
};
use super::{
    connection::Connection,
    context::{Context, ReconcileError, SharedContext},
};
use crate::telemetry::labels::Outcome;

/// More steps than any reconcile needs.
const MAX_STEPS: usize = 64;

/// One reconcile of one object.
struct Reconciliation<'a> {
    context: &'a Context,
    /// The object as last read or written.
    object: TemporaryPermissionGrant,
    /// The Organization's connection when the reconcile began.
    connection: Option<Arc<Connection>>,
    /// The client, if the connection is open for the object's namespace.
    client: Option<Client>,
    local: LocalEntry,
}

/// Issues the requested access, and deletes the object after the access ended.
///
/// # Errors
/// None: failures go to the status.
pub async fn reconcile(
    object: Arc<TemporaryPermissionGrant>,
    context: SharedContext,
    local_state: Arc<LocalState>,
) -> Result<(Action, Outcome), ReconcileError> {
    // Boxed: thousands of reconciles wait at a time, and most of them need little of the future.
    Ok(Box::pin(run(&object, &context, &local_state)).await)
}

async fn run(object: &TemporaryPermissionGrant, context: &Context, local_state: &LocalState) -> (Action, Outcome) {
    let mut local = local_state.take(object);
    let observed = observe(object, &mut local, context).await; // (client)
    let connection = match observed {
        Ok(connection) => connection,
        Err(NotReady { retry_after }) => {
            local_state.keep(object, local);
            return (Action::requeue(retry_after), Outcome::Waiting);
        }
    };
    let spec = validate(object, connection.as_deref(), context); // (pure)
    let mut status = local.take_status(object, context.clock.boot()); // (pure)
    let (mut reconciliation, mut input) = (Reconciliation::new(object, connection, local, context), Input::Start);
    for _ in 0..MAX_STEPS {
        let now = reconciliation.now();
        let (next, effect) = grant::step(&spec, &status, input, now); // plan (pure)
        let before = std::mem::replace(&mut status, next);
        let applied = reconciliation.apply(effect, &status.record).await; // (client)
        input = match applied {
            Applied::Input(input) => input,
            Applied::End(end) => return report(reconciliation, LastStep { before, after: status, end }, local_state),
        };
    }
    report::too_many_steps(object, context)
}

impl<'a> Reconciliation<'a> {
    fn new(
        object: &TemporaryPermissionGrant,
        connection: Option<Arc<Connection>>,
        local: LocalEntry,
        context: &'a Context,
    ) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let client = connection.as_ref().and_then(|connection| connection.client_for(&namespace).ok().cloned());
        Self { context, object: object.clone(), connection, client, local }
    }

    fn now(&self) -> Now {
        Now { wall: self.wall(), boot: self.context.clock.boot(), random: rand::random() }
    }

    fn wall(&self) -> Timestamp {
        self.context.amigo_time(self.connection.as_deref())
    }

    fn organization_uid(&self) -> &str {
        self.connection.as_ref().map_or("", |connection| &connection.uid)
    }
}

/// Announces the deletion of an object that the watch no longer lists.
pub fn deleted(object: &TemporaryPermissionGrant, local_state: &LocalState, context: &Context) {
    let mut pending = local_state.forget(object).map(|local| local.pending).unwrap_or_default();
    let record = object.status.clone().unwrap_or_default();
    pending.record_observed(object, &record, context);
    let now = context.amigo_time(context.connections.get(&object.spec.organization_ref.name).as_deref());
    if pending.expiry {
        emit_expiry(object, now, context);
    } else if record.phase != Some(Phase::Expired) && local_state.claim_deletion(object) {
        emit_deletion(object, &record, now, context);
    }
}
