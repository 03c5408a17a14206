//! The state of a grant: the stored status, and what only this process remembers.

use std::{collections::BTreeSet, time::Duration};

use amigo_api::{Phase, TemporaryPermissionGrantStatus};
use jiff::Timestamp;

use super::{PostOutcome, Resolved};
use crate::Failure;

/// The state of a grant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The object's status, as stored or as the next write will store it.
    pub record: TemporaryPermissionGrantStatus,
    /// State that only this process has.
    pub memory: Memory,
}

/// State beyond the record. Losing it costs time, never safety.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each flag is independent")]
pub struct Memory {
    /// The record as last read from or written to the store.
    pub(super) stored: TemporaryPermissionGrantStatus,
    /// Whether this process saw the object before any attempt could have been made.
    pub(super) witnessed: bool,
    /// Whether the listing was checked for attempts that the record lacks.
    pub(super) history_checked: bool,
    /// The ids resolved in this reconcile.
    pub(super) resolved: Option<Resolved>,
    /// Whether rate limit is reserved.
    pub(super) reserved: bool,
    /// When the quorum read began that this reconcile relies on.
    pub(super) read_began: Option<Duration>,
    /// The intent that this process may have committed and has not started to send.
    pub(super) unsent: Option<String>,
    /// The intent whose requests this process started to send in this reconcile.
    pub(super) sending: Option<String>,
    /// Outcomes of requests that the record does not contain yet, by nonce and slot.
    pub(super) outcomes: Vec<(String, u32, PostOutcome)>,
    /// The open intent's nonce, and when this process first saw it.
    pub(super) first_seen: Option<(String, Duration)>,
    /// How many lookups were made for the open intent.
    pub(super) lookups: u32,
    /// When the last lookup began.
    pub(super) lookup_began: Option<Duration>,
    /// When the next lookup is due.
    pub(super) next_lookup: Option<Duration>,
    /// Slots with a listed record that has the attempt's tags but does not match: it is neither adopted nor replaced.
    pub(super) mismatched: BTreeSet<u32>,
    /// The last failure.
    pub(super) failure: Option<Failure>,
    /// Consecutive failures.
    pub(super) failures: u32,
    /// The earliest time of the next request to Amigo.
    pub(super) retry_at: Option<Timestamp>,
    /// Until when the grant is queued for the rate limit.
    pub(super) queued_until: Option<Timestamp>,
    /// Whether `failure` is the blocker of the spec.
    pub(super) blocked: bool,
    /// Intents that this process may have written and never sent.
    pub(super) never_sent: BTreeSet<String>,
    /// Whether the store once had more attempts than the record that was read last.
    pub(super) history_lost: bool,
    /// Whether a deletion is in progress.
    pub(super) deleting: bool,
    /// Whether this process deleted the object.
    pub(super) gone: bool,
    /// Whether the record must be read before the next decision.
    pub(super) must_read: bool,
    /// Whether the spec in use has another generation than the stored object.
    pub(super) outdated: bool,
    /// Consecutive failures of reads and writes at the Kubernetes API.
    pub(super) write_failures: u32,
    /// The earliest time of the next read.
    pub(super) write_retry_at: Option<Timestamp>,
}

impl Status {
    /// The state of an object with this record, of which this process remembers nothing.
    #[must_use]
    pub fn from_record(record: TemporaryPermissionGrantStatus) -> Self {
        Self { memory: Memory { stored: record.clone(), ..Memory::default() }, record }
    }

    /// Takes over a record that is newer than what this process wrote.
    pub fn observe(&mut self, record: TemporaryPermissionGrantStatus) {
        if record.attempts < self.memory.stored.attempts {
            // The status was wiped, or this is an old copy: only the listing shows what was issued.
            self.memory.history_lost = true;
            self.memory.witnessed = false;
            self.memory.history_checked = false;
        }
        self.memory.stored = record.clone();
        self.record = record;
    }

    /// The record as last read from or written to the store.
    #[must_use]
    pub fn stored(&self) -> &TemporaryPermissionGrantStatus {
        &self.memory.stored
    }

    /// Whether the grant is expired or failed.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.record.phase, Some(Phase::Expired | Phase::Failed))
    }

    /// Whether the record is the complete state, so that the rest can be dropped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let Memory { failure, must_read, never_sent, outcomes, .. } = &self.memory;
        // After a write with an unknown outcome, only this process knows what was sent.
        let in_doubt = *must_read || !never_sent.is_empty() || !outcomes.is_empty();
        let is_quiet = matches!(self.record.phase, Some(Phase::Active | Phase::Expired)) && failure.is_none();
        is_quiet && self.record.intent.is_none() && !in_doubt
    }

    /// Whether the grant is queued for the rate limit, so that its reservations must be kept.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.memory.queued_until.is_some() && !self.is_terminal() && !self.memory.blocked
    }

    /// The last failure, if it was not resolved since.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.memory.failure.as_ref()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.record != self.memory.stored
    }
}
