//! Conditions, Events and pauses that Role and `RoleAssignment` share.

use std::time::Duration;

use amigo_api::{
    conditions::{self, ConditionStatus},
    reasons::{self, condition},
};
use amigo_lifecycle::{Failure, RetryClass};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};

use super::{
    audit::AuditLine,
    connection::Link,
    context::{Announcement, Context},
    seniority::label,
};
use crate::telemetry::labels::Outcome;

/// Sets Ready and Stalled from what a pass came to.
pub fn conclude(
    conditions: &mut Vec<Condition>,
    outcome: Result<(&'static str, String), &Failure>,
    (generation, now): (i64, Timestamp),
) {
    let stamp = (generation, now);
    match outcome {
        Ok((reason, message)) => {
            conditions::set(conditions, (condition::READY, ConditionStatus::True, reason), message, stamp);
            conditions::remove(conditions, condition::STALLED);
        }
        Err(failure) => {
            let Failure { reason, message, class, retry_after: _ } = failure;
            conditions::set(conditions, (condition::READY, ConditionStatus::False, reason), message, stamp);
            if *class == RetryClass::Transient {
                conditions::remove(conditions, condition::STALLED);
            } else {
                conditions::set(conditions, (condition::STALLED, ConditionStatus::True, reason), message, stamp);
            }
        }
    }
}

/// How long to leave an object alone after what a pass came to, and how to count it.
pub fn rest_after(result: Result<(), &Failure>, link: Option<&Link>, context: &Context) -> (Duration, Outcome) {
    let resync = link.map_or(Duration::from_mins(10), Link::resync_interval);
    let tick = context.settings.timing.tick;
    let Err(failure) = result else { return (resync, Outcome::Done) };
    match failure.class {
        RetryClass::Transient => (failure.retry_after.unwrap_or_default().max(tick), Outcome::Failed),
        RetryClass::Persistent => (resync.max(tick * 6).min(Duration::from_mins(10)), Outcome::Refused),
        RetryClass::Permanent => (resync.max(tick * 6), Outcome::Refused),
    }
}

/// Tells of one thing that happened: in the audit trail, which stays, and in an Event, which people see.
pub fn tell<K>(object: &K, announcement: Announcement, about: AuditLine, context: &Context)
where
    K: Resource<DynamicType = ()>,
{
    record(object, (announcement.reason, &announcement.message), about, context);
    context.announce(object, announcement);
}

/// Writes one line into the audit trail.
pub fn record<K>(object: &K, (reason, message): (&str, &str), about: AuditLine, context: &Context)
where
    K: Resource<DynamicType = ()>,
{
    context.audit.write(&AuditLine {
        at: Some(context.clock.now()),
        event: reason.to_owned(),
        kind: K::kind(&()).into_owned(),
        object: label(object),
        uid: object.uid().unwrap_or_default(),
        message: message.to_owned(),
        ..about
    });
}

/// What to announce when readiness changed.
#[must_use]
pub fn news(before: &[Condition], after: &[Condition]) -> Option<Announcement> {
    let (then, now) = (conditions::find(before, condition::READY), conditions::find(after, condition::READY)?);
    if then.is_some_and(|then| then.reason == now.reason && then.status == now.status) {
        return None;
    }
    let reason = reasons::known(&now.reason)?;
    Some(Announcement { reason, message: now.message.clone(), warning: now.status != ConditionStatus::True.as_str() })
}
