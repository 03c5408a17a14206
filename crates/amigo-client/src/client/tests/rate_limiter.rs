//! Waits for the rate limiter, in simulated time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use amigo_runtime::clock::TestClock;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{Endpoint, Error, Observe, RateLimiter, Start, Turn};

#[derive(Default)]
struct Waits(Mutex<Vec<u64>>);

impl Observe for Waits {
    fn request(&self, _: Endpoint, _: Result<u16, &Error>, _: Duration) {}

    fn rate_limit_wait(&self, _: Endpoint, wait: Duration) {
        self.0.lock().unwrap().push(wait.as_secs());
    }
}

/// Four requests per minute for users, past the cautious start.
async fn four_a_minute(waits: Arc<Waits>) -> Arc<RateLimiter> {
    let started = Instant::now();
    let clock = Arc::new(TestClock::following(move || started.elapsed()));
    let rate_limiter = RateLimiter::new(80, &[(Endpoint::Users, 4)].into(), clock).with_observer(waits);
    tokio::time::sleep(Duration::from_mins(1)).await;
    Arc::new(rate_limiter)
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_served_in_order() {
    let waits = Arc::<Waits>::default();
    let rate_limiter = four_a_minute(waits.clone()).await;
    let order = Mutex::new(Vec::new());
    join_all((0..10).map(|number| {
        let (rate_limiter, order) = (&rate_limiter, &order);
        async move {
            rate_limiter.acquire(Endpoint::Users).await;
            order.lock().unwrap().push(number);
        }
    }))
    .await;
    assert_eq!(order.into_inner().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(*waits.0.lock().unwrap(), [0, 0, 0, 0, 60, 60, 60, 60, 120, 120]);
}

#[tokio::test(start_paused = true)]
async fn canceled_wait_releases_its_turn() {
    let rate_limiter = four_a_minute(Arc::default()).await;
    for _ in 0..4 {
        rate_limiter.acquire(Endpoint::Users).await;
    }
    let impatient = tokio::time::timeout(Duration::from_secs(1), rate_limiter.acquire(Endpoint::Users)).await;
    assert!(impatient.is_err());
    let usage = rate_limiter.usage(Endpoint::Users);
    assert_eq!((usage.allowed, usage.used, usage.waiting), (4, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn dropped_reservation_releases_its_turns() {
    let rate_limiter = four_a_minute(Arc::default()).await;
    let first = rate_limiter.reserve(Endpoint::Users, 4, Turn::default());
    let due = first.ready_at();
    assert_eq!(rate_limiter.reserve(Endpoint::Users, 1, Turn::default()).ready_at(), due + Duration::from_mins(1));
    drop(first);
    assert_eq!(rate_limiter.reserve(Endpoint::Users, 4, Turn::default()).ready_at(), due);
}

#[tokio::test(start_paused = true)]
async fn status_429_pauses_all_waiting_requests() {
    let waits = Arc::<Waits>::default();
    let rate_limiter = four_a_minute(waits.clone()).await;
    rate_limiter.limited(Endpoint::Users, Some(Duration::from_secs(30)));
    join_all((0..5).map(|_| rate_limiter.acquire(Endpoint::Users))).await;
    assert_eq!(*waits.0.lock().unwrap(), [30, 30, 30, 30, 90]);
}

#[tokio::test(start_paused = true)]
async fn paced_listings_share_one_rate() {
    let rate_limiter = four_a_minute(Arc::default()).await;
    let started = Instant::now();
    // Half of four per minute: one in 30 s, for all listings together.
    join_all((0..4).map(|_| rate_limiter.pace(Endpoint::Users, 50))).await;
    assert_eq!(started.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn higher_limit_wakes_waiting_requests() {
    let rate_limiter = four_a_minute(Arc::default()).await;
    let started = Instant::now();
    let waiting = join_all((0..6).map(|_| rate_limiter.acquire(Endpoint::Users)));
    let editing = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        rate_limiter.resize(80, &[(Endpoint::Users, 5)].into());
    };
    tokio::join!(waiting, editing);
    let usage = rate_limiter.usage(Endpoint::Users);
    assert_eq!((started.elapsed().as_secs(), usage.used, usage.waiting), (60, 2, 0));
}

#[test]
fn share_is_rounded_down_and_at_least_one() {
    let rate_limiter = RateLimiter::new(10, &[].into(), amigo_runtime::clock::SystemClock::shared());
    let allowed = |endpoint| rate_limiter.usage(endpoint).allowed;
    assert_eq!(allowed(Endpoint::SignIn), 1);
    assert_eq!(allowed(Endpoint::Conversations), 1);
    assert_eq!(allowed(Endpoint::CreateGrant), 10);
}

#[test]
fn m9_two_hand_overs_in_a_minute_fit_into_the_limit() {
    for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| endpoint.limit() > 5) {
        let brief_leaders = if endpoint.limit() < 60 { 1 } else { 2 };
        let starts =
            at_start(endpoint, Start::AfterLeader) + brief_leaders * at_start(endpoint, Start::AfterBriefLeader);
        let most = rate_limit_share(endpoint) + starts;
        assert!(most <= usize::try_from(endpoint.limit()).unwrap(), "{endpoint}: {most}");
    }
    let grants =
        [Start::AfterLeader, Start::AfterBriefLeader, Start::Alone].map(|start| at_start(Endpoint::CreateGrant, start));
    assert_eq!(grants, [12, 4, 80]);
}

#[test]
fn m9_journal_of_three_hand_overs_keeps_the_limit() {
    let brief = [(Start::AfterBriefLeader, 81..91), (Start::AfterBriefLeader, 91..300)];
    let terms = [(Start::Alone, 0..61), (Start::AfterLeader, 61..81)].into_iter().chain(brief);
    let journal: Vec<u64> = terms.flat_map(|(start, term)| begun_in(start, term)).collect();
    let busiest = journal.iter().map(|end| journal.iter().filter(|at| **at <= *end && **at + 60 > *end).count()).max();
    assert_eq!((busiest, journal.len()), (Some(80 + 12 + 4 + 4), 2 * 80 + 12 + 4 + 200));
}

/// The seconds at which a process with 200 queued requests begins them, during its term.
fn begun_in(start: Start, term: std::ops::Range<u64>) -> Vec<u64> {
    let clock = Arc::new(TestClock::stopped_at(Timestamp::UNIX_EPOCH));
    let rate_limiter = Arc::new(RateLimiter::starting(start, 80, &[].into(), clock.clone()));
    let queued: Vec<_> = (0..200).map(|_| rate_limiter.reserve(Endpoint::CreateGrant, 1, Turn::default())).collect();
    let mut begun = Vec::new();
    for second in term {
        while queued.get(begun.len()).is_some_and(|reservation| reservation.begin().is_ok()) {
            begun.push(second);
        }
        clock.advance(Duration::from_secs(1));
    }
    begun
}

#[test]
fn first_minute_creates_three_roles() {
    assert_eq!(at_start(Endpoint::CreateRole, Start::AfterLeader), 3);
}

/// The requests that a new process may begin at once.
fn at_start(endpoint: Endpoint, start: Start) -> usize {
    let clock = amigo_runtime::clock::SystemClock::shared();
    let rate_limiter = Arc::new(RateLimiter::starting(start, 80, &[].into(), clock));
    let booked: Vec<_> = (0..100).map(|_| rate_limiter.reserve(endpoint, 1, Turn::default())).collect();
    booked.iter().filter(|reservation| reservation.begin().is_ok()).count()
}

fn rate_limit_share(endpoint: Endpoint) -> usize {
    RateLimiter::new(80, &[].into(), amigo_runtime::clock::SystemClock::shared()).usage(endpoint).allowed
}
