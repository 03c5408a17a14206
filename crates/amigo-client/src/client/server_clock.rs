//! How far the clock of a server is ahead of this one.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A `Date` that differs by more is a mistake of the server, not a clock that runs ahead or behind.
const LARGEST_OFFSET: SignedDuration = SignedDuration::from_hours(1);

/// `Date` counts whole seconds, and a response takes a moment to arrive.
const ACCURACY: SignedDuration = SignedDuration::from_secs(2);

/// The clock of a server, compared by the `Date` of its responses (RFC 9110, section 6.6.1).
#[derive(Debug, Default)]
pub struct ServerClock(Mutex<Option<SignedDuration>>);

impl ServerClock {
    /// How far the server's clock was ahead at its last response; zero before the first one.
    #[must_use]
    pub fn offset(&self) -> SignedDuration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_default()
    }

    /// Records the `Date` of a response that arrived at `now`. It must not come from a cache.
    pub(super) fn record(&self, date: Timestamp, now: Timestamp) {
        let offset = now.duration_until(date) + SignedDuration::from_millis(500);
        if offset.abs() > LARGEST_OFFSET {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A stable value: the same clocks must not give a slightly different time at every response.
        if known.is_none_or(|known| (known - offset).abs() > ACCURACY) {
            *known = Some(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset_after(dates: &[i64]) -> i64 {
        let (clock, now) = (ServerClock::default(), Timestamp::from_second(10_000).unwrap());
        for ahead in dates {
            clock.record(now + SignedDuration::from_secs(*ahead), now);
        }
        clock.offset().as_secs()
    }

    #[test]
    fn offset_follows_the_last_response() {
        assert_eq!((offset_after(&[]), offset_after(&[600]), offset_after(&[600, -90])), (0, 600, -89));
    }

    #[test]
    fn offset_ignores_jitter_and_absurd_dates() {
        assert_eq!((offset_after(&[600, 601, 599]), offset_after(&[90, 86_400])), (600, 90));
    }
}
