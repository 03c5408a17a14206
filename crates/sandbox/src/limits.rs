//! Rate limits over a sliding window of one minute.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::operation::Operation;

const WINDOW: Duration = Duration::from_mins(1);

/// When the requests of the last minute were sent, by operation and scope.
#[derive(Debug, Default)]
pub(super) struct Limits {
    windows: BTreeMap<(Operation, String), VecDeque<Duration>>,
}

/// The remaining requests of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Until the oldest counted request leaves the window.
    pub(super) resets_in: Duration,
    /// Whether this request is within the limit.
    pub(super) granted: bool,
}

impl Limits {
    /// Counts a request at the boot time `boot`, unless it exceeds the limit.
    pub(super) fn take(&mut self, operation: Operation, scope: String, limit: u32, boot: Duration) -> Quota {
        let window = self.windows.entry((operation, scope)).or_default();
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
    /// Whole seconds until a rejected request may be repeated, at least one.
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
    fn window_slides() {
        let mut limits = Limits::default();
        assert!(take(&mut limits, 0).granted);
        assert!(take(&mut limits, 30).granted);
        assert!(!take(&mut limits, 59).granted);
        assert!(take(&mut limits, 60).granted);
        assert!(!take(&mut limits, 89).granted);
    }

    #[test]
    fn rejection_names_the_seconds_to_wait() {
        let mut limits = Limits::default();
        take(&mut limits, 10);
        take(&mut limits, 20);
        assert_eq!(take(&mut limits, 50).seconds(), 20);
    }

    #[test]
    fn scopes_have_separate_limits() {
        let mut limits = Limits::default();
        take(&mut limits, 0);
        take(&mut limits, 0);
        assert!(limits.take(SIGN_IN, "other".to_owned(), 2, at(0)).granted);
    }
}
