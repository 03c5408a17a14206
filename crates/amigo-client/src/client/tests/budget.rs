//! The budget's promises, under any order of operations.

use std::time::Duration;

use proptest::prelude::*;

use crate::budget::{Booking, Bucket, NotBefore, WINDOW};

const START: Duration = Duration::from_secs(1_000);

#[derive(Clone, Debug)]
enum Step {
    Book(u32),
    Begin(usize),
    Cancel(usize),
    Advance(u64),
    Limited(Option<u64>),
    Resize(u32),
    Succeed,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u32..6).prop_map(Step::Book),
        8 => (0_usize..64).prop_map(Step::Begin),
        2 => (0_usize..64).prop_map(Step::Cancel),
        6 => prop_oneof![0_u64..2_000, 0_u64..70_000].prop_map(Step::Advance),
        1 => proptest::option::of(0_u64..90).prop_map(Step::Limited),
        1 => (1_u32..9).prop_map(Step::Resize),
        1 => Just(Step::Succeed),
    ]
}

fn after(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn in_the_window_until(end: Duration, begun: &[Duration]) -> usize {
    begun.iter().filter(|at| **at <= end && **at + WINDOW > end).count()
}

fn most_in_a_window(begun: &[Duration]) -> usize {
    begun.iter().map(|end| in_the_window_until(*end, begun)).max().unwrap_or_default()
}

/// A bucket past its cautious start.
fn warm(allowed: u32) -> Bucket {
    Bucket::new(allowed, START.saturating_sub(WINDOW))
}

/// Begins everything that is booked, each at its turn; returns when each began.
fn drain(bucket: &mut Bucket, bookings: &[Booking]) -> Vec<Duration> {
    let mut now = START;
    let mut begun = Vec::new();
    while let Some((turn, booking)) =
        bookings.iter().filter_map(|booking| Some((bucket.turn(booking)?, booking))).min_by_key(|(turn, _)| *turn)
    {
        now = now.max(turn);
        if bucket.begin(booking, now).is_ok() {
            begun.push(now);
        }
    }
    begun
}

proptest! {
    #[test]
    fn s9_no_window_ever_holds_more_than_is_allowed(
        mut allowed in 1_u32..9,
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut bucket = Bucket::new(allowed, START);
        let (mut now, mut bookings, mut begun) = (START, Vec::<Booking>::new(), Vec::new());
        let mut paused_until = START;
        for step in steps {
            match step {
                Step::Book(calls) => bookings.push(bucket.book(calls, now)),
                Step::Begin(index) if !bookings.is_empty() => {
                    let booking = &bookings[index % bookings.len()];
                    if bucket.begin(booking, now).is_ok() {
                        prop_assert!(now >= paused_until);
                        begun.push(now);
                        let allowed = usize::try_from(allowed).unwrap();
                        prop_assert!(in_the_window_until(now, &begun) <= allowed);
                        prop_assert!(now >= START + WINDOW || begun.len() <= allowed.div_ceil(4));
                    }
                }
                Step::Cancel(index) if !bookings.is_empty() => {
                    let booking = bookings.swap_remove(index % bookings.len());
                    bucket.cancel(&booking, now);
                }
                Step::Advance(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Limited(wait) => {
                    bucket.limited(wait.map(Duration::from_secs), now);
                    paused_until = paused_until.max(now + Duration::from_secs(wait.unwrap_or_default()));
                }
                Step::Resize(calls) => {
                    allowed = calls;
                    bucket.resize(calls, now);
                }
                Step::Succeed => bucket.succeeded(),
                Step::Begin(_) | Step::Cancel(_) => {}
            }
        }
    }

    #[test]
    fn l5_a_backlog_drains_in_time(allowed in 1_u32..50, calls in 1_u32..300, fresh: bool) {
        let mut bucket = if fresh { Bucket::new(allowed, START) } else { warm(allowed) };
        let bookings: Vec<_> = (0..calls).map(|_| bucket.book(1, START)).collect();
        let begun = drain(&mut bucket, &bookings);
        let windows = calls / allowed + 1 + u32::from(fresh);
        prop_assert_eq!(begun.len(), usize::try_from(calls).unwrap());
        prop_assert!(*begun.last().unwrap() <= START + WINDOW * windows);
        prop_assert!(most_in_a_window(&begun) <= usize::try_from(allowed).unwrap());
    }

    #[test]
    fn l5_a_backlog_drains_by_the_limit_it_meets(
        before in 1_u32..50,
        after in 1_u32..50,
        calls in 1_u32..300,
        used in 0_u32..50,
    ) {
        let mut bucket = warm(before);
        let first = bucket.book(used.min(before), START);
        let used = u32::try_from(drain(&mut bucket, &[first]).len()).unwrap();
        let bookings: Vec<_> = (0..calls).map(|_| bucket.book(1, START)).collect();
        bucket.resize(after, START);
        let begun = drain(&mut bucket, &bookings);
        let windows = (used + calls) / after + 1;
        prop_assert!(*begun.last().unwrap() <= START + WINDOW * windows);
        prop_assert!(begun.is_sorted());
    }

    #[test]
    fn a_plan_that_is_kept_is_true(allowed in 1_u32..20, bundles in proptest::collection::vec(1_u32..20, 1..40)) {
        let mut bucket = Bucket::new(allowed, START);
        for calls in bundles {
            let booking = bucket.book(calls.min(allowed), START);
            let at = booking.ready_at();
            prop_assert_eq!(bucket.turn(&booking), Some(at));
        }
        prop_assert!(bucket.waiting() > 0);
    }

    #[test]
    fn what_is_given_back_is_used_again(allowed in 1_u32..20, calls in 1_u32..60, given_back in 0_usize..60) {
        let mut bucket = warm(allowed);
        let mut bookings: Vec<_> = (0..calls).map(|_| bucket.book(1, START)).collect();
        let booking = bookings.swap_remove(given_back % bookings.len());
        let turn = booking.ready_at();
        bucket.cancel(&booking, START);
        prop_assert_eq!(bucket.book(1, START).ready_at(), turn);
    }
}

#[test]
fn a_bundle_has_one_turn() {
    let mut bucket = warm(10);
    bucket.book(8, START);
    let bundle = bucket.book(3, START);
    assert_eq!(bundle.ready_at(), after(60));
    // A window never holds more than ten, so of twelve only the first ten go together.
    assert_eq!(bucket.book(12, START).ready_at(), after(120));
}

#[test]
fn a_fresh_bucket_starts_with_a_quarter() {
    let mut bucket = Bucket::new(5, START);
    let turns: Vec<_> = (0..4).map(|_| bucket.book(1, START).ready_at()).collect();
    assert_eq!(turns, [after(0), after(0), after(60), after(60)]);
}

#[test]
fn beginning_early_says_when() {
    let mut bucket = warm(1);
    let (first, second) = (bucket.book(1, START), bucket.book(1, START));
    assert_eq!(bucket.begin(&first, START), Ok(()));
    assert_eq!(bucket.begin(&second, after(59)), Err(NotBefore(after(60))));
    assert_eq!(bucket.begin(&second, after(60)), Ok(()));
    assert_eq!(bucket.used(after(60)), 1);
}

#[test]
fn a_late_start_moves_those_after_it() {
    let mut bucket = warm(1);
    let (first, second) = (bucket.book(1, START), bucket.book(1, START));
    assert_eq!(bucket.begin(&first, after(10)), Ok(()));
    assert_eq!(bucket.begin(&second, after(60)), Err(NotBefore(after(70))));
    assert_eq!(bucket.begin(&second, after(70)), Ok(()));
}

#[test]
fn unexplained_429s_pause_longer_each_time_until_a_success() {
    let mut bucket = warm(100);
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        bucket.limited(None, now);
        bucket.limited(None, now);
        let booking = bucket.book(1, now);
        pauses.push(booking.ready_at().saturating_sub(now).as_secs());
        now = booking.ready_at();
        bucket.cancel(&booking, now);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    bucket.succeeded();
    bucket.limited(None, now);
    assert_eq!(bucket.book(1, now).ready_at(), now + Duration::from_secs(5));
}

#[test]
fn a_pause_moves_all_who_wait_and_keeps_their_order() {
    let mut bucket = warm(2);
    let bookings: Vec<_> = (0..4).map(|_| bucket.book(1, START)).collect();
    bucket.limited(Some(Duration::from_secs(30)), START);
    let turns: Vec<_> = bookings.iter().map(|booking| bucket.turn(booking).unwrap()).collect();
    assert_eq!(turns, [after(30), after(30), after(90), after(90)]);
    assert_eq!(bucket.begin(&bookings[0], after(5)), Err(NotBefore(after(30))));
}

#[test]
fn at_least_one_call_is_allowed() {
    let mut bucket = Bucket::new(0, START);
    assert_eq!(bucket.allowed(), 1);
    bucket.resize(0, START);
    assert_eq!(bucket.allowed(), 1);
}

#[test]
fn a_larger_share_adds_to_what_was_used_and_not_beside_it() {
    let mut bucket = warm(8);
    let bookings: Vec<_> = (0..20).map(|_| bucket.book(1, START)).collect();
    assert!(bookings[..8].iter().all(|booking| bucket.begin(booking, START).is_ok()));
    bucket.resize(10, START);
    let turns: Vec<_> = bookings[8..].iter().map(|booking| bucket.turn(booking).unwrap()).collect();
    assert_eq!(turns, [[after(0); 2].as_slice(), &[after(60); 10]].concat());
}

#[test]
fn a_smaller_share_waits_until_enough_of_what_was_used_is_a_minute_old() {
    let mut bucket = warm(8);
    let bookings: Vec<_> = (0..10).map(|_| bucket.book(1, START)).collect();
    assert!(bookings[..8].iter().all(|booking| bucket.begin(booking, START).is_ok()));
    bucket.resize(1, START);
    let turns: Vec<_> = bookings[8..].iter().map(|booking| bucket.turn(booking).unwrap()).collect();
    assert_eq!(turns, [after(60), after(120)]);
    assert_eq!((bucket.used(START), bucket.begin(&bookings[8], after(59))), (8, Err(NotBefore(after(60)))));
}

#[test]
fn a_bucket_is_at_rest_when_a_new_one_would_not_allow_more() {
    let mut bucket = warm(8);
    let booking = bucket.book(1, START);
    assert!(!bucket.is_at_rest(START));
    bucket.begin(&booking, START).unwrap();
    assert!(!bucket.is_at_rest(after(59)) && bucket.is_at_rest(after(60)));
    bucket.limited(Some(Duration::from_secs(30)), after(60));
    assert!(!bucket.is_at_rest(after(89)) && bucket.is_at_rest(after(90)));
}

#[test]
fn ten_thousand_calls_are_booked_quickly() {
    let mut bucket = warm(800);
    let last = (0..10_000).map(|_| bucket.book(1, START).ready_at()).last();
    assert_eq!(last, Some(after(60 * 12)));
}
