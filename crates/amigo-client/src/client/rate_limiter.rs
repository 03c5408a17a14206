//! The rate limits of one organization, for callers that wait.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_runtime::clock::SharedClock;
use tokio::sync::Notify;

use super::{
    sliding_window::{Booking, NotBefore, SlidingWindow, WINDOW},
    turn_queue::Turn,
};
use crate::{Cause, Endpoint, Error};

/// Gets every request and every wait; for metrics. Must not block.
pub trait Observe: Send + Sync {
    /// One HTTP request ended, with the HTTP status of its response or with an error.
    fn request(&self, endpoint: Endpoint, ended: Result<u16, &Error>, took: Duration);

    /// A request waited this long, perhaps not at all, for the rate limit.
    fn rate_limit_wait(&self, endpoint: Endpoint, wait: Duration);
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn request(&self, _: Endpoint, _: Result<u16, &Error>, _: Duration) {}

    fn rate_limit_wait(&self, _: Endpoint, _: Duration) {}
}

/// The rate limiter of one organization: for each endpoint, at most the allowed number of requests begins in every
/// sliding minute, and fewer in the first one: with the requests of a predecessor that used its share until then, at most
/// the documented limit.
///
/// Keep it when credentials or limits change, because the documented limits are those of the organization (rate-limit
/// page; the API document says "user", so this client follows the stricter one). Only one process at a time may use the
/// limits.
pub struct RateLimiter {
    windows: BTreeMap<Endpoint, Mutex<SlidingWindow>>,
    paced: tokio::sync::Mutex<Duration>,
    resized: Notify,
    start: Start,
    observer: Arc<dyn Observe>,
    clock: SharedClock,
}

/// What a new process may send in its first minute, when requests of others still count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A predecessor used its share until now, and others may follow within the minute.
    AfterLeader,
    /// The predecessor, too, started less than a minute ago.
    AfterBriefLeader,
    /// Nobody else uses this share.
    Alone,
}

/// The right to begin one request, already counted at this boot time.
#[derive(Debug)]
pub(super) struct Permit(Duration);

/// How much of a rate limit is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Requests allowed per minute.
    pub allowed: usize,
    /// Requests that began in the last minute.
    pub used: usize,
    /// Requests that are booked but have not begun.
    pub waiting: usize,
}

/// Requests booked in advance. Dropping it releases the unused ones.
pub struct Reservation {
    rate_limiter: Arc<RateLimiter>,
    endpoint: Endpoint,
    booking: Booking,
    booked_at: Duration,
    send_before: Option<Duration>,
}

impl RateLimiter {
    /// `share_percent` (1 to 100) of every documented limit, or the requests per minute in `overrides`, which may exceed the
    /// documented limit; at least 1. It starts as [`Start::AfterLeader`].
    #[must_use]
    pub fn new(share_percent: u32, overrides: &BTreeMap<Endpoint, u32>, clock: SharedClock) -> Self {
        Self::starting(Start::AfterLeader, share_percent, overrides, clock)
    }

    /// As [`RateLimiter::new`], with another first minute.
    #[must_use]
    pub fn starting(start: Start, share_percent: u32, overrides: &BTreeMap<Endpoint, u32>, clock: SharedClock) -> Self {
        let now = clock.boot();
        let window = |endpoint| {
            let (allowed, at_start) = limits(endpoint, share_percent, overrides, start);
            (endpoint, Mutex::new(SlidingWindow::new(allowed, at_start, now)))
        };
        Self {
            windows: Endpoint::ALL.into_iter().map(window).collect(),
            paced: tokio::sync::Mutex::new(Duration::ZERO),
            resized: Notify::new(),
            start,
            observer: Arc::new(Unobserved),
            clock,
        }
    }

    /// Reports to `observer`.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observe>) -> Self {
        self.observer = observer;
        self
    }

    /// Changes the limits, as in [`RateLimiter::new`]. Requests that began or are booked still count.
    pub fn resize(&self, share_percent: u32, overrides: &BTreeMap<Endpoint, u32>) {
        for endpoint in Endpoint::ALL {
            let (allowed, at_start) = limits(endpoint, share_percent, overrides, self.start);
            if self.window(endpoint).resize(allowed, at_start) {
                self.resized.notify_waiters();
            }
        }
    }

    /// Whether a new rate limiter would not allow more: nothing counts, is booked or pauses.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let now = self.clock.boot();
        Endpoint::ALL.into_iter().all(|endpoint| self.window(endpoint).is_idle(now))
    }

    /// Books `requests` requests and does not wait.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, endpoint: Endpoint, requests: u32, turn: Turn) -> Reservation {
        let booking = self.window(endpoint).book(requests, turn);
        let booked_at = self.clock.boot();
        Reservation { rate_limiter: Arc::clone(self), endpoint, booking, booked_at, send_before: None }
    }

    /// How much of the endpoint's rate limit is in use.
    #[must_use]
    pub fn usage(&self, endpoint: Endpoint) -> Usage {
        let mut window = self.window(endpoint);
        Usage { allowed: window.allowed(), used: window.used(self.clock.boot()), waiting: window.waiting() }
    }

    /// Waits for the turn of one request. Dropping the future releases the turn.
    pub(super) async fn acquire(self: &Arc<Self>, endpoint: Endpoint) -> Permit {
        self.reserve(endpoint, 1, Turn::default()).turn().await
    }

    /// How long one more request would wait now.
    #[must_use]
    pub fn wait(&self, endpoint: Endpoint) -> Duration {
        let now = self.clock.boot();
        self.window(endpoint).next_turn(now).saturating_sub(now)
    }

    /// Takes back a permit whose request never reached the server.
    pub(super) fn refund(&self, endpoint: Endpoint, permit: &Permit) {
        self.window(endpoint).refund(permit.0);
        self.resized.notify_waiters();
    }

    /// Waits so that all paced requests together use at most `share_percent` of the endpoint's rate limit.
    pub(super) async fn pace(&self, endpoint: Endpoint, share_percent: u32) {
        let requests = (self.usage(endpoint).allowed * usize::try_from(share_percent).unwrap_or(100) / 100).max(1);
        let interval = WINDOW / u32::try_from(requests).unwrap_or(u32::MAX);
        let mut next = self.paced.lock().await;
        tokio::time::sleep(next.saturating_sub(self.clock.boot())).await;
        *next = self.clock.boot() + interval;
    }

    /// Records a 429.
    pub(super) fn limited(&self, endpoint: Endpoint, retry_after: Option<Duration>) {
        self.window(endpoint).limited(retry_after, self.clock.boot());
    }

    /// Records a success.
    pub(super) fn succeeded(&self, endpoint: Endpoint) {
        self.window(endpoint).succeeded();
    }

    pub(super) fn observer(&self) -> &dyn Observe {
        &*self.observer
    }

    fn window(&self, endpoint: Endpoint) -> MutexGuard<'_, SlidingWindow> {
        // A window is consistent between any two statements, so a panic elsewhere cannot have damaged it.
        self.windows[&endpoint].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests per minute of one endpoint, and those in the first minute.
fn limits(endpoint: Endpoint, share_percent: u32, overrides: &BTreeMap<Endpoint, u32>, start: Start) -> (u32, u32) {
    let limit = endpoint.limit();
    let by_share = limit * share_percent.clamp(1, 100) / 100;
    let (allowed, left) = match overrides.get(&endpoint) {
        Some(allowed) => (*allowed, *allowed),
        None => (by_share, limit - by_share),
    };
    // Three fifths of what the share leaves, and a fifth for each of two brief leaders. Few requests have one of those.
    let at_start = match start {
        Start::AfterLeader => left.saturating_sub((left * 2 / 5).max(1)).min(allowed.div_ceil(4)),
        Start::AfterBriefLeader => (left / 5).min(allowed.div_ceil(16)),
        Start::Alone => allowed,
    };
    (allowed, at_start)
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(Endpoint::ALL.map(|endpoint| (endpoint, self.usage(endpoint)))).finish()
    }
}

impl Reservation {
    /// The boot time at which the remaining requests may begin, or as many as a minute allows. It moves if the server
    /// requests a pause or other requests precede. With none left: now.
    #[must_use]
    pub fn ready_at(&self) -> Duration {
        let now = self.rate_limiter.clock.boot();
        self.rate_limiter.window(self.endpoint).ready_at(&self.booking, now)
    }

    /// Whether it counts against the limits of this rate limiter.
    #[must_use]
    pub fn belongs_to(&self, rate_limiter: &Arc<RateLimiter>) -> bool {
        Arc::ptr_eq(&self.rate_limiter, rate_limiter)
    }

    /// The operation that is booked.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Waits for the turn of the next request.
    pub(super) async fn turn(self) -> Permit {
        let rate_limiter = Arc::clone(&self.rate_limiter);
        loop {
            // Listen before the check, so that no change is missed in between.
            let resized = rate_limiter.resized.notified();
            let at = match self.try_begin() {
                Ok(permit) => return permit,
                Err(NotBefore(at)) => at,
            };
            // At least a millisecond, so that a stopped clock cannot make this spin.
            let wait = at.saturating_sub(rate_limiter.clock.boot()).max(Duration::from_millis(1));
            // A higher limit may bring the turn forward.
            tokio::time::timeout(wait, resized).await.ok();
        }
    }

    /// How many of the requests have not begun.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rate_limiter.window(self.endpoint).left(&self.booking)
    }

    /// Sets the boot time after which no request may start: no byte of its body is sent later.
    pub fn set_send_before(&mut self, boot: Duration) {
        self.send_before = Some(boot);
    }

    pub(super) fn send_before(&self) -> Option<Duration> {
        self.send_before
    }

    /// Counts one request as begun.
    ///
    /// # Errors
    /// `Throttled` if it is not due or none is left; `TooLate` if the time to send has passed.
    pub(super) fn begin(&self) -> Result<Permit, Error> {
        let endpoint = self.endpoint;
        let now = self.rate_limiter.clock.boot();
        if self.send_before.is_some_and(|limit| now >= limit) {
            return Err(Error::new(endpoint, Cause::TooLate));
        }
        self.try_begin()
            .map_err(|NotBefore(at)| Error::new(endpoint, Cause::Throttled { wait: at.saturating_sub(now) }))
    }

    fn try_begin(&self) -> Result<Permit, NotBefore> {
        let now = self.rate_limiter.clock.boot();
        self.rate_limiter.window(self.endpoint).begin(&self.booking, now)?;
        self.rate_limiter.observer.rate_limit_wait(self.endpoint, now.saturating_sub(self.booked_at));
        Ok(Permit(now))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.rate_limiter.window(self.endpoint).cancel(&self.booking);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reservation")
            .field("endpoint", &self.endpoint)
            .field("ready_at", &self.ready_at())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
