//! The rate limit of one endpoint: a sliding minute with advance booking. Pure: time is an argument.

use std::{collections::VecDeque, time::Duration};

use super::turn_queue::{Turn, TurnQueue};

/// The length of the sliding window, and of the cautious start.
pub const WINDOW: Duration = Duration::from_mins(1);

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The rate limit of one endpoint.
///
/// # Expected flow
/// [`SlidingWindow::book`] adds requests to the queue. [`SlidingWindow::ready_at`] tells when they have their turn. At
/// that time [`SlidingWindow::begin`] records each request, or returns when to try again. [`SlidingWindow::cancel`]
/// releases unused requests. Report a 429 to [`SlidingWindow::limited`], and a new limit to [`SlidingWindow::resize`].
///
/// # Guarantees
/// For every order of operations, at most `allowed` requests begin in every window of [`WINDOW`], and at most `at_start`
/// in the first one, so that a restart stays within the limit. After a change of `allowed`
/// a request begins only if the window that ends with it then contains at most `allowed` requests. Bookings are served in
/// the order of [`Turn`]. `B` booked requests complete after `B / allowed + 1` windows, plus one for the cautious start.
///
/// # Assumptions
/// Times are boot times, which never decrease; an earlier time counts as the latest one seen. The caller bounds
/// `Retry-After`.
///
/// # Caveats
/// A turn is a plan, and `begin` decides. It moves: later when a booking with precedence arrives or a request begins late,
/// earlier when a booking is canceled. Only starts are measured; a slow connection can bring two requests closer together
/// at the server.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    allowed: usize,
    at_start: usize,
    opened: Duration,
    latest: Duration,
    used: VecDeque<Duration>,
    queue: TurnQueue,
    paused_until: Duration,
    next_pause: Duration,
    bookings: u64,
}

/// Requests booked together.
#[derive(Debug, PartialEq, Eq)]
pub struct Booking {
    id: u64,
    turn: Turn,
}

/// The request has to wait until this boot time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rate limit allows no request before boot time {0:?}")]
pub struct NotBefore(
    /// When to try again.
    pub Duration,
);

impl SlidingWindow {
    /// `allowed` requests per window and `at_start` in the first one (each at least 1), starting at boot time `now`.
    #[must_use]
    pub fn new(allowed: u32, at_start: u32, now: Duration) -> Self {
        Self {
            allowed: at_least_one(allowed),
            at_start: at_least_one(at_start),
            opened: now,
            latest: now,
            used: VecDeque::new(),
            queue: TurnQueue::default(),
            paused_until: now,
            next_pause: FIRST_PAUSE,
            bookings: 0,
        }
    }

    /// Requests that may begin in every window.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// Changes the limits (at least 1); returns whether they differ. Requests that began still count; all bookings keep
    /// their order.
    pub fn resize(&mut self, allowed: u32, at_start: u32) -> bool {
        let before = (self.allowed, self.at_start);
        self.allowed = at_least_one(allowed);
        self.at_start = at_least_one(at_start);
        before != (self.allowed, self.at_start)
    }

    /// Whether a new instance would not allow more.
    pub fn is_idle(&mut self, now: Duration) -> bool {
        let now = self.advance(now);
        self.used.is_empty() && self.waiting() == 0 && self.paused_until <= now
    }

    /// Requests that began in the window that ends at `now`.
    pub fn used(&mut self, now: Duration) -> usize {
        self.advance(now);
        self.used.len()
    }

    /// Requests that are booked but have not begun.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Books `requests` requests; never waits.
    pub fn book(&mut self, requests: u32, turn: Turn) -> Booking {
        let id = self.bookings;
        self.bookings += 1;
        let requests = usize::try_from(requests).unwrap_or(usize::MAX);
        if requests > 0 {
            self.queue.push(id, &turn, requests);
        }
        Booking { id, turn }
    }

    /// How many requests of the booking have not begun.
    #[must_use]
    pub fn left(&self, booking: &Booking) -> usize {
        self.queue.left(booking.id, &booking.turn)
    }

    /// When the rest of the booking may begin: all of it, or as much as one window allows. Without a rest: `now`.
    pub fn ready_at(&mut self, booking: &Booking, now: Duration) -> Duration {
        let together = self.left(booking).min(self.allowed);
        self.turn(booking, together.saturating_sub(1), now).unwrap_or(now)
    }

    /// Records that one request of the booking begins now.
    ///
    /// # Errors
    /// [`NotBefore`] if it is not due. With nothing left in the booking: `now`.
    pub fn begin(&mut self, booking: &Booking, now: Duration) -> Result<(), NotBefore> {
        match self.turn(booking, 0, now) {
            Some(turn) if turn <= self.latest => {
                self.queue.take_one(booking.id, &booking.turn);
                self.used.push_back(self.latest);
                Ok(())
            }
            turn => Err(NotBefore(turn.unwrap_or(now))),
        }
    }

    /// Takes back a request that began at `begun` and never reached the server: it does not count.
    pub fn refund(&mut self, begun: Duration) {
        if let Some(index) = self.used.iter().rposition(|used| *used == begun) {
            self.used.remove(index);
        }
    }

    /// When one more request could begin, behind all that are booked.
    pub fn next_turn(&mut self, now: Duration) -> Duration {
        let now = self.advance(now);
        self.turn_after(self.waiting(), now)
    }

    /// Releases the unused requests of the booking.
    pub fn cancel(&mut self, booking: &Booking) {
        self.queue.remove(booking.id, &booking.turn);
    }

    /// The server responded with 429: nothing begins before `retry_after` has passed or, without it, before a pause that
    /// grows from 5 s to 60 s until a request succeeds.
    pub fn limited(&mut self, retry_after: Option<Duration>, now: Duration) {
        let now = self.advance(now);
        let pause = match retry_after {
            Some(pause) => pause,
            // Requests that were sent together are one event, not several.
            None if now < self.paused_until => return,
            None => {
                let pause = self.next_pause;
                self.next_pause = (pause * 2).min(LONGEST_PAUSE);
                pause
            }
        };
        self.pause_until(now + pause);
    }

    /// Nothing begins before boot time `until`.
    pub fn pause_until(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }

    /// The server accepted a request: the next 429 without `Retry-After` starts with a short pause again.
    pub fn succeeded(&mut self) {
        self.next_pause = FIRST_PAUSE;
    }

    /// When a request of the booking may begin: its next one, or one that is so many `behind` it.
    fn turn(&mut self, booking: &Booking, behind: usize, now: Duration) -> Option<Duration> {
        let now = self.advance(now);
        let ahead = self.queue.ahead(booking.id, &booking.turn)?;
        Some(self.turn_after(ahead + behind, now))
    }

    /// When a request may begin if so many others begin before it, each as early as it may.
    fn turn_after(&self, ahead: usize, now: Duration) -> Duration {
        let whole_windows = u32::try_from(ahead / self.allowed).unwrap_or(u32::MAX);
        // Counted with the requests that began. The one `allowed` places before it must have left the window.
        let place = self.used.len() + ahead % self.allowed;
        let left = place.checked_sub(self.allowed).and_then(|index| self.used.get(index)).map(|used| *used + WINDOW);
        let full_start = self.opened + WINDOW;
        let is_cautious = now < full_start && place >= self.at_start;
        let start = if is_cautious { full_start } else { now };
        let base = start.max(self.paused_until);
        left.map_or(base, |left| left.max(base)).saturating_add(WINDOW.saturating_mul(whole_windows))
    }

    /// Drops what has left the window. Returns the effective time, which never decreases.
    fn advance(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        while self.used.front().is_some_and(|used| *used + WINDOW <= self.latest) {
            self.used.pop_front();
        }
        self.latest
    }
}

fn at_least_one(requests: u32) -> usize {
    usize::try_from(requests).unwrap_or(usize::MAX).max(1)
}
