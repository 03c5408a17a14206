//! What must hold, checked at every event of the simulator. Names as in the protocol: S1 to S12.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use amigo_api::{Intent, Phase, TemporaryPermissionGrantStatus, conditions, reasons::condition};
use jiff::SignedDuration;

use super::{
    amigo::{Amigo, Fate},
    world::at,
};
use crate::grant::{Effect, Post, Spec};

/// An intent with who wrote it down, and when.
#[derive(Clone, Debug)]
pub(super) struct Intended {
    pub intent: Intent,
    pub replica: usize,
    pub holder: String,
    pub generation: i64,
    pub committed: Duration,
}

/// What happened so far, kept outside of the program under test.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    spec: Spec,
    pub intents: BTreeMap<String, Intended>,
    sent: BTreeSet<(String, u32)>,
    pub writes: u32,
    pub posts: u32,
    pub deleted_at: Option<Duration>,
    pub activated: Option<jiff::Timestamp>,
    users: BTreeSet<String>,
    pub permanent: bool,
    pub persistent: bool,
    pub longest_wait: Duration,
}

impl Ledger {
    pub fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            intents: BTreeMap::new(),
            sent: BTreeSet::new(),
            writes: 0,
            posts: 0,
            deleted_at: None,
            activated: None,
            users: BTreeSet::new(),
            permanent: false,
            persistent: false,
            longest_wait: Duration::ZERO,
        }
    }

    pub fn met(&mut self, effect: &Effect, fate: Fate) {
        if matches!(effect, Effect::Post { .. } | Effect::Resolve) {
            self.permanent |= matches!(fate, Fate::Hopeless | Fate::InconsistentPages);
        }
        self.persistent |= matches!(fate, Fate::Forbidden | Fate::Hopeless | Fate::InconsistentPages);
        if let Fate::Limited(after) = fate {
            self.longest_wait = self.longest_wait.max(Duration::from_secs(after));
        }
    }

    pub fn deleted(&mut self, now: Duration) {
        self.deleted_at.get_or_insert(now);
    }

    /// A status was stored.
    pub fn stored(
        &mut self,
        amigo: &Amigo,
        before: &TemporaryPermissionGrantStatus,
        after: &TemporaryPermissionGrantStatus,
        intended: Option<Intended>,
        generation: i64,
        now: Duration,
    ) {
        self.writes += 1;
        assert_ne!(before, after, "an unchanged status was written");
        assert!(after.attempts >= before.attempts, "S12: attempts went back");
        for over in [Phase::Expired, Phase::Failed] {
            assert!(before.phase != Some(over) || after.phase == Some(over), "S12: {over:?} is final");
        }
        if before.attempts > 0 {
            assert_eq!(before.activated_at, after.activated_at, "the start moved");
            assert_eq!(before.deadline, after.deadline, "the deadline moved");
            assert_eq!(before.revoke_within, after.revoke_within, "the leases changed");
            assert_eq!(before.user_id, after.user_id, "the user changed");
        }
        self.activated = self.activated.or(after.activated_at);
        if let Some(intended) = intended.filter(|new| before.intent.as_ref() != Some(&new.intent)) {
            let nonce = intended.intent.nonce.clone();
            // Fewer open slots of the same intent are no new intent.
            self.intents.entry(nonce).or_insert_with(|| {
                assert_eq!(intended.generation, generation, "S7: an intent for another spec");
                Intended { committed: now, ..intended }
            });
        }
        self.check_claims(amigo, after, now);
    }

    /// S6 and S11: what a status claims is in the journal, and ours.
    fn check_claims(&self, amigo: &Amigo, record: &TemporaryPermissionGrantStatus, now: Duration) {
        for grant in &record.grants {
            let entry = amigo.ours().find(|entry| entry.found.id == grant.id && entry.committed <= now);
            let entry = entry.expect("S6: a status names a record that is not in the journal");
            assert_eq!((entry.slot, entry.lease), (grant.slot, grant.lease), "S11: another slot's record");
            assert_eq!(entry.found.expires_at, grant.expires_at);
        }
        if record.phase == Some(Phase::Active) {
            assert!(!record.grants.is_empty(), "S6: active without a record");
        }
        let ready = conditions::find(&record.conditions, condition::READY).expect("a status has a Ready condition");
        if record.intent.is_some() && record.grants.is_empty() && record.phase == Some(Phase::Issuing) {
            assert_eq!(ready.status, "Unknown", "what is not known is not False");
        }
        let stalled = conditions::is_true(&record.conditions, condition::STALLED);
        assert!(ready.status != "True" || !stalled, "ready and stalled at once: {record:?}");
        let all = u32::try_from(record.grants.len()).unwrap() == self.spec.request.slots();
        assert!(ready.status != "True" || all, "S6: ready without all records");
    }

    /// A request is about to leave.
    pub fn sent(&mut self, post: &Post, (number, holder): (usize, &str), now: Duration, fate: Fate) {
        if fate == Fate::NotSent {
            return;
        }
        self.posts += 1;
        let nonce = &post.tags["nonce"];
        let intended = self.intents.get(nonce).expect("S4, S5: a request without a stored intent");
        let by = (intended.replica, intended.holder.as_str());
        assert_eq!(by, (number, holder), "S4: sent by another process than wrote the intent");
        assert!(now <= intended.committed + self.spec.timing.send_window, "S4: sent after the window");
        assert!(intended.intent.slots.contains(&post.slot), "S4: a slot that the intent does not name");
        assert!(self.sent.insert((nonce.clone(), post.slot)), "S4: sent twice");
        assert_eq!(post.duration, intended.intent.duration);
        self.users.insert(post.user_id.clone());
        assert_eq!(self.users.len(), 1, "one bundle, one user");
        if let Some(deleted) = self.deleted_at {
            assert!(now <= deleted + self.spec.timing.send_window, "S3: sent after the deletion");
        }
    }

    /// S1, S2, S3 over the whole journal, whose last record is new.
    pub fn journal(&self, amigo: &Amigo) {
        let Some(new) = amigo.ours().last() else { return };
        for other in amigo.ours().filter(|other| other.found.id != new.found.id) {
            let same = (other.slot, other.lease) == (new.slot, new.lease);
            let apart = other.ends <= new.committed || new.ends <= other.committed;
            assert!(!same || apart, "S1: two live records of one slot: {other:?} and {new:?}");
        }
        let timing = &self.spec.timing;
        let activated = self.activated.expect("a record without a start");
        let latest = activated + self.spec.duration + timing.margin();
        assert!(at(new.ends) <= latest, "S2: ends {} after {latest}", at(new.ends));
        if let Some(not_after) = self.spec.not_after {
            assert!(at(new.ends) <= not_after, "S2: ends after notAfter");
        }
        if let (Some(deleted), Some(within)) = (self.deleted_at, self.spec.revoke_within) {
            assert!(at(new.ends) <= at(deleted) + within, "S3: ends too long after the deletion");
        }
    }

    /// S3, once more for records made before the deletion.
    pub fn check_revocation(&self, amigo: &Amigo) {
        let (Some(deleted), Some(within)) = (self.deleted_at, self.spec.revoke_within) else { return };
        for entry in amigo.ours() {
            assert!(at(entry.ends) <= at(deleted) + within, "S3: ends too long after the deletion");
        }
    }

    /// How long it may take after the last fault until all is as it should be.
    pub fn patience(&self) -> Duration {
        let timing = &self.spec.timing;
        let base = if self.persistent { timing.tick * 6 } else { timing.tick / 5 };
        let backoff = base * 30 * 5 / 4;
        timing.quarantine() + timing.commit + timing.tick + backoff.max(self.longest_wait * 5 / 4) * 2
    }

    pub fn gives_up_at(&self) -> jiff::Timestamp {
        self.spec.created_at.saturating_add(self.spec.activation_deadline).unwrap_or(jiff::Timestamp::MAX)
    }

    pub fn shortest() -> SignedDuration {
        amigo_api::duration::SHORTEST_GRANT
    }
}
