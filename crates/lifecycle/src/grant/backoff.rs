//! When to retry: quarantine, backoff, and the failures so far.

use std::time::Duration;

use amigo_api::Intent;

use super::{Now, Spec, Status, spec::signed};
use crate::{Failure, RetryClass};

impl Status {
    /// Records when this process first saw the open intent.
    pub(super) fn track_intent(&mut self, now: Now) {
        let first_seen = self.memory.first_seen.as_ref().map(|(nonce, _)| nonce);
        let open = self.record.intent.as_ref().map(|intent| &intent.nonce);
        if open.is_some() && open == first_seen {
            return;
        }
        self.memory.first_seen = open.map(|nonce| (nonce.clone(), now.boot));
        self.memory.next_lookup = None;
        self.memory.lookups = 0;
        self.memory.mismatched.clear();
    }

    /// Whether "not listed" means "not created": after the quarantine by this process's clock. A process that never
    /// lives that long uses the intent's own age, with ten more minutes.
    pub(super) fn quarantine_is_over(&self, spec: &Spec, intent: &Intent, lookup_began: Duration, now: Now) -> bool {
        let observed = self.memory.first_seen.as_ref().map(|(_, seen)| lookup_began.saturating_sub(*seen));
        let old = signed(spec.timing.quarantine() + Duration::from_mins(10));
        observed.is_some_and(|time| time >= spec.timing.quarantine())
            || intent.opened_at.duration_until(now.wall) >= old
    }

    /// The delay doubles with each lookup, and one lookup happens exactly when the quarantine ends.
    pub(super) fn following_lookup(&self, spec: &Spec, now: Now) -> Duration {
        let delay = spec.timing.list_lag * 2_u32.saturating_pow(self.memory.lookups.saturating_sub(1));
        let end = self.memory.first_seen.as_ref().map(|(_, seen)| *seen + spec.timing.quarantine());
        let following = now.boot + delay.clamp(spec.timing.tick / 10, spec.timing.quarantine());
        end.filter(|end| *end > now.boot).map_or(following, |end| following.min(end))
    }

    /// Keeps a failure; no request is sent to Amigo before its backoff ends.
    pub(super) fn record_failure(&mut self, spec: &Spec, failure: Failure, now: Now) {
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

    pub(super) fn clear_failure(&mut self) {
        self.memory.failure = None;
        self.memory.failures = 0;
        self.memory.retry_at = None;
    }

    /// A read or write at the Kubernetes API failed: read the object again, with increasing delay.
    pub(super) fn postpone_read(&mut self, spec: &Spec, now: Now) {
        let delay = backoff(spec.timing.tick / 10, self.memory.write_failures, now);
        self.memory.write_failures = self.memory.write_failures.saturating_add(1);
        self.memory.write_retry_at = now.wall.checked_add(signed(delay)).ok();
        self.memory.must_read = true;
    }
}

/// Doubles with each failure, up to thirty times the base, plus up to a quarter of jitter.
fn backoff(base: Duration, failures: u32, now: Now) -> Duration {
    let delay = (base * 2_u32.saturating_pow(failures.min(5))).min(base * 30);
    let jitter = u32::try_from(now.random % 1000).unwrap_or_default();
    delay + delay * jitter / 4000
}
