//! The changes between two statuses that are worth an Event, an audit line or a metric. Pure.

use amigo_api::{
    Phase, TemporaryPermissionGrantStatus,
    conditions::{self, ConditionStatus},
    reasons::{self, condition},
};
use amigo_lifecycle::grant::final_reason;
use jiff::Timestamp;

use crate::controller::context::Announcement;

/// The Events for the change between two consecutive statuses.
#[must_use]
pub fn between(before: &TemporaryPermissionGrantStatus, after: &TemporaryPermissionGrantStatus) -> Vec<Announcement> {
    let mut announcements = Vec::new();
    let (then, now) = (Ready::find(before), Ready::find(after));
    if let Some(Ready { status, reason, message }) =
        now.filter(|now| then.is_none_or(|then| (then.status, then.reason) != (now.status, now.reason)))
    {
        let is_expected = [
            reasons::ISSUING,
            reasons::QUEUED,
            reasons::PENDING,
            reasons::EXPIRED,
            reasons::SUSPENDED,
            reasons::TERMINATING,
        ]
        .contains(&reason);
        let warning = status != ConditionStatus::True.as_str() && !is_expected;
        announcements.push(Announcement { reason, message: message.to_owned(), warning });
    }
    // Ready stays the same if only a part of the request failed.
    if let Some(reason) = final_failure(before, after).filter(|reason| now.is_none_or(|now| now.reason != *reason)) {
        let stalled = conditions::find(&after.conditions, condition::STALLED);
        let message = stalled.map(|stalled| stalled.message.clone()).unwrap_or_default();
        announcements.push(Announcement { reason, message, warning: true });
    }
    let lease = |status: &TemporaryPermissionGrantStatus| status.grants.iter().map(|grant| grant.lease).max();
    if lease(before).is_some() && lease(after) > lease(before) {
        let until = after.expires_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let message = format!("access renewed until {until}");
        announcements.push(Announcement { reason: reasons::RENEWED, message, warning: false });
    }
    announcements
}

/// Whether the access became live.
#[must_use]
pub fn became_active(before: &TemporaryPermissionGrantStatus, after: &TemporaryPermissionGrantStatus) -> bool {
    before.phase != Some(Phase::Active) && conditions::is_true(&after.conditions, condition::READY)
}

/// Why the request, or a part of it, failed permanently between the two statuses.
#[must_use]
pub fn final_failure(
    before: &TemporaryPermissionGrantStatus,
    after: &TemporaryPermissionGrantStatus,
) -> Option<&'static str> {
    final_reason(after).filter(|_| final_reason(before).is_none())
}

/// The condition Ready.
#[derive(Clone, Copy)]
struct Ready<'a> {
    status: &'a str,
    reason: &'static str,
    message: &'a str,
}

impl<'a> Ready<'a> {
    fn find(status: &'a TemporaryPermissionGrantStatus) -> Option<Self> {
        let condition = conditions::find(&status.conditions, condition::READY)?;
        let reason = reasons::known(&condition.reason)?;
        Some(Self { status: &condition.status, reason, message: &condition.message })
    }
}

#[cfg(test)]
mod tests {
    use amigo_api::conditions::{Change, Stamp};

    use super::*;

    const STAMP: Stamp = Stamp { generation: 1, now: Timestamp::UNIX_EPOCH };

    /// Two of three permissions are live. The third is retried, or failed for this reason.
    fn partially_issued(failed: Option<&'static str>) -> TemporaryPermissionGrantStatus {
        let mut status = TemporaryPermissionGrantStatus { phase: Some(Phase::Active), ..Default::default() };
        let mut set = |type_, condition_status, reason, message: &str| {
            let change = Change { type_, status: condition_status, reason, message: message.to_owned() };
            conditions::set(&mut status.conditions, change, STAMP);
        };
        set(condition::READY, ConditionStatus::False, reasons::PARTIALLY_ISSUED, "2 of 3 permissions issued");
        if let Some(reason) = failed {
            set(condition::STALLED, ConditionStatus::True, reason, "not issued before the activation deadline");
        }
        status
    }

    #[test]
    fn partial_failure_is_announced() {
        let (before, after) = (partially_issued(None), partially_issued(Some(reasons::ACTIVATION_DEADLINE_EXCEEDED)));
        let announcements = between(&before, &after);
        assert_eq!(announcements.len(), 1);
        assert_eq!((announcements[0].reason, announcements[0].warning), (reasons::ACTIVATION_DEADLINE_EXCEEDED, true));
        assert_eq!(announcements[0].message, "not issued before the activation deadline");
        assert!(between(&after, &after).is_empty());
    }

    #[test]
    fn complete_failure_is_announced_once() {
        let mut after = partially_issued(Some(reasons::INVALID_REQUEST));
        let (reason, message) = (reasons::INVALID_REQUEST, "not so".to_owned());
        let change = Change { type_: condition::READY, status: ConditionStatus::False, reason, message };
        conditions::set(&mut after.conditions, change, STAMP);
        let announcements = between(&TemporaryPermissionGrantStatus::default(), &after);
        assert_eq!(announcements.iter().map(|one| one.reason).collect::<Vec<_>>(), [reasons::INVALID_REQUEST]);
    }
}
