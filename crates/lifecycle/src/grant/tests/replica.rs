//! One process of the simulated operator, and the object it reconciles.

use std::time::Duration;

use amigo_api::TemporaryPermissionGrantStatus;

use super::invariants::WrittenIntent;
use crate::grant::{Effect, Input, Spec, Status};

/// The object in the store.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub version: u64,
    pub generation: i64,
    pub being_deleted: bool,
    pub record: TemporaryPermissionGrantStatus,
}

/// What a replica does at present.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "few values in a test")]
pub(super) enum Activity {
    /// Between reconciles; `None` waits for events only.
    Waiting(Option<Duration>),
    Planned(Effect),
    Performed(Input),
    /// The object is gone.
    Finished,
}

/// One process of the operator.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub spec: Spec,
    pub status: Status,
    /// Status and version at the start of the reconcile.
    pub at_start: (Status, u64),
    pub activity: Activity,
    /// The version that its next write requires.
    pub version: u64,
    /// The version in the response that was not applied yet.
    pub response_version: Option<u64>,
    pub cache: Option<Object>,
    pub boot_offset: Duration,
    /// How far its wall clock is ahead, in milliseconds.
    pub skew: i64,
    /// The attempts that the caller knows of while it has no other state of the object.
    pub known_attempts: Option<u32>,
    pub steps: u32,
    /// Whether the caller dropped the state of a settled object.
    pub forgot: bool,
    /// How many status writes it planned: the source of its nonces.
    pub random: u64,
}

impl Replica {
    /// When its wait ends; `None` if it acts, waits for events only, or is finished.
    pub fn wakes_at(&self) -> Option<Duration> {
        match self.activity {
            Activity::Waiting(wake) => wake,
            _ => None,
        }
    }

    /// Whether it has something to do now.
    pub fn is_due(&self, now: Duration) -> bool {
        matches!(self.activity, Activity::Planned(_) | Activity::Performed(_))
            || self.wakes_at().is_some_and(|wake| wake <= now)
    }
}

/// A write that takes effect after its caller timed out.
#[derive(Clone, Debug)]
pub(super) struct Delayed {
    pub due: Duration,
    pub version: u64,
    pub record: Option<TemporaryPermissionGrantStatus>,
    pub written: Option<WrittenIntent>,
}
