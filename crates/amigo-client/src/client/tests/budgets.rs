//! Waiting for budgets, in simulated time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use amigo_runtime::clock::Clock;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{Budgets, Endpoint, Error, Observe};

/// Boot time that goes with the runtime's simulated time.
struct SimulatedClock(Instant);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.boot()
    }

    fn boot(&self) -> Duration {
        Duration::from_hours(1) + self.0.elapsed()
    }
}

#[derive(Default)]
struct Waits(Mutex<Vec<u64>>);

impl Observe for Waits {
    fn call(&self, _: Endpoint, _: Result<u16, &Error>, _: Duration) {}

    fn budget_wait(&self, _: Endpoint, wait: Duration) {
        self.0.lock().unwrap().push(wait.as_secs());
    }
}

/// Budgets of four calls a minute for users, past their cautious start.
async fn four_a_minute(waits: Arc<Waits>) -> Arc<Budgets> {
    let clock = Arc::new(SimulatedClock(Instant::now()));
    let budgets = Budgets::new(80, &[(Endpoint::Users, 4)].into(), clock).with_observer(waits);
    tokio::time::sleep(Duration::from_mins(1)).await;
    Arc::new(budgets)
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_order() {
    let waits = Arc::<Waits>::default();
    let budgets = four_a_minute(waits.clone()).await;
    let order = Mutex::new(Vec::new());
    join_all((0..10).map(|number| {
        let (budgets, order) = (&budgets, &order);
        async move {
            budgets.acquire(Endpoint::Users).await;
            order.lock().unwrap().push(number);
        }
    }))
    .await;
    assert_eq!(order.into_inner().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(*waits.0.lock().unwrap(), [0, 0, 0, 0, 60, 60, 60, 60, 120, 120]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_gives_the_turn_back() {
    let budgets = four_a_minute(Arc::default()).await;
    for _ in 0..4 {
        budgets.acquire(Endpoint::Users).await;
    }
    let impatient = tokio::time::timeout(Duration::from_secs(1), budgets.acquire(Endpoint::Users)).await;
    assert!(impatient.is_err());
    let usage = budgets.usage(Endpoint::Users);
    assert_eq!((usage.allowed, usage.used, usage.waiting), (4, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_dropped_is_free_again() {
    let budgets = four_a_minute(Arc::default()).await;
    let first = budgets.reserve(Endpoint::Users, 4);
    let due = first.ready_at();
    assert_eq!(budgets.reserve(Endpoint::Users, 1).ready_at(), due + Duration::from_mins(1));
    drop(first);
    assert_eq!(budgets.reserve(Endpoint::Users, 4).ready_at(), due);
}

#[tokio::test(start_paused = true)]
async fn a_429_holds_everybody_who_waits() {
    let waits = Arc::<Waits>::default();
    let budgets = four_a_minute(waits.clone()).await;
    budgets.limited(Endpoint::Users, Some(Duration::from_secs(30)));
    join_all((0..5).map(|_| budgets.acquire(Endpoint::Users))).await;
    assert_eq!(*waits.0.lock().unwrap(), [30, 30, 30, 30, 90]);
}

#[tokio::test(start_paused = true)]
async fn paced_listings_share_their_part() {
    let budgets = four_a_minute(Arc::default()).await;
    let started = Instant::now();
    // Half of four a minute: one in 30 s, whoever asks.
    join_all((0..4).map(|_| budgets.pace(Endpoint::Users, 50))).await;
    assert_eq!(started.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_larger_limit_wakes_those_who_wait() {
    let budgets = four_a_minute(Arc::default()).await;
    let started = Instant::now();
    let waiting = join_all((0..6).map(|_| budgets.acquire(Endpoint::Users)));
    let editing = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        budgets.resize(80, &[(Endpoint::Users, 5)].into());
    };
    tokio::join!(waiting, editing);
    let usage = budgets.usage(Endpoint::Users);
    assert_eq!((started.elapsed().as_secs(), usage.used, usage.waiting), (60, 2, 0));
}

#[test]
fn the_share_is_rounded_down_and_at_least_one() {
    let budgets = Budgets::new(10, &[].into(), amigo_runtime::clock::SystemClock::shared());
    let allowed = |endpoint| budgets.usage(endpoint).allowed;
    assert_eq!(allowed(Endpoint::SignIn), 1);
    assert_eq!(allowed(Endpoint::Conversations), 1);
    assert_eq!(allowed(Endpoint::CreateGrant), 10);
}
