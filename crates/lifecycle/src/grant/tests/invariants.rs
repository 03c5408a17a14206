//! The invariants, checked at every event of the simulator. The names S1 to S12 are those of the protocol.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use amigo_api::{Intent, Phase, TemporaryPermissionGrantStatus, conditions, reasons::condition};
use jiff::SignedDuration;

use super::{
    server::{Amigo, Fate},
    world::at,
};
use crate::grant::{Effect, Post, Spec};

/// An intent with the process that wrote it.
#[derive(Clone, Debug)]
pub(super) struct WrittenIntent {
    pub intent: Intent,
    pub replica: usize,
    pub holder: String,
    pub generation: i64,
    pub committed: Duration,
}

/// Everything that happened so far, outside of the program under test.
#[derive(Clone, Debug)]
pub(super) struct History {
    spec: Spec,
    pub intents: BTreeMap<String, WrittenIntent>,
    /// The requests that were sent, by nonce and slot.
    pub sent: Vec<(String, u32)>,
    pub writes: u32,
    pub posts: u32,
    pub deleted_at: Option<Duration>,
    pub activated: Option<jiff::Timestamp>,
    users: BTreeSet<String>,
    pub permanent: bool,
    pub persistent: bool,
    pub longest_wait: Duration,
    /// The first invariant that did not hold.
    pub violation: Option<String>,
}

impl History {
    pub fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            intents: BTreeMap::new(),
            sent: vec![],
            writes: 0,
            posts: 0,
            deleted_at: None,
            activated: None,
            users: BTreeSet::new(),
            permanent: false,
            persistent: false,
            longest_wait: Duration::ZERO,
            violation: None,
        }
    }

    pub fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(message());
        }
    }

    pub fn record_fate(&mut self, effect: &Effect, fate: Fate) {
        if matches!(effect, Effect::Post { .. } | Effect::Resolve) {
            self.permanent |= matches!(fate, Fate::Invalid | Fate::PartlyInvalid);
        }
        self.persistent |= matches!(fate, Fate::Forbidden | Fate::Invalid | Fate::PartlyInvalid);
        if let Fate::RateLimited(after) = fate {
            self.longest_wait = self.longest_wait.max(Duration::from_secs(after));
        }
    }

    pub fn record_deletion(&mut self, now: Duration) {
        self.deleted_at.get_or_insert(now);
    }

    pub fn record_write(
        &mut self,
        amigo: &Amigo,
        (before, after): (&TemporaryPermissionGrantStatus, &TemporaryPermissionGrantStatus),
        written: Option<WrittenIntent>,
        generation: i64,
        now: Duration,
    ) {
        self.writes += 1;
        self.check(before != after, || "an unchanged status was written".to_owned());
        self.check(after.attempts >= before.attempts, || "S12: attempts decreased".to_owned());
        for phase in [Phase::Expired, Phase::Failed] {
            let is_final = before.phase != Some(phase) || after.phase == Some(phase);
            self.check(is_final, || format!("S12: {phase:?} is final"));
        }
        if before.attempts > 0 {
            self.check(before.activated_at == after.activated_at, || "the start moved".to_owned());
            self.check(before.deadline == after.deadline, || "the deadline moved".to_owned());
            self.check(before.revoke_within == after.revoke_within, || "the leases changed".to_owned());
            self.check(before.user_id == after.user_id, || "the user changed".to_owned());
        }
        self.activated = self.activated.or(after.activated_at);
        if let Some(written) = written.filter(|new| before.intent.as_ref() != Some(&new.intent)) {
            // The same intent with fewer open slots is no new intent.
            if !self.intents.contains_key(&written.intent.nonce) {
                self.check(written.generation == generation, || "S7: an intent for another spec".to_owned());
                let nonce = written.intent.nonce.clone();
                self.intents.insert(nonce, WrittenIntent { committed: now, ..written });
            }
        }
        self.check_status(amigo, after, now);
    }

    /// S6 and S11: every record of a status is in the journal, and belongs to the slot.
    fn check_status(&mut self, amigo: &Amigo, status: &TemporaryPermissionGrantStatus, now: Duration) {
        for grant in &status.grants {
            let entry = amigo.own().find(|entry| entry.grant.id == grant.id && entry.committed <= now);
            self.check(entry.is_some(), || format!("S6: record {} is not in the journal", grant.id));
            let Some(entry) = entry else { continue };
            let same_slot = (entry.slot, entry.lease) == (grant.slot, grant.lease);
            self.check(same_slot, || format!("S11: record {} belongs to another slot", grant.id));
            let same_end = entry.grant.expires_at == grant.expires_at;
            self.check(same_end, || format!("record {} has another end", grant.id));
        }
        let is_active = status.phase == Some(Phase::Active);
        self.check(!is_active || !status.grants.is_empty(), || "S6: active without a record".to_owned());
        let ready = conditions::find(&status.conditions, condition::READY).map(|ready| ready.status.as_str());
        self.check(ready.is_some(), || "a status without a Ready condition".to_owned());
        let is_open = status.intent.is_some() && status.grants.is_empty() && status.phase == Some(Phase::Issuing);
        self.check(!is_open || ready == Some("Unknown"), || format!("an unknown outcome is reported as {ready:?}"));
        let is_ready = ready == Some("True");
        let stalled = conditions::is_true(&status.conditions, condition::STALLED);
        self.check(!is_ready || !stalled, || format!("ready and stalled at once: {status:?}"));
        let is_complete = u32::try_from(status.grants.len()).is_ok_and(|count| count == self.spec.request.slots());
        self.check(!is_ready || is_complete, || "S6: ready without all records".to_owned());
    }

    /// Called immediately before a request is sent.
    pub fn record_post(&mut self, post: &Post, (number, holder): (usize, &str), now: Duration, fate: Fate) {
        if fate == Fate::NotSent {
            return;
        }
        self.posts += 1;
        let nonce = &post.tags["nonce"];
        let written = self.intents.get(nonce).cloned();
        self.check(written.is_some(), || "S4, S5: a request without a stored intent".to_owned());
        let Some(written) = written else { return };
        let by_writer = (written.replica, written.holder.as_str()) == (number, holder);
        self.check(by_writer, || "S4: sent by a process that did not write the intent".to_owned());
        let window = self.spec.timing.send_window;
        self.check(now <= written.committed + window, || "S4: sent after the window".to_owned());
        self.check(written.intent.slots.contains(&post.slot), || "S4: a slot outside of the intent".to_owned());
        let key = (nonce.clone(), post.slot);
        self.check(!self.sent.contains(&key), || "S4: sent twice".to_owned());
        self.sent.push(key);
        self.check(post.duration == written.intent.duration, || "another duration than the intent's".to_owned());
        self.users.insert(post.user_id.clone());
        self.check(self.users.len() == 1, || "one object, two users".to_owned());
        if let Some(deleted) = self.deleted_at {
            self.check(now <= deleted + window, || "S3: sent after the deletion".to_owned());
        }
    }

    /// S1, S2 and S3 for the last record of the journal.
    pub fn check_journal(&mut self, amigo: &Amigo) {
        let Some(new) = amigo.own().last() else { return };
        for other in amigo.own().filter(|other| other.grant.id != new.grant.id) {
            let same = (other.slot, other.lease) == (new.slot, new.lease);
            let apart = other.ends <= new.committed || new.ends <= other.committed;
            self.check(!same || apart, || format!("S1: two live records of one slot: {other:?} and {new:?}"));
        }
        self.check(self.activated.is_some(), || "a record without a start".to_owned());
        let Some(activated) = self.activated else { return };
        // By the server's clock if the operator adopts it, which then has the deadline, too.
        let skew = if amigo.sends_date { amigo.skew } else { 0 };
        let tolerated = SignedDuration::try_from(self.spec.timing.tick).unwrap();
        let tolerated = if amigo.sends_date { tolerated } else { SignedDuration::ZERO };
        let ends = at(new.ends) + SignedDuration::from_millis(skew);
        let latest = activated + self.spec.duration + self.spec.timing.margin() + tolerated;
        self.check(ends <= latest, || format!("S2: ends {ends} after {latest}"));
        if let Some(not_after) = self.spec.not_after {
            self.check(ends <= not_after + tolerated, || "S2: ends after notAfter".to_owned());
        }
        if let (Some(deleted), Some(within)) = (self.deleted_at, self.spec.revoke_within) {
            let in_time = at(new.ends) <= at(deleted) + within;
            self.check(in_time, || "S3: ends too long after the deletion".to_owned());
        }
    }

    /// S3, including records that were created before the deletion.
    pub fn check_revocation(&mut self, amigo: &Amigo) {
        let (Some(deleted), Some(within)) = (self.deleted_at, self.spec.revoke_within) else { return };
        let in_time = amigo.own().all(|entry| at(entry.ends) <= at(deleted) + within);
        self.check(in_time, || "S3: ends too long after the deletion".to_owned());
    }

    /// The longest time from the last fault until the grant is issued.
    pub fn recovery_time(&self) -> Duration {
        let timing = &self.spec.timing;
        let base = if self.persistent { timing.tick * 6 } else { timing.tick / 5 };
        let backoff = (base * 30 * 5 / 4).min(timing.tick * 30);
        timing.quarantine() + timing.commit + timing.tick + backoff.max(self.longest_wait * 5 / 4) * 2
    }

    pub fn gives_up_at(&self) -> jiff::Timestamp {
        self.spec.created_at.saturating_add(self.spec.activation_deadline).unwrap_or(jiff::Timestamp::MAX)
    }

    pub fn shortest() -> SignedDuration {
        amigo_api::duration::SHORTEST_GRANT
    }
}
