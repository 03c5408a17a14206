//! What becomes of access when its request is deleted: pure.
//!
//! The operator writes down every attempt before it sends anything. A deletion that holds only for the very version that
//! was read therefore has nothing under way but what that version shows.

use amigo_api::{
    Intent, Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, conditions, duration, reasons,
};
use jiff::{SignedDuration, Timestamp};

use crate::grant::Timing;

/// What becomes of access when its request is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemainingAccess {
    /// Nothing was issued, so there is nothing to go on.
    Nothing,
    /// The access ended before.
    Over,
    /// Access goes on until then.
    Until {
        /// When the last record ends, as Amigo said.
        ends: Timestamp,
        /// Whether it would have been renewed.
        renewed: bool,
    },
    /// The answer to an attempt is open.
    Unknown {
        /// No later than this, where anything can be said.
        latest: Option<Timestamp>,
    },
}

impl RemainingAccess {
    /// Of a request as it is now.
    #[must_use]
    pub fn of(object: &TemporaryPermissionGrant, now: Timestamp) -> Self {
        let nothing = TemporaryPermissionGrantStatus::default();
        let record = object.status.as_ref().unwrap_or(&nothing);
        let live = record.grants.iter().map(|grant| grant.expires_at).filter(|end| *end > now).max();
        if record.phase == Some(Phase::Expired) {
            return Self::Over;
        }
        if let Some(intent) = &record.intent {
            let latest = [latest_end(intent), by_deadline(record)].into_iter().flatten().min();
            return match latest.max(live).filter(|latest| *latest <= now) {
                Some(_) => Self::Over,
                None => Self::Unknown { latest: latest.max(live) },
            };
        }
        // A record of this request that is not what it asks for: the operator does not count it as its own.
        let stranger = conditions::find(&record.conditions, reasons::condition::STALLED)
            .is_some_and(|stalled| stalled.reason == reasons::CONFLICT && stalled.status == "True");
        match live {
            Some(_) | None if stranger => Self::Unknown { latest: None },
            Some(ends) => {
                let renewed = object.spec.revoke_within.is_some() || record.revoke_within.is_some();
                Self::Until { ends, renewed }
            }
            None if record.grants.is_empty() => Self::Nothing,
            None => Self::Over,
        }
    }

    /// When access is over for certain; `None` where that is now, or not known.
    #[must_use]
    pub fn over_at(self) -> Option<Timestamp> {
        match self {
            Self::Nothing | Self::Over => None,
            Self::Until { ends, .. } => Some(ends),
            Self::Unknown { latest } => latest,
        }
    }

    /// One word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Over => "over",
            Self::Until { .. } => "until",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// What an operator adds to every end, with the times it is shipped with.
fn margin() -> SignedDuration {
    let timing = Timing::default();
    timing.margin() + SignedDuration::try_from(timing.tick).unwrap_or_default()
}

/// When a record of an open attempt ends at the latest, by what was asked for.
fn latest_end(intent: &Intent) -> Option<Timestamp> {
    let asked = duration::parse(&intent.duration).ok()?;
    // `openedAt` has lost up to a second.
    intent.opened_at.checked_add(asked + margin() + SignedDuration::from_secs(1)).ok()
}

fn by_deadline(record: &TemporaryPermissionGrantStatus) -> Option<Timestamp> {
    record.deadline?.checked_add(margin()).ok()
}

#[cfg(test)]
mod tests {
    use amigo_api::{IssuedGrant, TemporaryPermissionGrantSpec};

    use super::super::Request;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn now() -> Timestamp {
        at(1000)
    }

    fn issued(slot: u32, ends: i64) -> IssuedGrant {
        IssuedGrant {
            permission_name: Request::Conversation.permission_name(slot).unwrap().to_owned(),
            id: format!("grant-{slot}-{ends}"),
            issued_at: at(0),
            expires_at: at(ends),
            slot,
            lease: 0,
        }
    }

    fn request(name: &str, known: impl FnOnce(&mut TemporaryPermissionGrantStatus)) -> TemporaryPermissionGrant {
        let mut object = TemporaryPermissionGrant::new(name, TemporaryPermissionGrantSpec::default());
        known(object.status.insert(TemporaryPermissionGrantStatus::default()));
        object
    }

    fn intent(duration: &str) -> Intent {
        Intent {
            attempt: 1,
            nonce: "0123456789abcdef".to_owned(),
            holder: "operator".to_owned(),
            opened_at: now(),
            duration: duration.to_owned(),
            lease: 0,
            slots: vec![0],
        }
    }

    #[test]
    fn what_nobody_issued_is_nothing() {
        assert_eq!(RemainingAccess::of(&request("one", |_| ()), now()), RemainingAccess::Nothing);
        let failed = request("one", |status| status.phase = Some(Phase::Failed));
        assert_eq!(RemainingAccess::of(&failed, now()), RemainingAccess::Nothing);
    }

    #[test]
    fn access_goes_on_until_the_last_record_ends() {
        let live = request("one", |status| status.grants = vec![issued(0, 2000), issued(1, 3000)]);
        let remaining_access = RemainingAccess::of(&live, now());
        assert_eq!(remaining_access, RemainingAccess::Until { ends: at(3000), renewed: false });
    }

    #[test]
    fn a_lease_runs_out() {
        let mut leased = request("one", |status| status.grants = vec![issued(0, 1200)]);
        leased.spec.revoke_within = Some("PT5M".to_owned());
        let by_default = request("one", |status| {
            status.grants = vec![issued(0, 1200)];
            status.revoke_within = Some("PT5M".to_owned());
        });
        let runs_out = RemainingAccess::Until { ends: at(1200), renewed: true };
        assert_eq!([leased, by_default].map(|request| RemainingAccess::of(&request, now())), [runs_out, runs_out]);
    }

    #[test]
    fn what_has_ended_is_over() {
        let ended = request("one", |status| status.grants = vec![issued(0, 900)]);
        assert_eq!(RemainingAccess::of(&ended, now()), RemainingAccess::Over);
        let expired = request("one", |status| status.phase = Some(Phase::Expired));
        assert_eq!(RemainingAccess::of(&expired, now()), RemainingAccess::Over);
    }

    #[test]
    fn an_open_answer_is_unknown_up_to_what_was_asked_for() {
        let open = request("one", |status| {
            status.intent = Some(intent("PT4M"));
            status.deadline = Some(at(8200));
        });
        let latest = Some(at(1000 + 240 + 76));
        assert_eq!(RemainingAccess::of(&open, now()), RemainingAccess::Unknown { latest });
        let whole = request("one", |status| {
            status.intent = Some(intent("PT2H"));
            status.deadline = Some(at(8000));
        });
        assert_eq!(RemainingAccess::of(&whole, now()), RemainingAccess::Unknown { latest: Some(at(8075)) });
        assert_eq!(RemainingAccess::of(&whole, at(9000)), RemainingAccess::Over);
    }

    #[test]
    fn a_record_that_ends_later_than_the_open_attempt_counts() {
        let renewing = request("one", |status| {
            status.intent = Some(intent("PT1M"));
            status.deadline = Some(at(8200));
            status.grants = vec![issued(0, 5000)];
        });
        assert_eq!(RemainingAccess::of(&renewing, now()).over_at(), Some(at(5000)));
    }
}
