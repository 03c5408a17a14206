//! The clock as an argument. Only this file reads the time of the operating system.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

#[cfg(any(test, feature = "testing"))]
mod testing;

#[cfg(any(test, feature = "testing"))]
pub use testing::TestClock;

/// Wall time for records, boot time for measurements.
pub trait Clock: Send + Sync {
    /// Wall-clock time; may jump.
    fn now(&self) -> Timestamp;

    /// Time since the machine started, including sleep; never jumps. Only differences are meaningful.
    fn boot(&self) -> Duration;
}

/// A clock to share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The operating system's clock, to share.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[cfg(target_os = "linux")]
    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }

    #[cfg(not(target_os = "linux"))]
    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }
}

impl fmt::Debug for dyn Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
