//! Durations and deadlines: the first attempt requests the spec's duration, every later one the rest.

use amigo_api::{IssuedGrant, TemporaryPermissionGrantStatus, duration};
use jiff::{SignedDuration, Timestamp};

use super::Spec;

impl Spec {
    /// The latest end of the access for a request that starts now.
    pub(super) fn deadline(&self, activated_at: Timestamp) -> Timestamp {
        let by_duration = activated_at.saturating_add(self.duration).unwrap_or(Timestamp::MAX);
        self.not_after.map_or(by_duration, |not_after| by_duration.min(not_after))
    }

    /// When the grant stops trying to issue permissions that were never issued.
    pub(super) fn gives_up_at(&self) -> Timestamp {
        self.created_at.saturating_add(self.activation_deadline).unwrap_or(Timestamp::MAX)
    }

    /// `revokeWithin`, if the whole duration does not fit into one lease. Otherwise the access ends in time by itself.
    pub(super) fn needed_revoke_within(&self) -> Option<SignedDuration> {
        self.revoke_within.filter(|within| within.saturating_sub(self.timing.margin()) < self.duration)
    }

    /// The length of a lease: `revokeWithin` minus the send window and the commit time.
    pub(super) fn lease_length(&self, record: &TemporaryPermissionGrantStatus) -> Option<SignedDuration> {
        // Committed like the deadline: the Organization's default may have changed since.
        let within = match record.attempts {
            0 => self.needed_revoke_within(),
            _ => record.revoke_within.as_deref().and_then(|within| duration::parse(within).ok()),
        };
        within.map(|within| within.saturating_sub(self.timing.margin()))
    }

    /// The duration to request now; `None` if less than the shortest grant is left.
    pub(super) fn request_duration(&self, record: &TemporaryPermissionGrantStatus, now: Timestamp) -> Option<String> {
        // The committed deadline, not the duration: the Organization's default or maximum may have changed since.
        let committed = record.activated_at.zip(record.deadline).filter(|_| record.attempts > 0);
        let rest = committed.map_or(self.duration, |(activated_at, deadline)| {
            // After a step back of the clock, the rest would be longer than the whole.
            now.duration_until(deadline).min(activated_at.duration_until(deadline))
        });
        let margin = self.timing.margin();
        let until_not_after = self.not_after.map(|end| now.duration_until(end).saturating_sub(margin));
        let lease = self.lease_length(record).map(|length| {
            let until_deadline = now.duration_until(record.deadline.unwrap_or_else(|| self.deadline(now)));
            length.min(until_deadline.saturating_sub(margin))
        });
        let requested = [until_not_after, lease].into_iter().flatten().fold(rest, SignedDuration::min);
        if requested < duration::SHORTEST_GRANT {
            return None;
        }
        // PT2H is sent as PT2H, so that the manifest and the audit record have the same text.
        Some(if requested == self.duration { self.duration_text.clone() } else { duration::format(requested) })
    }

    /// When the next lease is due, by the lifetime that Amigo granted to the current one; `None` without leases, or if
    /// too little time is left to request another that ends later.
    pub(super) fn renews_at(&self, record: &TemporaryPermissionGrantStatus, now: Timestamp) -> Option<Timestamp> {
        self.lease_length(record)?;
        let lease = current_lease(record);
        let present = record.grants.iter().filter(|grant| grant.lease == lease);
        let shortest = present.min_by_key(|grant| grant.expires_at)?;
        let lifetime = shortest.issued_at.duration_until(shortest.expires_at);
        let due =
            shortest.expires_at.saturating_sub(self.timing.renews_before(lifetime)).unwrap_or(shortest.expires_at);
        // If the server's clock is behind, the lifetime looks short or already over.
        let soonest = shortest.issued_at.saturating_add((lifetime / 4).max(duration::SHORTEST_GRANT)).unwrap_or(due);
        let due = due.max(soonest);
        let last_end = record.deadline?.saturating_sub(self.timing.margin()).ok()?;
        let fits = due.max(now).duration_until(last_end) >= duration::SHORTEST_GRANT;
        (fits && last_end > shortest.expires_at).then_some(due)
    }

    /// How much the access ends later (positive) or earlier than requested, if that is more than a minute: the clocks
    /// differ, or the server grants other durations.
    pub(super) fn end_difference(&self, record: &TemporaryPermissionGrantStatus) -> Option<SignedDuration> {
        let (deadline, lease) = (record.deadline?, self.lease_length(record));
        let difference = |grant: &IssuedGrant| {
            let lease_end = lease.and_then(|length| grant.issued_at.checked_add(length).ok());
            lease_end.map_or(deadline, |end| end.min(deadline)).duration_until(grant.expires_at)
        };
        let tolerated = self.timing.margin() + SignedDuration::from_mins(1);
        let largest = record.grants.iter().map(difference).max_by_key(|difference| difference.abs())?;
        (largest.abs() > tolerated).then_some(largest)
    }

    /// When the last access ends that is issued or can still be issued.
    pub(super) fn ends_at(&self, record: &TemporaryPermissionGrantStatus, more_to_come: bool) -> Option<Timestamp> {
        let deadline = record.deadline?;
        let last = record.grants.iter().map(|grant| grant.expires_at).max();
        if record.intent.is_some() {
            let latest = deadline.saturating_add(self.timing.margin()).unwrap_or(Timestamp::MAX);
            return Some(last.map_or(latest, |last| last.max(latest)));
        }
        Some(match last {
            Some(last) if more_to_come => last.max(deadline),
            Some(last) => last,
            None => deadline,
        })
    }
}

/// The lease of the newest records.
pub(super) fn current_lease(record: &TemporaryPermissionGrantStatus) -> u32 {
    record.grants.iter().map(|grant| grant.lease).max().unwrap_or(0)
}
