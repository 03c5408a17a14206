//! The state of a grant: the stored status, and what only this process remembers.

use std::{collections::BTreeSet, time::Duration};

use super::{PostOutcome, Resolved};
use crate::Failure;
use amigo_api::{Phase, TemporaryPermissionGrantStatus};

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
    /// Whether a look-up of the history changed the record, which is not written yet.
    pub(super) history_found: bool,
    /// The ids resolved in these circumstances.
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
    /// The boot time of the next request to Amigo.
    pub(super) retry_at: Option<Duration>,
    /// The boot time until which the grant is queued for the rate limit.
    pub(super) queued_until: Option<Duration>,
    /// The circumstances of the last reconcile.
    pub(super) circumstances: Option<u64>,
    /// Whether `failure` is the blocker of the spec.
    pub(super) blocked: bool,
    /// Intents that this process may have written and never sent.
    pub(super) never_sent: BTreeSet<String>,
    /// The boot time at which this process noticed that the store once had more attempts than the record read last.
    pub(super) history_lost: Option<Duration>,
    /// The boot time of the next look-up of the history.
    pub(super) next_history_lookup: Option<Duration>,
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
    /// The boot time of the next read.
    pub(super) write_retry_at: Option<Duration>,
}

impl Status {
    /// The state of an object with this record, if this process knows at this boot time that it had so many attempts.
    /// `is_changed`: as for [`Status::observe`].
    #[must_use]
    pub fn resume(
        record: TemporaryPermissionGrantStatus,
        known_attempts: Option<u32>,
        is_changed: bool,
        boot: Duration,
    ) -> Self {
        let history_lost = known_attempts.is_some_and(|known| record.attempts < known).then_some(boot);
        let history_checked = known_attempts.is_some() && history_lost.is_none() && !is_changed;
        Self { memory: Memory { stored: record.clone(), history_lost, history_checked, ..Memory::default() }, record }
    }

    /// The number of attempts, if this process knows all of them.
    #[must_use]
    pub fn known_attempts(&self) -> Option<u32> {
        self.knows_history().then_some(self.memory.stored.attempts)
    }

    /// Whether this process knows that the record has every attempt: it saw the object from the start, or it compared the
    /// record with Amigo, and nobody changed the object since. A record that this process did not write can be an old one,
    /// from a restored backup, without the attempts of another process.
    pub(super) fn knows_history(&self) -> bool {
        self.memory.witnessed || self.memory.history_checked
    }

    /// Takes over a record at this boot time. `is_changed`: whether another client changed the object since this process
    /// last read or wrote it.
    pub fn observe(&mut self, record: TemporaryPermissionGrantStatus, is_changed: bool, boot: Duration) {
        let is_lost = record.attempts < self.memory.stored.attempts;
        if is_lost {
            // The status was wiped, or this is an old copy: only the listing shows what was issued.
            self.memory.history_lost = Some(boot);
        }
        if is_changed || is_lost {
            self.memory.witnessed = false;
            self.memory.history_checked = false;
        }
        self.memory.history_found = false;
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
