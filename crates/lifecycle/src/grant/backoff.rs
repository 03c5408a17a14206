//! When to retry: quarantine, backoff, and the failures so far.

use std::time::Duration;

use super::{Now, Spec, Status};
use crate::{Failure, RetryClass};

/// The longest backoff, in ticks: five minutes. A cause that somebody removes must not delay access for longer.
const LONGEST_BACKOFF: u32 = 30;

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

    /// Whether "not listed" means "not created": after the quarantine, by this process's boot-time clock since it first
    /// saw the intent. The intent's own time comes from a clock that can differ by any amount.
    pub(super) fn quarantine_is_over(&self, spec: &Spec, lookup_began: Duration) -> bool {
        let observed = self.memory.first_seen.as_ref().map(|(_, seen)| lookup_began.saturating_sub(*seen));
        observed.is_some_and(|time| time >= spec.timing.quarantine())
    }

    /// After a look-up of the history. If attempts were lost, the last one can be too recent for the listing: what is
    /// missing then counts only after the quarantine. What was found counts only once it is written to the status.
    pub(super) fn history_looked_up(&mut self, spec: &Spec, is_found: bool, lookup_began: Duration, now: Now) {
        let memory = &mut self.memory;
        let settled = memory.history_lost.map(|lost| lost + spec.timing.quarantine());
        memory.next_history_lookup =
            settled.filter(|settled| lookup_began < *settled).map(|_| now.boot + spec.timing.list_lag);
        memory.history_found = is_found;
        memory.history_checked = !is_found && memory.next_history_lookup.is_none();
    }

    /// The delay doubles with each lookup, and one lookup happens exactly when the quarantine ends.
    pub(super) fn following_lookup(&self, spec: &Spec, now: Now) -> Duration {
        let delay = spec.timing.list_lag * 2_u32.saturating_pow(self.memory.lookups.saturating_sub(1));
        let end = self.memory.first_seen.as_ref().map(|(_, seen)| *seen + spec.timing.quarantine());
        let following = now.boot + delay.clamp(spec.timing.tick / 10, spec.timing.quarantine());
        end.filter(|end| *end > now.boot).map_or(following, |end| following.min(end))
    }

    /// Keeps a failure; no request is sent to Amigo before its backoff ends. The backoff leaves a last try before the
    /// activation deadline.
    pub(super) fn record_failure(&mut self, spec: &Spec, failure: Failure, now: Now) {
        let base = match failure.class {
            RetryClass::Transient => spec.timing.tick / 5,
            RetryClass::Persistent | RetryClass::Permanent => spec.timing.tick * 6,
        };
        let backoff = backoff(base, self.memory.failures, now).min(spec.timing.tick * LONGEST_BACKOFF);
        let last_try = Duration::try_from(now.wall.duration_until(spec.gives_up_at())).unwrap_or_default();
        let backoff = match last_try.saturating_sub(spec.timing.tick) {
            Duration::ZERO => backoff,
            last_try => backoff.min(last_try),
        };
        let delay = failure.retry_after.map_or(backoff, |after| after.max(backoff));
        self.memory.retry_at = Some(now.boot + delay);
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
        self.memory.write_retry_at = Some(now.boot + delay);
        self.memory.must_read = true;
    }
}

/// Doubles with each failure, up to thirty times the base, plus up to a quarter of jitter.
fn backoff(base: Duration, failures: u32, now: Now) -> Duration {
    let delay = (base * 2_u32.saturating_pow(failures.min(5))).min(base * 30);
    let jitter = u32::try_from(now.random % 1000).unwrap_or_default();
    delay + delay * jitter / 4000
}
