//! The rate budgets of one organization, as something to wait for.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_runtime::clock::SharedClock;
use tokio::sync::Notify;

use super::{
    Cause, Endpoint, Error,
    budget::{Booking, Bucket, NotBefore, WINDOW},
};

/// Learns of every call and of every wait; for metrics. Must not block.
pub trait Observe: Send + Sync {
    /// One HTTP call ended, with the HTTP status of its answer or with an error.
    fn call(&self, endpoint: Endpoint, ended: Result<u16, &Error>, took: Duration);

    /// A call took its budget, so long after it was booked, which may be at once.
    fn budget_wait(&self, endpoint: Endpoint, wait: Duration);
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn call(&self, _: Endpoint, _: Result<u16, &Error>, _: Duration) {}

    fn budget_wait(&self, _: Endpoint, _: Duration) {}
}

/// The rate budgets of one organization. They outlive a change of credentials and of limits, because the documented limits
/// are those of the organization (rate-limit page; the API document says "user", so the stricter reading holds).
///
/// # Expected flow
/// The client takes one call from a budget before each HTTP call. Grants are booked ahead with [`Budgets::reserve`].
///
/// # Guarantees
/// Those of [`Bucket`], for each endpoint.
///
/// # Assumptions
/// One process at a time calls with these limits; a successor starts with a quarter of them.
///
/// # Caveats
/// An override counts calls a minute and may exceed what is documented.
///
/// # Errors
/// None: waiting is cancelled by dropping the future.
pub struct Budgets {
    buckets: BTreeMap<Endpoint, Mutex<Bucket>>,
    paced: tokio::sync::Mutex<Duration>,
    resized: Notify,
    observer: Arc<dyn Observe>,
    clock: SharedClock,
}

/// The right to begin one call, already counted.
#[derive(Debug)]
pub(super) struct Permit(());

/// How much of a budget is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Calls allowed in every minute.
    pub allowed: usize,
    /// Calls begun in the last minute.
    pub used: usize,
    /// Calls booked but not begun.
    pub waiting: usize,
}

/// Calls booked ahead. Dropping it gives back what was not used.
pub struct Reservation {
    budgets: Arc<Budgets>,
    endpoint: Endpoint,
    booking: Booking,
    booked_at: Duration,
    remaining: u32,
    send_before: Option<Duration>,
}

impl Budgets {
    /// `share_percent` (1 to 100) of every documented limit, or what `overrides` says in calls a minute; at least 1.
    #[must_use]
    pub fn new(share_percent: u32, overrides: &BTreeMap<Endpoint, u32>, clock: SharedClock) -> Self {
        let now = clock.boot();
        let bucket = |endpoint| (endpoint, Mutex::new(Bucket::new(allowed(endpoint, share_percent, overrides), now)));
        Self {
            buckets: Endpoint::ALL.into_iter().map(bucket).collect(),
            paced: tokio::sync::Mutex::new(Duration::ZERO),
            resized: Notify::new(),
            observer: Arc::new(Unobserved),
            clock,
        }
    }

    /// The same budgets, watched.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observe>) -> Self {
        self.observer = observer;
        self
    }

    /// Other limits from now on, in the words of [`Budgets::new`]; what was used and booked goes on counting.
    pub fn resize(&self, share_percent: u32, overrides: &BTreeMap<Endpoint, u32>) {
        let now = self.clock.boot();
        for endpoint in Endpoint::ALL {
            if self.bucket(endpoint).resize(allowed(endpoint, share_percent, overrides), now) {
                self.resized.notify_waiters();
            }
        }
    }

    /// Whether no call counts any more, none is booked and no pause lasts.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let now = self.clock.boot();
        Endpoint::ALL.into_iter().all(|endpoint| self.bucket(endpoint).is_at_rest(now))
    }

    /// Books `calls` calls and does not wait.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, endpoint: Endpoint, calls: u32) -> Reservation {
        let booked_at = self.clock.boot();
        let booking = self.bucket(endpoint).book(calls, booked_at);
        Reservation { budgets: Arc::clone(self), endpoint, booking, booked_at, remaining: calls, send_before: None }
    }

    /// How much of the endpoint's budget is in use.
    #[must_use]
    pub fn usage(&self, endpoint: Endpoint) -> Usage {
        let mut bucket = self.bucket(endpoint);
        Usage { allowed: bucket.allowed(), used: bucket.used(self.clock.boot()), waiting: bucket.waiting() }
    }

    /// Waits for the turn of one call, in order of asking. Dropping the future gives the turn back.
    pub(super) async fn acquire(self: &Arc<Self>, endpoint: Endpoint) -> Permit {
        let mut reservation = self.reserve(endpoint, 1);
        loop {
            // Listening before the turn is asked for, so that no change is missed in between.
            let resized = self.resized.notified();
            let Err(NotBefore(at)) = reservation.try_begin() else { return Permit(()) };
            // At least a moment, so that a clock that stands still cannot make this spin.
            let wait = at.saturating_sub(self.clock.boot()).max(Duration::from_millis(1));
            // With more calls a minute the turn may come earlier.
            tokio::time::timeout(wait, resized).await.ok();
        }
    }

    /// Waits so that all paced calls together use at most `share_percent` of the endpoint's budget.
    pub(super) async fn pace(&self, endpoint: Endpoint, share_percent: u32) {
        let calls = (self.usage(endpoint).allowed * usize::try_from(share_percent).unwrap_or(100) / 100).max(1);
        let interval = WINDOW / u32::try_from(calls).unwrap_or(u32::MAX);
        let mut next = self.paced.lock().await;
        tokio::time::sleep(next.saturating_sub(self.clock.boot())).await;
        *next = self.clock.boot() + interval;
    }

    /// Takes note of a 429.
    pub(super) fn limited(&self, endpoint: Endpoint, retry_after: Option<Duration>) {
        self.bucket(endpoint).limited(retry_after, self.clock.boot());
    }

    /// Takes note of a call that was accepted.
    pub(super) fn succeeded(&self, endpoint: Endpoint) {
        self.bucket(endpoint).succeeded();
    }

    pub(super) fn observer(&self) -> &dyn Observe {
        &*self.observer
    }

    fn bucket(&self, endpoint: Endpoint) -> MutexGuard<'_, Bucket> {
        // A bucket is whole between any two statements, so a panic elsewhere cannot have spoilt it.
        self.buckets[&endpoint].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls a minute of one endpoint.
fn allowed(endpoint: Endpoint, share_percent: u32, overrides: &BTreeMap<Endpoint, u32>) -> u32 {
    overrides.get(&endpoint).copied().unwrap_or(endpoint.limit() * share_percent.clamp(1, 100) / 100)
}

impl fmt::Debug for Budgets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(Endpoint::ALL.map(|endpoint| (endpoint, self.usage(endpoint)))).finish()
    }
}

impl Reservation {
    /// The boot time at which the next of the calls may begin; it moves if the server asks for a pause. With none left: now.
    #[must_use]
    pub fn ready_at(&self) -> Duration {
        let turn = self.budgets.bucket(self.endpoint).turn(&self.booking);
        turn.unwrap_or_else(|| self.budgets.clock.boot())
    }

    /// How many of the calls have not begun.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// Sets the boot time after which none of the calls may start: not a byte of its body is sent later.
    pub fn set_send_before(&mut self, boot: Duration) {
        self.send_before = Some(boot);
    }

    pub(super) fn send_before(&self) -> Option<Duration> {
        self.send_before
    }

    /// Counts one call as begun. With none left one more is booked, behind all others.
    ///
    /// # Errors
    /// `Budget` if its turn has not come; `TooLate` if the time to send has passed.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let endpoint = self.endpoint;
        let now = self.budgets.clock.boot();
        if self.send_before.is_some_and(|limit| now >= limit) {
            return Err(Error::new(endpoint, Cause::TooLate));
        }
        if self.remaining == 0 {
            self.budgets.bucket(endpoint).extend(&self.booking, now);
            (self.booked_at, self.remaining) = (now, 1);
        }
        self.try_begin().map_err(|NotBefore(at)| Error::new(endpoint, Cause::Budget { wait: at.saturating_sub(now) }))
    }

    fn try_begin(&mut self) -> Result<(), NotBefore> {
        let now = self.budgets.clock.boot();
        self.budgets.bucket(self.endpoint).begin(&self.booking, now)?;
        self.remaining = self.remaining.saturating_sub(1);
        self.budgets.observer.budget_wait(self.endpoint, now.saturating_sub(self.booked_at));
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let now = self.budgets.clock.boot();
        self.budgets.bucket(self.endpoint).cancel(&self.booking, now);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reservation")
            .field("endpoint", &self.endpoint)
            .field("ready_at", &self.ready_at())
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}
