//! What a written status tells: Events, audit lines, metrics. Pure, but for the metrics.

use jiff::Timestamp;

use crate::{
    controller::context::Announcement,
    crd::{
        Phase, TemporaryPermissionGrantStatus,
        conditions::{self, Standing},
        reasons::{self, condition},
    },
    grant::given_up,
};

/// What happened between two statuses that the store had one after the other.
#[must_use]
pub fn between(before: &TemporaryPermissionGrantStatus, after: &TemporaryPermissionGrantStatus) -> Vec<Announcement> {
    let mut announcements = Vec::new();
    let (then, now) = (ready(before), ready(after));
    if let Some((standing, reason, message)) =
        now.filter(|now| then.is_none_or(|then| (then.0, then.1) != (now.0, now.1)))
    {
        let waits = [reasons::ISSUING, reasons::QUEUED, reasons::PENDING, reasons::EXPIRED, reasons::SUSPENDED]
            .contains(&reason);
        let warning = standing != Standing::True.as_str() && !waits;
        announcements.push(Announcement { reason, message: message.to_owned(), warning });
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
    before.phase != Some(Phase::Active) && conditions::holds(&after.conditions, condition::READY)
}

/// Why the operator gave up between the two, if it did: on all of it, or on what is missing.
#[must_use]
pub fn gave_up(
    before: &TemporaryPermissionGrantStatus,
    after: &TemporaryPermissionGrantStatus,
) -> Option<&'static str> {
    given_up(after).filter(|_| given_up(before).is_none())
}

fn ready(status: &TemporaryPermissionGrantStatus) -> Option<(&str, &'static str, &str)> {
    let ready = conditions::find(&status.conditions, condition::READY)?;
    let reason = reasons::known(&ready.reason)?;
    Some((&ready.status, reason, &ready.message))
}
