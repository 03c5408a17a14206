//! The access that remains when its request is deleted.
//!
//! The operator records every attempt before it sends a request. If the deletion requires the resource version that was
//! read, that version therefore shows every attempt.

use amigo_api::{
    Intent, Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, conditions, duration, reasons,
};
use jiff::{SignedDuration, Timestamp};

use crate::grant::Timing;

/// The access that remains when its request is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemainingAccess {
    /// Nothing was issued.
    Nothing,
    /// The access has ended.
    Over,
    /// The access continues until `ends`.
    Until {
        /// When the last record ends, by the time that Amigo returned.
        ends: Timestamp,
        /// Whether the operator would have renewed it.
        renewed: bool,
    },
    /// The outcome of an attempt is unknown.
    Unknown {
        /// The latest possible end, if known.
        latest: Option<Timestamp>,
    },
}

impl RemainingAccess {
    /// The remaining access of an object as it is now.
    #[must_use]
    pub fn from_object(object: &TemporaryPermissionGrant, now: Timestamp) -> Self {
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
        // A record of this object that does not match its spec is not in the status.
        let mismatched = conditions::find(&record.conditions, reasons::condition::STALLED)
            .is_some_and(|stalled| stalled.reason == reasons::CONFLICT && stalled.status == "True");
        match live {
            Some(_) | None if mismatched => Self::Unknown { latest: None },
            Some(ends) => {
                let renewed = object.spec.revoke_within.is_some() || record.revoke_within.is_some();
                Self::Until { ends, renewed }
            }
            None if record.grants.is_empty() => Self::Nothing,
            None => Self::Over,
        }
    }

    /// When the access has certainly ended; `None` if it has already ended, or if that is unknown.
    #[must_use]
    pub fn ends_at(self) -> Option<Timestamp> {
        match self {
            Self::Nothing | Self::Over => None,
            Self::Until { ends, .. } => Some(ends),
            Self::Unknown { latest } => latest,
        }
    }

    /// A stable word for machine-readable output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Over => "over",
            Self::Until { .. } => "until",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// The margin of the default timing, plus its tolerated clock skew.
fn margin() -> SignedDuration {
    let timing = Timing::default();
    timing.margin() + SignedDuration::try_from(timing.tick).unwrap_or_default()
}

/// The latest end of a record of an open attempt, by the requested duration.
fn latest_end(intent: &Intent) -> Option<Timestamp> {
    let requested = duration::parse(&intent.duration).ok()?;
    // `openedAt` is rounded down to a second.
    intent.opened_at.checked_add(requested + margin() + SignedDuration::from_secs(1)).ok()
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

    fn request(name: &str, change: impl FnOnce(&mut TemporaryPermissionGrantStatus)) -> TemporaryPermissionGrant {
        let mut object = TemporaryPermissionGrant::new(name, TemporaryPermissionGrantSpec::default());
        change(object.status.insert(TemporaryPermissionGrantStatus::default()));
        object
    }

    fn intent(duration: &str) -> Intent {
        Intent {
            creator_user_id: None,
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
    fn unissued_requests_leave_nothing() {
        assert_eq!(RemainingAccess::from_object(&request("one", |_| ()), now()), RemainingAccess::Nothing);
        let failed = request("one", |status| status.phase = Some(Phase::Failed));
        assert_eq!(RemainingAccess::from_object(&failed, now()), RemainingAccess::Nothing);
    }

    #[test]
    fn access_remains_until_last_record_ends() {
        let live = request("one", |status| status.grants = vec![issued(0, 2000), issued(1, 3000)]);
        let remaining_access = RemainingAccess::from_object(&live, now());
        assert_eq!(remaining_access, RemainingAccess::Until { ends: at(3000), renewed: false });
    }

    #[test]
    fn leases_remain_until_their_end() {
        let mut leased = request("one", |status| status.grants = vec![issued(0, 1200)]);
        leased.spec.revoke_within = Some("PT5M".to_owned());
        let by_default = request("one", |status| {
            status.grants = vec![issued(0, 1200)];
            status.revoke_within = Some("PT5M".to_owned());
        });
        let until = RemainingAccess::Until { ends: at(1200), renewed: true };
        assert_eq!([leased, by_default].map(|request| RemainingAccess::from_object(&request, now())), [until, until]);
    }

    #[test]
    fn ended_access_is_over() {
        let ended = request("one", |status| status.grants = vec![issued(0, 900)]);
        assert_eq!(RemainingAccess::from_object(&ended, now()), RemainingAccess::Over);
        let expired = request("one", |status| status.phase = Some(Phase::Expired));
        assert_eq!(RemainingAccess::from_object(&expired, now()), RemainingAccess::Over);
    }

    #[test]
    fn open_intent_is_unknown_until_requested_end() {
        let open = request("one", |status| {
            status.intent = Some(intent("PT4M"));
            status.deadline = Some(at(8200));
        });
        let latest = Some(at(1000 + 240 + 76));
        assert_eq!(RemainingAccess::from_object(&open, now()), RemainingAccess::Unknown { latest });
        let long = request("one", |status| {
            status.intent = Some(intent("PT2H"));
            status.deadline = Some(at(8000));
        });
        assert_eq!(RemainingAccess::from_object(&long, now()), RemainingAccess::Unknown { latest: Some(at(8075)) });
        assert_eq!(RemainingAccess::from_object(&long, at(9000)), RemainingAccess::Over);
    }

    #[test]
    fn records_ending_after_open_attempt_count() {
        let renewing = request("one", |status| {
            status.intent = Some(intent("PT1M"));
            status.deadline = Some(at(8200));
            status.grants = vec![issued(0, 5000)];
        });
        assert_eq!(RemainingAccess::from_object(&renewing, now()).ends_at(), Some(at(5000)));
    }
}
