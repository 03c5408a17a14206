//! The rate limit of one endpoint: a sliding minute with advance booking. Pure: time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// The length of the sliding window, and of the cautious start.
pub const WINDOW: Duration = Duration::from_mins(1);

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The rate limit of one endpoint.
///
/// # Expected flow
/// [`SlidingWindow::book`] returns at once when the requests have their turn. At that time [`SlidingWindow::begin`]
/// records each request, or returns when to try again. [`SlidingWindow::cancel`] releases unused requests. Report a 429
/// to [`SlidingWindow::limited`], and a new limit to [`SlidingWindow::resize`].
///
/// # Guarantees
/// For every order of operations, at most `allowed` requests begin in every window of [`WINDOW`], and at most a
/// quarter of that (rounded up) in the first one, so that a restart stays within the limit. After a change of `allowed`
/// a request begins only if the window that ends with it then contains at most `allowed` requests. Bookings are served in
/// order. `B` booked requests complete after `B / allowed + 1` windows, plus one for the cautious start.
///
/// # Assumptions
/// Times are boot times, which never decrease; an earlier time counts as the latest one seen. The caller bounds
/// `Retry-After`.
///
/// # Caveats
/// A booking is a plan, and `begin` decides: a request that begins late delays those after it. A turn that is canceled
/// before it is due goes to the next booking that fits, which may overtake earlier ones; existing bookings cannot use a
/// turn that is canceled later. Only starts are measured; a slow connection can bring two requests closer together at the
/// server.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    allowed: usize,
    opened: Duration,
    latest: Duration,
    used: VecDeque<Duration>,
    planned: VecDeque<Slot>,
    freed: BTreeMap<Duration, usize>,
    paused_until: Duration,
    next_pause: Duration,
    bookings: u64,
}

/// Requests booked together.
#[derive(Debug, PartialEq, Eq)]
pub struct Booking {
    id: u64,
    ready_at: Duration,
}

/// The request has to wait until this boot time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rate limit allows no request before boot time {0:?}")]
pub struct NotBefore(
    /// When to try again.
    pub Duration,
);

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: Duration,
    booking: u64,
}

impl Booking {
    /// When the requests may begin: all of them, or as many as one window allows.
    #[must_use]
    pub fn ready_at(&self) -> Duration {
        self.ready_at
    }
}

impl SlidingWindow {
    /// `allowed` requests per window (at least 1), starting at boot time `now`.
    #[must_use]
    pub fn new(allowed: u32, now: Duration) -> Self {
        Self {
            allowed: at_least_one(allowed),
            opened: now,
            latest: now,
            used: VecDeque::new(),
            planned: VecDeque::new(),
            freed: BTreeMap::new(),
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

    /// Changes the limit (at least 1); returns whether it differs. Requests that began still count; all bookings keep their
    /// order and get a new plan.
    pub fn resize(&mut self, allowed: u32, now: Duration) -> bool {
        let now = self.advance(now);
        let before = std::mem::replace(&mut self.allowed, at_least_one(allowed));
        let changed = before != self.allowed;
        if changed {
            self.replan(now);
        }
        changed
    }

    /// Whether a new instance would not allow more.
    pub fn is_idle(&mut self, now: Duration) -> bool {
        let now = self.advance(now);
        self.used.is_empty() && self.planned.is_empty() && self.paused_until <= now
    }

    /// Requests that began in the window that ends at `now`.
    pub fn used(&mut self, now: Duration) -> usize {
        self.advance(now);
        self.used.len()
    }

    /// Requests that are booked but have not begun.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.planned.len()
    }

    /// Books `requests` requests; never waits.
    pub fn book(&mut self, requests: u32, now: Duration) -> Booking {
        let now = self.advance(now);
        let id = self.bookings;
        self.bookings += 1;
        let mut rest = usize::try_from(requests).unwrap_or(usize::MAX);
        let mut ready_at = None;
        while rest > 0 {
            let together = rest.min(self.allowed);
            let at = self.take_freed(together, now).unwrap_or_else(|| self.earliest(together, now));
            self.insert(id, at, together);
            ready_at.get_or_insert(at);
            rest -= together;
        }
        Booking { id, ready_at: ready_at.unwrap_or(now) }
    }

    /// Adds one request to a booking, behind all others.
    pub fn extend(&mut self, booking: &Booking, now: Duration) {
        let now = self.advance(now);
        let at = self.earliest(1, now);
        self.insert(booking.id, at, 1);
    }

    /// When the next request of the booking may begin, by the current plan; `None` if none is left.
    #[must_use]
    pub fn turn(&self, booking: &Booking) -> Option<Duration> {
        self.planned.iter().find(|slot| slot.booking == booking.id).map(|slot| slot.at)
    }

    /// Records that one request of the booking begins now.
    ///
    /// # Errors
    /// [`NotBefore`] if it is not due, or if others began late. With nothing left in the booking: `now`.
    pub fn begin(&mut self, booking: &Booking, now: Duration) -> Result<(), NotBefore> {
        let now = self.advance(now);
        let Some(index) = self.planned.iter().position(|slot| slot.booking == booking.id) else {
            return Err(NotBefore(now));
        };
        if self.planned[index].at > now {
            return Err(NotBefore(self.planned[index].at));
        }
        if self.used.len() >= self.limit(now) {
            self.replan(now);
            return Err(NotBefore(self.turn(booking).unwrap_or(now)));
        }
        self.planned.remove(index);
        self.used.push_back(now);
        Ok(())
    }

    /// Takes back a request that began at `begun` and never reached the server: it does not count.
    pub fn refund(&mut self, begun: Duration, now: Duration) {
        let now = self.advance(now);
        if let Some(index) = self.used.iter().rposition(|used| *used == begun) {
            self.used.remove(index);
            self.replan(now);
        }
    }

    /// When one more request could begin, behind all that are booked.
    pub fn next_turn(&mut self, now: Duration) -> Duration {
        let now = self.advance(now);
        self.earliest(1, now)
    }

    /// Releases the unused requests of the booking.
    pub fn cancel(&mut self, booking: &Booking, now: Duration) {
        let now = self.advance(now);
        let freed = &mut self.freed;
        self.planned.retain(|slot| {
            let keep = slot.booking != booking.id;
            if !keep && slot.at >= now {
                *freed.entry(slot.at).or_default() += 1;
            }
            keep
        });
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
        self.pause_until(now + pause, now);
    }

    /// Nothing begins before boot time `until`.
    pub fn pause_until(&mut self, until: Duration, now: Duration) {
        let now = self.advance(now);
        if until > self.paused_until {
            self.paused_until = until;
            self.replan(now);
        }
    }

    /// The server accepted a request: the next 429 without `Retry-After` starts with a short pause again.
    pub fn succeeded(&mut self) {
        self.next_pause = FIRST_PAUSE;
    }

    /// Drops what has left the window. Returns the effective time, which never decreases.
    fn advance(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        while self.used.front().is_some_and(|used| *used + WINDOW <= self.latest) {
            self.used.pop_front();
        }
        self.freed = self.freed.split_off(&self.latest);
        self.latest
    }

    fn limit(&self, at: Duration) -> usize {
        if at < self.opened + WINDOW { self.allowed.div_ceil(4) } else { self.allowed }
    }

    /// The `index`-th of all requests that count, begun ones first. One planned in the past may begin at any moment.
    fn request_at(&self, index: usize) -> Option<Duration> {
        match index.checked_sub(self.used.len()) {
            None => self.used.get(index).copied(),
            Some(index) => self.planned.get(index).map(|slot| slot.at.max(self.latest)),
        }
    }

    fn request_count(&self) -> usize {
        self.used.len() + self.planned.len()
    }

    /// The earliest time behind all bookings at which `together` requests may begin.
    fn earliest(&self, together: usize, now: Duration) -> Duration {
        let last = self.planned.back().map_or(now, |slot| slot.at);
        let at = now.max(self.paused_until).max(last);
        let full_start = self.opened + WINDOW;
        let at =
            if self.request_count() + together > self.limit(at) { at.max(self.after_start(full_start)) } else { at };
        let leaving =
            (self.request_count() + together).checked_sub(self.allowed + 1).and_then(|index| self.request_at(index));
        leaving.map_or(at, |leaving| at.max(leaving + WINDOW))
    }

    /// `full_start` while the cautious start lasts, else no restriction.
    fn after_start(&self, full_start: Duration) -> Duration {
        if self.latest < full_start { full_start } else { Duration::ZERO }
    }

    /// A freed turn at which `together` requests fit between those planned; drops turns that no longer fit.
    fn take_freed(&mut self, together: usize, now: Duration) -> Option<Duration> {
        let candidates: Vec<Duration> =
            self.freed.iter().filter(|(_, count)| **count >= together).map(|(at, _)| *at).collect();
        for at in candidates {
            let fits = at >= now.max(self.paused_until) && self.fits(at, together);
            let left = self.freed.remove(&at).unwrap_or_default() - together;
            if fits {
                if left > 0 {
                    self.freed.insert(at, left);
                }
                return Some(at);
            }
        }
        None
    }

    /// Whether every window stays within its limit with `together` more requests at `at`.
    fn fits(&self, at: Duration, together: usize) -> bool {
        let position = self.used.len() + self.planned.partition_point(|slot| slot.at <= at);
        let first_full = self.opened + WINDOW;
        if at < first_full {
            let starting =
                (0..self.request_count()).filter_map(|index| self.request_at(index)).filter(|at| *at < first_full);
            if starting.count() + together > self.limit(at) {
                return false;
            }
        }
        let with = |index: usize| match index.checked_sub(position) {
            None => self.request_at(index),
            Some(beyond) if beyond < together => Some(at),
            Some(_) => self.request_at(index - together),
        };
        (position.saturating_sub(self.allowed)..position + together).all(|index| {
            match (with(index), with(index + self.allowed)) {
                (Some(early), Some(late)) => late >= early + WINDOW,
                _ => true,
            }
        })
    }

    fn insert(&mut self, booking: u64, at: Duration, requests: usize) {
        let position = self.planned.partition_point(|slot| slot.at <= at);
        for _ in 0..requests {
            self.planned.insert(position, Slot { at, booking });
        }
    }

    /// Plans all bookings again, in their order, around the requests that began and the pause.
    fn replan(&mut self, now: Duration) {
        self.freed.clear();
        for slot in std::mem::take(&mut self.planned) {
            let at = self.earliest(1, now);
            self.planned.push_back(Slot { at, ..slot });
        }
    }
}

fn at_least_one(requests: u32) -> usize {
    usize::try_from(requests).unwrap_or(usize::MAX).max(1)
}
