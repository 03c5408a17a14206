//! When the operator lets a deleted object go although it cannot undo at Amigo what the object did.

use std::time::Duration;

use amigo_api::reasons;
use jiff::{SignedDuration, Timestamp};

use crate::Failure;

/// The time until the operator stops waiting for a cleanup that failed for this reason; zero means now. `None` if it waits
/// until the cleanup succeeds.
///
/// A missing Organization, or one that no longer allows the namespace, may be a GitOps sync in progress. After the grace
/// period nobody will bring it back, and the object would stay forever.
#[must_use]
pub fn release_in(failure: &Failure, deleted_at: Timestamp, grace: Duration, now: Timestamp) -> Option<Duration> {
    if ![reasons::ORGANIZATION_NOT_FOUND, reasons::NAMESPACE_NOT_ALLOWED].contains(&failure.reason) {
        return None;
    }
    let grace = SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX);
    let release_at = deleted_at.saturating_add(grace).unwrap_or(Timestamp::MAX);
    Some(Duration::try_from(now.duration_until(release_at)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RetryClass;

    const GRACE: Duration = Duration::from_mins(10);

    fn left(reason: &'static str, minutes: i64) -> Option<Duration> {
        let deleted_at = Timestamp::from_second(1_000_000).unwrap();
        let failure = Failure::new(reason, RetryClass::Persistent, "it failed");
        release_in(&failure, deleted_at, GRACE, deleted_at + SignedDuration::from_mins(minutes))
    }

    #[test]
    fn unreachable_object_is_released_after_the_grace() {
        for reason in [reasons::ORGANIZATION_NOT_FOUND, reasons::NAMESPACE_NOT_ALLOWED] {
            assert_eq!(left(reason, 0), Some(GRACE));
            assert_eq!(left(reason, 9), Some(Duration::from_mins(1)));
            assert_eq!((left(reason, 10), left(reason, 60)), (Some(Duration::ZERO), Some(Duration::ZERO)));
        }
    }

    #[test]
    fn failures_that_can_end_keep_the_object() {
        for reason in [reasons::FORBIDDEN, reasons::UNAVAILABLE, reasons::SUSPENDED, reasons::ORGANIZATION_NOT_READY] {
            assert_eq!(left(reason, 600), None, "{reason}");
        }
    }
}
