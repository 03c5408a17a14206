//! One endpoint's rate budget: a sliding minute with advance booking. Pure: time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// The length of the sliding window, and of the cautious start.
pub const WINDOW: Duration = Duration::from_mins(1);

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The budget of one endpoint.
///
/// # Expected flow
/// [`Bucket::book`] tells at once when the calls have their turn; at that time [`Bucket::begin`] records each call, or
/// says when to come back; [`Bucket::cancel`] gives back what was not used. A 429 goes to [`Bucket::limited`], another
/// number of calls to [`Bucket::resize`].
///
/// # Guarantees
/// Whatever the order of operations, at most `allowed` calls begin in every window of [`WINDOW`], and at most a
/// quarter of that (rounded up) in the first one, so that a restart stays within the limit. After a change of `allowed`
/// a call begins only where the window that ends with it holds no more than is allowed then. Bookings are served in
/// order. `B` booked calls are through after `B / allowed + 1` windows, plus one for the cautious start.
///
/// # Assumptions
/// Times are boot times that do not go back; one that does is taken as the latest one seen. What a server asks for in
/// `Retry-After` is within bounds where it is read.
///
/// # Caveats
/// `begin` is the authority, a booking only a plan: somebody who begins late moves the turn of those after. Freed turns
/// in the future go to the next booking that fits, which may overtake earlier ones; a turn given back after it came is
/// lost to those who wait already. What is measured is the
/// start of a call; a slow connection can bring two calls closer together at the server.
///
/// # Errors
/// [`NotBefore`] only.
#[derive(Clone, Debug)]
pub struct Bucket {
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

/// Calls booked together.
#[derive(Debug, PartialEq, Eq)]
pub struct Booking {
    id: u64,
    ready_at: Duration,
}

/// The call has to wait until this boot time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rate budget allows no call before boot time {0:?}")]
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
    /// When the calls may begin: all of them, or as many as one window allows.
    #[must_use]
    pub fn ready_at(&self) -> Duration {
        self.ready_at
    }
}

impl Bucket {
    /// A bucket of `allowed` calls a window (at least 1), opened at boot time `now`.
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

    /// Calls that may begin in every window.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// Allows another number of calls a window (at least 1); says whether that is news. What was used goes on counting;
    /// all bookings keep their order and are planned again.
    pub fn resize(&mut self, allowed: u32, now: Duration) -> bool {
        let now = self.advance(now);
        let before = std::mem::replace(&mut self.allowed, at_least_one(allowed));
        let is_news = before != self.allowed;
        if is_news {
            self.plan_again(now);
        }
        is_news
    }

    /// Whether it holds nobody back: a new bucket would not allow more.
    pub fn is_at_rest(&mut self, now: Duration) -> bool {
        let now = self.advance(now);
        self.used.is_empty() && self.planned.is_empty() && self.paused_until <= now
    }

    /// Calls begun in the window that ends at `now`.
    pub fn used(&mut self, now: Duration) -> usize {
        self.advance(now);
        self.used.len()
    }

    /// Calls booked but not begun.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.planned.len()
    }

    /// Books `calls` calls and tells when their turn comes; never waits.
    pub fn book(&mut self, calls: u32, now: Duration) -> Booking {
        let now = self.advance(now);
        let id = self.bookings;
        self.bookings += 1;
        let mut rest = usize::try_from(calls).unwrap_or(usize::MAX);
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

    /// Adds one call to a booking, behind all others.
    pub fn extend(&mut self, booking: &Booking, now: Duration) {
        let now = self.advance(now);
        let at = self.earliest(1, now);
        self.insert(booking.id, at, 1);
    }

    /// When the next call of the booking may begin, as planned now; `None` if none is left.
    #[must_use]
    pub fn turn(&self, booking: &Booking) -> Option<Duration> {
        self.planned.iter().find(|slot| slot.booking == booking.id).map(|slot| slot.at)
    }

    /// Records that one call of the booking begins now.
    ///
    /// # Errors
    /// [`NotBefore`] if its turn has not come, or if it has but others began late. With nothing left in the booking: `now`.
    pub fn begin(&mut self, booking: &Booking, now: Duration) -> Result<(), NotBefore> {
        let now = self.advance(now);
        let Some(index) = self.planned.iter().position(|slot| slot.booking == booking.id) else {
            return Err(NotBefore(now));
        };
        if self.planned[index].at > now {
            return Err(NotBefore(self.planned[index].at));
        }
        if self.used.len() >= self.limit(now) {
            self.plan_again(now);
            return Err(NotBefore(self.turn(booking).unwrap_or(now)));
        }
        self.planned.remove(index);
        self.used.push_back(now);
        Ok(())
    }

    /// Gives back what the booking has not used.
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

    /// The server said 429: nothing begins before `retry_after` has passed or, if it did not say, before a pause that
    /// grows from 5 s to 60 s until a call succeeds.
    pub fn limited(&mut self, retry_after: Option<Duration>, now: Duration) {
        let now = self.advance(now);
        let pause = match retry_after {
            Some(pause) => pause,
            // Calls that were under way together are one event, not several.
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
            self.plan_again(now);
        }
    }

    /// The server accepted a call: the next unexplained 429 starts with a short pause again.
    pub fn succeeded(&mut self) {
        self.next_pause = FIRST_PAUSE;
    }

    /// Forgets what has left the window. Returns the time to reckon with, which never goes back.
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

    /// The `index`-th of all calls that count, begun first. One that is planned in the past may begin at any moment.
    fn call(&self, index: usize) -> Option<Duration> {
        match index.checked_sub(self.used.len()) {
            None => self.used.get(index).copied(),
            Some(index) => self.planned.get(index).map(|slot| slot.at.max(self.latest)),
        }
    }

    fn calls(&self) -> usize {
        self.used.len() + self.planned.len()
    }

    /// The earliest time behind all bookings at which `together` calls may begin.
    fn earliest(&self, together: usize, now: Duration) -> Duration {
        let last = self.planned.back().map_or(now, |slot| slot.at);
        let at = now.max(self.paused_until).max(last);
        let full_start = self.opened + WINDOW;
        let at = if self.calls() + together > self.limit(at) { at.max(self.after_start(full_start)) } else { at };
        let leaving = (self.calls() + together).checked_sub(self.allowed + 1).and_then(|index| self.call(index));
        leaving.map_or(at, |leaving| at.max(leaving + WINDOW))
    }

    /// `full_start` while the cautious start lasts, else no restriction.
    fn after_start(&self, full_start: Duration) -> Duration {
        if self.latest < full_start { full_start } else { Duration::ZERO }
    }

    /// A freed turn at which `together` calls fit between those planned; turns that do not fit any more are dropped.
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

    /// Whether every window still holds its limit with `together` more calls at `at`.
    fn fits(&self, at: Duration, together: usize) -> bool {
        let place = self.used.len() + self.planned.partition_point(|slot| slot.at <= at);
        let first_full = self.opened + WINDOW;
        if at < first_full {
            let starting = (0..self.calls()).filter_map(|index| self.call(index)).filter(|call| *call < first_full);
            if starting.count() + together > self.limit(at) {
                return false;
            }
        }
        let with = |index: usize| match index.checked_sub(place) {
            None => self.call(index),
            Some(beyond) if beyond < together => Some(at),
            Some(_) => self.call(index - together),
        };
        (place.saturating_sub(self.allowed)..place + together).all(|index| {
            match (with(index), with(index + self.allowed)) {
                (Some(early), Some(late)) => late >= early + WINDOW,
                _ => true,
            }
        })
    }

    fn insert(&mut self, booking: u64, at: Duration, calls: usize) {
        let place = self.planned.partition_point(|slot| slot.at <= at);
        for _ in 0..calls {
            self.planned.insert(place, Slot { at, booking });
        }
    }

    /// Plans all bookings anew, in their order, around the calls that really began and the pause.
    fn plan_again(&mut self, now: Duration) {
        self.freed.clear();
        for slot in std::mem::take(&mut self.planned) {
            let at = self.earliest(1, now);
            self.planned.push_back(Slot { at, ..slot });
        }
    }
}

fn at_least_one(calls: u32) -> usize {
    usize::try_from(calls).unwrap_or(usize::MAX).max(1)
}
