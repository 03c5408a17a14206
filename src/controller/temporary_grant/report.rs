//! Report: Events and audit lines of a deletion, local state for the next reconcile, and when to reconcile next.
//!
//! The protocol writes the status itself, as an effect.

use std::time::Duration;

use amigo_api::{Phase, TemporaryPermissionGrant};
use amigo_lifecycle::{RetryClass, grant::Status};
use jiff::Timestamp;
use kube::{
    ResourceExt as _,
    runtime::{controller::Action, reflector::ObjectRef},
};

use super::{
    LocalState, MAX_STEPS, Reconciliation,
    announce::{emit_deletion, emit_expiry},
};
use crate::{
    controller::{context::Context, ownership::object_name},
    telemetry::labels::Outcome,
};

/// Limits the wait after a jump of the wall clock.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// Why a reconcile ends.
pub enum End {
    /// The protocol waits until this time, or without one for a change of the object or its Organization.
    Wait(Option<Timestamp>),
    /// The object is deleted.
    Deleted,
    /// The Organization or the object changed since the reconcile began.
    Outdated,
    /// The operator shuts down before a look-up. The next process repeats the look-up.
    Stopped,
}

/// The last step of a reconcile.
pub struct LastStep {
    pub before: Status,
    pub after: Status,
    pub end: End,
}

/// Keeps the local state, announces a deletion, and returns when to reconcile next.
pub fn report(reconciliation: Reconciliation<'_>, step: LastStep, local_state: &LocalState) -> (Action, Outcome) {
    let LastStep { before, after, end } = step;
    match end {
        End::Wait(until) => wait(reconciliation, after, until, local_state),
        End::Outdated => {
            let now = reconciliation.wall();
            // The last step sent and wrote nothing, so the status before it applies.
            wait(reconciliation, before, Some(now), local_state)
        }
        End::Deleted => {
            announce_deletion(reconciliation, &before, &after, local_state);
            (Action::await_change(), Outcome::Done)
        }
        End::Stopped => (Action::await_change(), Outcome::Waiting),
    }
}

/// Reports a protocol that requests effects without end.
pub fn too_many_steps(object: &TemporaryPermissionGrant, context: &Context) -> (Action, Outcome) {
    tracing::error!(
        object = object_name(object),
        steps = MAX_STEPS,
        "a reconcile exceeded its maximum number of steps; this is a bug in the operator"
    );
    (Action::requeue(context.settings.tick), Outcome::Failed)
}

fn wait(
    reconciliation: Reconciliation<'_>,
    status: Status,
    until: Option<Timestamp>,
    local_state: &LocalState,
) -> (Action, Outcome) {
    let now = reconciliation.wall();
    let Reconciliation { context, object, mut local, .. } = reconciliation;
    let outcome = outcome(&status);
    local.update(&object, status);
    let may_be_deleted = local.pending.expiry;
    local_state.keep(&object, local);
    if may_be_deleted && !is_in_store(&object, context) && local_state.forget(&object).is_some() {
        // The watch reported the deletion while this reconcile had the pending announcement.
        emit_expiry(&object, now, context);
    }
    let action = until.map_or_else(Action::await_change, |until| {
        let wait = Duration::try_from(now.duration_until(until)).unwrap_or_default();
        // One millisecond more, because a timer that fires early would find nothing due.
        Action::requeue(wait.min(MAX_WAIT) + Duration::from_millis(1))
    });
    (action, outcome)
}

fn outcome(status: &Status) -> Outcome {
    match (status.record.phase, status.failure()) {
        (Some(Phase::Failed), _) => Outcome::Refused,
        (_, Some(failure)) if failure.class == RetryClass::Transient => Outcome::Failed,
        (_, Some(_)) => Outcome::Refused,
        (Some(Phase::Active | Phase::Expired), None) => Outcome::Done,
        (_, None) => Outcome::Waiting,
    }
}

fn is_in_store(object: &TemporaryPermissionGrant, context: &Context) -> bool {
    let found = context.stores.grants.get(&ObjectRef::from_obj(object));
    found.is_some_and(|found| found.uid() == object.uid())
}

/// The operator deleted the object after its access ended, or another client deleted it during the reconcile.
fn announce_deletion(reconciliation: Reconciliation<'_>, before: &Status, after: &Status, local_state: &LocalState) {
    let now = reconciliation.wall();
    let Reconciliation { context, object, local, .. } = reconciliation;
    if local.pending.expiry {
        emit_expiry(&object, now, context);
    } else if after.record.phase != Some(Phase::Expired) && local_state.claim_deletion(&object) {
        // The last step may have removed the grants that are still live.
        let live = if after.record.grants.is_empty() { &before.record } else { &after.record };
        emit_deletion(&object, live, now, context);
    }
}
