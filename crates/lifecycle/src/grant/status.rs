//! What is known of a grant: the part that is written down, and the part this process remembers.

use std::{collections::BTreeSet, time::Duration};

use amigo_api::{Phase, TemporaryPermissionGrantStatus};
use jiff::Timestamp;

use super::{PostOutcome, Resolved};
use crate::Failure;

/// What is known of a grant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What the object's status holds, or will after the next write.
    pub record: TemporaryPermissionGrantStatus,
    /// What only this process knows.
    pub memory: Memory,
}

/// What this process knows beyond the record. Losing it costs time, never safety.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Memory {
    /// The record as the store last had it, for all we know.
    pub(super) stored: TemporaryPermissionGrantStatus,
    /// Whether this process saw the object before it could have a history.
    pub(super) witnessed: bool,
    /// Whether the listing was asked for a history that the record lacks.
    pub(super) history_checked: bool,
    /// The ids looked up in this pass.
    pub(super) resolved: Option<Resolved>,
    /// Whether budget is reserved.
    pub(super) reserved: bool,
    /// When the quorum read began on which the pass rests.
    pub(super) read_began: Option<Duration>,
    /// The intent that this process committed, perhaps, and has not begun to send.
    pub(super) unsent: Option<String>,
    /// The intent whose requests this process has begun to send in this pass.
    pub(super) sending: Option<String>,
    /// Outcomes of requests that the record does not hold yet, by nonce and slot.
    pub(super) outcomes: Vec<(String, u32, PostOutcome)>,
    /// The open intent's nonce and when this process first saw it.
    pub(super) first_seen: Option<(String, Duration)>,
    /// How often the listing was asked about the open intent.
    pub(super) lookups: u32,
    /// When the last such listing began.
    pub(super) lookup_began: Option<Duration>,
    /// When the listing is asked again.
    pub(super) next_lookup: Option<Duration>,
    /// Records found that carry an attempt's tags and yet do not match: adopted never, replaced never.
    pub(super) odd: BTreeSet<u32>,
    /// What went wrong last.
    pub(super) failure: Option<Failure>,
    /// How many failures in a row.
    pub(super) failures: u32,
    /// Not before then.
    pub(super) retry_at: Option<Timestamp>,
    /// When it is the request's turn in the queue for budget.
    pub(super) turn: Option<Timestamp>,
    /// Whether `failure` is the Organization's obstacle.
    pub(super) obstructed: bool,
    /// Intents that this process wrote, perhaps, and certainly never sent.
    pub(super) never_sent: BTreeSet<String>,
    /// Whether the store once had more attempts than the record read last.
    pub(super) history_lost: bool,
    /// Whether the deletion is under way.
    pub(super) deleting: bool,
    /// Whether this process deleted the object.
    pub(super) gone: bool,
    /// Whether the record must be read before anything is decided.
    pub(super) must_read: bool,
    /// Whether the plan was made for another generation of the spec.
    pub(super) outdated: bool,
    /// How many writes or reads failed in a row.
    pub(super) write_failures: u32,
    /// The Kubernetes API is not asked again before then.
    pub(super) write_retry_at: Option<Timestamp>,
}

impl Status {
    /// What is known when an object is first seen, or read again, with this record.
    #[must_use]
    pub fn seen(record: TemporaryPermissionGrantStatus) -> Self {
        Self { memory: Memory { stored: record.clone(), ..Memory::default() }, record }
    }

    /// Takes over what the cache has, when it is newer than what this process wrote.
    pub fn observe(&mut self, record: TemporaryPermissionGrantStatus) {
        if record.attempts < self.memory.stored.attempts {
            // Somebody wiped the status, or this is an old copy: only the listing can tell what was issued.
            self.memory.history_lost = true;
            self.memory.witnessed = false;
            self.memory.history_checked = false;
        }
        self.memory.stored = record.clone();
        self.record = record;
    }

    /// The record as the store has it, for all we know.
    #[must_use]
    pub fn stored(&self) -> &TemporaryPermissionGrantStatus {
        &self.memory.stored
    }

    /// Whether the grant's life is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.record.phase, Some(Phase::Expired | Phase::Failed))
    }

    /// Whether the record says all there is to know: a process that forgets the rest loses nothing by it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let Memory { failure, must_read, never_sent, outcomes, .. } = &self.memory;
        // After a write in doubt only this process knows what was never sent, and what came of what was.
        let in_doubt = *must_read || !never_sent.is_empty() || !outcomes.is_empty();
        let is_quiet = matches!(self.record.phase, Some(Phase::Active | Phase::Expired)) && failure.is_none();
        is_quiet && self.record.intent.is_none() && !in_doubt
    }

    /// Whether it is queued for budget, so that what it has reserved must be kept.
    #[must_use]
    pub fn waits_for_its_turn(&self) -> bool {
        self.memory.turn.is_some() && !self.is_over() && !self.memory.obstructed
    }

    /// What went wrong last, if it still stands.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.memory.failure.as_ref()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.record != self.memory.stored
    }
}
