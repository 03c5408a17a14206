//! What a written status tells: Events, audit lines, metrics. Pure, but for the metrics.

use amigo_api::{
    Phase, TemporaryPermissionGrantStatus,
    conditions::{self, ConditionStatus},
    reasons::{self, condition},
};
use amigo_lifecycle::grant::final_reason;
use jiff::Timestamp;

use crate::controller::context::Announcement;

/// What happened between two statuses that the store had one after the other.
#[must_use]
pub fn between(before: &TemporaryPermissionGrantStatus, after: &TemporaryPermissionGrantStatus) -> Vec<Announcement> {
    let mut announcements = Vec::new();
    let (then, now) = (ready(before), ready(after));
    if let Some((standing, reason, message)) =
        now.filter(|now| then.is_none_or(|then| (then.0, then.1) != (now.0, now.1)))
    {
        let waits = [
            reasons::ISSUING,
            reasons::QUEUED,
            reasons::PENDING,
            reasons::EXPIRED,
            reasons::SUSPENDED,
            reasons::TERMINATING,
        ]
        .contains(&reason);
        let warning = standing != ConditionStatus::True.as_str() && !waits;
        announcements.push(Announcement { reason, message: message.to_owned(), warning });
    }
    // What is given up in part changes nothing of Ready: the rest is live or not, as before.
    if let Some(reason) = gave_up(before, after).filter(|reason| now.is_none_or(|now| now.1 != *reason)) {
        let stalled = conditions::find(&after.conditions, condition::STALLED);
        let message = stalled.map(|stalled| stalled.message.clone()).unwrap_or_default();
        announcements.push(Announcement { reason, message, warning: true });
    }
    let lease = |status: &TemporaryPermissionGrantStatus| status.grants.iter().map(|grant| grant.lease).max();
    if lease(before).is_some() && lease(after) > lease(before) {
        let until = after.expires_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let message = format!("renewed until {until}");
        announcements.push(Announcement { reason: reasons::RENEWED, message, warning: false });
    }
    announcements
}

/// Whether access went from not live to live.
#[must_use]
pub fn became_active(before: &TemporaryPermissionGrantStatus, after: &TemporaryPermissionGrantStatus) -> bool {
    before.phase != Some(Phase::Active) && conditions::is_true(&after.conditions, condition::READY)
}

/// Why the operator gave up between the two, if it did: on all of it, or on what is missing.
#[must_use]
pub fn gave_up(
    before: &TemporaryPermissionGrantStatus,
    after: &TemporaryPermissionGrantStatus,
) -> Option<&'static str> {
    final_reason(after).filter(|_| final_reason(before).is_none())
}

fn ready(status: &TemporaryPermissionGrantStatus) -> Option<(&str, &'static str, &str)> {
    let ready = conditions::find(&status.conditions, condition::READY)?;
    let reason = reasons::known(&ready.reason)?;
    Some((&ready.status, reason, &ready.message))
}

#[cfg(test)]
mod tests {
    use amigo_api::conditions::{Change, Stamp};

    use super::*;

    const STAMP: Stamp = Stamp { generation: 1, now: Timestamp::UNIX_EPOCH };

    /// Two of three permissions are live; the third is tried again, or given up for this reason.
    fn partly_issued(given_up: Option<&'static str>) -> TemporaryPermissionGrantStatus {
        let mut status = TemporaryPermissionGrantStatus { phase: Some(Phase::Active), ..Default::default() };
        let mut say = |type_, condition_status, reason, message: &str| {
            let change = Change { type_, status: condition_status, reason, message: message.to_owned() };
            conditions::set(&mut status.conditions, change, STAMP);
        };
        say(condition::READY, ConditionStatus::False, reasons::PARTIALLY_ISSUED, "2 of 3 permissions issued");
        if let Some(reason) = given_up {
            say(condition::STALLED, ConditionStatus::True, reason, "not issued before the activation deadline");
        }
        status
    }

    #[test]
    fn what_is_given_up_in_part_is_told() {
        let (before, after) = (partly_issued(None), partly_issued(Some(reasons::ACTIVATION_DEADLINE_EXCEEDED)));
        let told = between(&before, &after);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].reason, told[0].warning), (reasons::ACTIVATION_DEADLINE_EXCEEDED, true));
        assert_eq!(told[0].message, "not issued before the activation deadline");
        assert!(between(&after, &after).is_empty());
    }

    #[test]
    fn what_is_given_up_altogether_is_told_once() {
        let mut after = partly_issued(Some(reasons::INVALID_REQUEST));
        let (reason, message) = (reasons::INVALID_REQUEST, "not so".to_owned());
        let change = Change { type_: condition::READY, status: ConditionStatus::False, reason, message };
        conditions::set(&mut after.conditions, change, STAMP);
        let told = between(&TemporaryPermissionGrantStatus::default(), &after);
        assert_eq!(told.iter().map(|told| told.reason).collect::<Vec<_>>(), [reasons::INVALID_REQUEST]);
    }
}
