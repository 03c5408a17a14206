//! A clock that tests control.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{Clock, SystemClock};

/// A clock for tests. Wall time and boot time can be moved together or separately.
pub struct TestClock {
    start: Mutex<Start>,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
}

struct Start {
    wall: Timestamp,
    boot: Duration,
}

impl TestClock {
    /// Moves only when the test moves it.
    #[must_use]
    pub fn stopped_at(wall: Timestamp) -> Self {
        Self::new(wall, Duration::from_hours(1), || Duration::ZERO)
    }

    /// Runs like the system clock.
    #[must_use]
    pub fn running() -> Self {
        let boot = SystemClock.boot();
        Self::new(SystemClock.now(), boot, move || SystemClock.boot().saturating_sub(boot))
    }

    /// Starts at the Unix epoch and runs like `elapsed`, for example simulated time.
    #[must_use]
    pub fn following(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::new(Timestamp::UNIX_EPOCH, Duration::from_hours(1), elapsed)
    }

    fn new(wall: Timestamp, boot: Duration, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { start: Mutex::new(Start { wall, boot }), elapsed: Box::new(elapsed) }
    }

    /// Moves wall time and boot time forward.
    pub fn advance(&self, by: Duration) {
        let mut start = self.start();
        start.wall += by;
        start.boot += by;
    }

    /// Moves boot time forward; wall time stays.
    pub fn advance_boot(&self, by: Duration) {
        self.start().boot += by;
    }

    /// Sets wall time; boot time stays.
    pub fn set_wall(&self, wall: Timestamp) {
        self.start().wall = wall - (self.elapsed)();
    }

    fn start(&self) -> MutexGuard<'_, Start> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.start().wall + (self.elapsed)()
    }

    fn boot(&self) -> Duration {
        self.start().boot + (self.elapsed)()
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TestClock").field("now", &self.now()).field("boot", &self.boot()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_and_boot_time_move_separately() {
        let clock = TestClock::stopped_at(Timestamp::UNIX_EPOCH);
        let boot = clock.boot();
        clock.advance(Duration::from_secs(2));
        clock.advance_boot(Duration::from_secs(3));
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH + Duration::from_secs(2));
        assert_eq!(clock.boot(), boot + Duration::from_secs(5));
        clock.set_wall(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }
}
