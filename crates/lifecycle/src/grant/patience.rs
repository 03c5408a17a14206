//! When to ask again: quarantine, backoff, and what went wrong so far.

use std::time::Duration;

use amigo_api::Intent;

use super::{Now, Spec, Status, spec::signed};
use crate::{Failure, RetryClass};

impl Status {
    /// Remembers when this process first saw the open intent.
    pub(super) fn notice_intent(&mut self, now: Now) {
        let Some(intent) = &self.record.intent else {
            self.memory.first_seen = None;
            self.memory.next_lookup = None;
            self.memory.lookups = 0;
            self.memory.odd.clear();
            return;
        };
        if self.memory.first_seen.as_ref().is_none_or(|(nonce, _)| *nonce != intent.nonce) {
            self.memory.first_seen = Some((intent.nonce.clone(), now.boot));
            self.memory.next_lookup = None;
            self.memory.lookups = 0;
            self.memory.odd.clear();
        }
    }

    /// "Not found" means "not created" only after the quarantine, timed by this process; for a process that
    /// never lives that long, the intent's own age counts after ten more minutes.
    pub(super) fn quarantine_is_over(&self, spec: &Spec, intent: &Intent, lookup_began: Duration, now: Now) -> bool {
        let held = self.memory.first_seen.as_ref().map(|(_, seen)| lookup_began.saturating_sub(*seen));
        let old = signed(spec.timing.quarantine() + Duration::from_mins(10));
        held.is_some_and(|held| held >= spec.timing.quarantine()) || intent.opened_at.duration_until(now.wall) >= old
    }

    /// Twice as long each time, and exactly once when the quarantine ends.
    pub(super) fn following_lookup(&self, spec: &Spec, now: Now) -> Duration {
        let delay = spec.timing.list_lag * 2_u32.saturating_pow(self.memory.lookups.saturating_sub(1));
        let end = self.memory.first_seen.as_ref().map(|(_, seen)| *seen + spec.timing.quarantine());
        let following = now.boot + delay.clamp(spec.timing.tick / 10, spec.timing.quarantine());
        end.filter(|end| *end > now.boot).map_or(following, |end| following.min(end))
    }

    /// A failure: remembered, and nothing is asked of Amigo before its backoff is over.
    pub(super) fn suffer(&mut self, spec: &Spec, failure: Failure, now: Now) {
        let base = match failure.class {
            RetryClass::Transient => spec.timing.tick / 5,
            RetryClass::Persistent | RetryClass::Permanent => spec.timing.tick * 6,
        };
        let backoff = backoff(base, self.memory.failures, now);
        let delay = failure.retry_after.map_or(backoff, |after| after.max(backoff));
        self.memory.retry_at = now.wall.checked_add(signed(delay)).ok();
        self.memory.failures = self.memory.failures.saturating_add(1);
        self.memory.failure = Some(failure);
    }

    pub(super) fn recover(&mut self) {
        self.memory.failure = None;
        self.memory.failures = 0;
        self.memory.retry_at = None;
    }

    /// The Kubernetes API did not do as asked: read again, later each time.
    pub(super) fn postpone_write(&mut self, spec: &Spec, now: Now) {
        let delay = backoff(spec.timing.tick / 10, self.memory.write_failures, now);
        self.memory.write_failures = self.memory.write_failures.saturating_add(1);
        self.memory.write_retry_at = now.wall.checked_add(signed(delay)).ok();
        self.memory.must_read = true;
    }
}

/// Twice as long each time, up to thirty times the base, and up to a quarter more, so that what failed together
/// does not come back together.
fn backoff(base: Duration, failures: u32, now: Now) -> Duration {
    let delay = (base * 2_u32.saturating_pow(failures.min(5))).min(base * 30);
    let jitter = u32::try_from(now.random % 1000).unwrap_or_default();
    delay + delay * jitter / 4000
}
