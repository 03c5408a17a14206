//! Rate limits: at most so many requests within any minute.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::operation::Operation;

const WINDOW: Duration = Duration::from_mins(1);

/// The requests of the last minute, an operation and whoever shares its limit at a time.
#[derive(Debug, Default)]
pub(super) struct Limits {
    windows: BTreeMap<(Operation, String), VecDeque<Duration>>,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Until the oldest counted request leaves the window.
    pub(super) resets_in: Duration,
    /// Whether this request was within the limit.
    pub(super) granted: bool,
}

impl Limits {
    /// Counts one request at `boot` (see `Clock::boot`). A refused request does not count.
    pub(super) fn take(&mut self, operation: Operation, sharer: String, limit: u32, boot: Duration) -> Quota {
        let window = self.windows.entry((operation, sharer)).or_default();
        while window.front().is_some_and(|&start| boot.saturating_sub(start) >= WINDOW) {
            window.pop_front();
        }
        let used = u32::try_from(window.len()).unwrap_or(u32::MAX);
        let granted = used < limit;
        if granted {
            window.push_back(boot);
        }
        let oldest = window.front().copied().unwrap_or(boot);
        let resets_in = WINDOW.saturating_sub(boot.saturating_sub(oldest));
        Quota { limit, remaining: limit.saturating_sub(used + u32::from(granted)), resets_in, granted }
    }
}

impl Quota {
    /// Whole seconds until a refused request may be repeated, at least one.
    pub(super) fn seconds(&self) -> u64 {
        let up = u64::from(self.resets_in.subsec_nanos() > 0);
        (self.resets_in.as_secs() + up).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGN_IN: Operation = Operation::SignInWithApiKey;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn take(limits: &mut Limits, seconds: u64) -> Quota {
        limits.take(SIGN_IN, "acme".to_owned(), 2, at(seconds))
    }

    #[test]
    fn the_window_slides() {
        let mut limits = Limits::default();
        assert!(take(&mut limits, 0).granted);
        assert!(take(&mut limits, 30).granted);
        assert!(!take(&mut limits, 59).granted);
        assert!(take(&mut limits, 60).granted);
        assert!(!take(&mut limits, 89).granted);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let mut limits = Limits::default();
        take(&mut limits, 10);
        take(&mut limits, 20);
        assert_eq!(take(&mut limits, 50).seconds(), 20);
    }

    #[test]
    fn sharers_do_not_disturb_each_other() {
        let mut limits = Limits::default();
        take(&mut limits, 0);
        take(&mut limits, 0);
        assert!(limits.take(SIGN_IN, "other".to_owned(), 2, at(0)).granted);
    }
}
