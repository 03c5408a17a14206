//! The conditions Ready and Stalled of Role and `RoleAssignment`, and when to reconcile them next.

use std::time::Duration;

use amigo_api::{
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use amigo_lifecycle::{Failure, RetryClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    connection::Connection,
    context::{Announcement, Context},
};
use crate::telemetry::labels::Outcome;

/// Sets Ready and Stalled from the result of a reconcile.
pub fn set_ready(conditions: &mut Vec<Condition>, outcome: Result<(&'static str, String), &Failure>, stamp: Stamp) {
    let is_stalled = outcome.as_ref().is_err_and(|failure| failure.class != RetryClass::Transient);
    let (status, reason, message) = match outcome {
        Ok((reason, message)) => (ConditionStatus::True, reason, message),
        Err(failure) => (ConditionStatus::False, failure.reason, failure.message.clone()),
    };
    let ready = Change { type_: condition::READY, status, reason, message };
    let stalled = Change { type_: condition::STALLED, status: ConditionStatus::True, ..ready.clone() };
    conditions::set(conditions, ready, stamp);
    if is_stalled {
        conditions::set(conditions, stalled, stamp);
    } else {
        conditions::remove(conditions, condition::STALLED);
    }
}

/// When to reconcile an object again, and how the metrics count the reconcile.
#[derive(Clone, Copy, Debug)]
pub struct Requeue {
    pub wait: Duration,
    pub outcome: Outcome,
}

/// When to reconcile again after this result.
pub fn requeue_after(result: Result<(), &Failure>, connection: Option<&Connection>, context: &Context) -> Requeue {
    let resync = connection.map_or(Duration::from_mins(10), Connection::resync_interval);
    let tick = context.settings.tick;
    let Err(failure) = result else { return Requeue { wait: resync, outcome: Outcome::Done } };
    let (wait, outcome) = match failure.class {
        // The turn is booked; a later reconcile would delay those behind it.
        RetryClass::Transient if failure.reason == reasons::QUEUED => {
            (failure.retry_after.unwrap_or(tick), Outcome::Waiting)
        }
        RetryClass::Transient => (failure.retry_after.unwrap_or_default().max(tick), Outcome::Failed),
        RetryClass::Persistent => (resync.max(tick * 6).min(Duration::from_mins(10)), Outcome::Refused),
        RetryClass::Permanent => (resync.max(tick * 6), Outcome::Refused),
    };
    Requeue { wait, outcome }
}

/// The Event of a change of readiness.
#[must_use]
pub fn readiness_event(before: &[Condition], after: &[Condition]) -> Option<Announcement> {
    let (then, now) = (conditions::find(before, condition::READY), conditions::find(after, condition::READY)?);
    if then.is_some_and(|then| then.reason == now.reason && then.status == now.status) {
        return None;
    }
    let reason = reasons::known(&now.reason)?;
    Some(Announcement { reason, message: now.message.clone(), warning: now.status != ConditionStatus::True.as_str() })
}
