//! The guarantees of the rate limit, under any order of operations.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    Turn,
    client::sliding_window::{Booking, NotBefore, SlidingWindow, WINDOW},
};

const START: Duration = Duration::from_secs(1_000);

#[derive(Clone, Debug)]
enum Step {
    Book(u32, Turn),
    Begin(usize),
    Cancel(usize),
    Advance(u64),
    Limited(Option<u64>),
    Resize(u32),
    Succeed,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![Just(Turn::First), "[a-c]".prop_map(Turn::Shared)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u32..6, turn()).prop_map(|(requests, turn)| Step::Book(requests, turn)),
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

#[test]
fn refunded_request_makes_room_for_the_next() {
    let mut window = warm(1);
    let (first, second) = (book(&mut window, 1), book(&mut window, 1));
    window.begin(&first, START).unwrap();
    assert_eq!(window.ready_at(&second, START), START + WINDOW);
    window.refund(START);
    assert_eq!(window.ready_at(&second, after(1)), after(1));
    assert_eq!((window.used(after(1)), window.begin(&second, after(1))), (0, Ok(())));
    window.refund(START);
    assert_eq!(window.used(after(1)), 1, "only the request that began then is taken back");
}

/// A window past its cautious start.
fn warm(allowed: u32) -> SlidingWindow {
    SlidingWindow::new(allowed, 1, START.saturating_sub(WINDOW))
}

fn book(window: &mut SlidingWindow, requests: u32) -> Booking {
    window.book(requests, Turn::default())
}

/// When requests that are booked now may begin.
fn book_at(window: &mut SlidingWindow, requests: u32, now: Duration) -> Duration {
    let booking = book(window, requests);
    window.ready_at(&booking, now)
}

fn turns(window: &mut SlidingWindow, bookings: &[Booking], now: Duration) -> Vec<Duration> {
    bookings.iter().map(|booking| window.ready_at(booking, now)).collect()
}

/// Begins everything that is booked, each at its turn; returns when each began.
fn drain(window: &mut SlidingWindow, bookings: &[Booking]) -> Vec<Duration> {
    let mut now = START;
    let mut begun = Vec::new();
    while let Some(booking) = bookings.iter().find(|booking| window.left(booking) > 0) {
        now = now.max(window.ready_at(booking, now));
        if window.begin(booking, now).is_ok() {
            begun.push(now);
        }
    }
    begun
}

proptest! {
    #[test]
    fn s9_no_window_exceeds_the_limit(
        mut allowed in 1_u32..9,
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut window = SlidingWindow::new(allowed, allowed.div_ceil(4), START);
        let (mut now, mut bookings, mut begun) = (START, Vec::<Booking>::new(), Vec::new());
        let mut paused_until = START;
        for step in steps {
            match step {
                Step::Book(requests, turn) => bookings.push(window.book(requests, turn)),
                Step::Begin(index) if !bookings.is_empty() => {
                    let booking = &bookings[index % bookings.len()];
                    if window.begin(booking, now).is_ok() {
                        prop_assert!(now >= paused_until);
                        begun.push(now);
                        let allowed = usize::try_from(allowed).unwrap();
                        prop_assert!(in_the_window_until(now, &begun) <= allowed);
                        prop_assert!(now >= START + WINDOW || begun.len() <= allowed.div_ceil(4));
                    }
                }
                Step::Cancel(index) if !bookings.is_empty() => {
                    let booking = bookings.swap_remove(index % bookings.len());
                    window.cancel(&booking);
                }
                Step::Advance(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Limited(wait) => {
                    window.limited(wait.map(Duration::from_secs), now);
                    paused_until = paused_until.max(now + Duration::from_secs(wait.unwrap_or_default()));
                }
                Step::Resize(requests) => {
                    allowed = requests;
                    window.resize(requests, requests.div_ceil(4));
                }
                Step::Succeed => window.succeeded(),
                Step::Begin(_) | Step::Cancel(_) => {}
            }
        }
    }

    #[test]
    fn l5_backlog_drains_in_time(allowed in 1_u32..50, requests in 1_u32..300, fresh: bool) {
        let mut window = if fresh { SlidingWindow::new(allowed, allowed.div_ceil(4), START) } else { warm(allowed) };
        let bookings: Vec<_> = (0..requests).map(|_| book(&mut window, 1)).collect();
        let begun = drain(&mut window, &bookings);
        let windows = requests / allowed + 1 + u32::from(fresh);
        prop_assert_eq!(begun.len(), usize::try_from(requests).unwrap());
        prop_assert!(*begun.last().unwrap() <= START + WINDOW * windows);
        prop_assert!(most_in_a_window(&begun) <= usize::try_from(allowed).unwrap());
    }

    #[test]
    fn l5_backlog_drains_after_a_limit_change(
        before in 1_u32..50,
        after in 1_u32..50,
        requests in 1_u32..300,
        used in 0_u32..50,
    ) {
        let mut window = warm(before);
        let first = book(&mut window, used.min(before));
        let used = u32::try_from(drain(&mut window, &[first]).len()).unwrap();
        let bookings: Vec<_> = (0..requests).map(|_| book(&mut window, 1)).collect();
        window.resize(after, after.div_ceil(4));
        let begun = drain(&mut window, &bookings);
        let windows = (used + requests) / after + 1;
        prop_assert!(*begun.last().unwrap() <= START + WINDOW * windows);
        prop_assert!(begun.is_sorted());
    }

    #[test]
    fn booking_keeps_its_turn(allowed in 1_u32..20, bundles in proptest::collection::vec(1_u32..20, 1..40)) {
        let mut window = SlidingWindow::new(allowed, allowed.div_ceil(4), START);
        let bookings: Vec<_> = bundles.into_iter().map(|requests| book(&mut window, requests.min(allowed))).collect();
        let first = turns(&mut window, &bookings, START);
        book(&mut window, allowed);
        prop_assert!(first.is_sorted());
        prop_assert_eq!(turns(&mut window, &bookings, START), first);
    }

    #[test]
    fn canceled_turn_goes_to_the_next_booking(allowed in 1_u32..20, requests in 2_u32..60, canceled in 0_usize..60) {
        let mut window = warm(allowed);
        let mut bookings: Vec<_> = (0..requests).map(|_| book(&mut window, 1)).collect();
        let mut expected = turns(&mut window, &bookings, START);
        window.cancel(&bookings.remove(canceled % bookings.len()));
        expected.pop();
        prop_assert_eq!(turns(&mut window, &bookings, START), expected);
    }
}

#[test]
fn bundle_has_one_turn() {
    let mut window = warm(10);
    book(&mut window, 8);
    assert_eq!(book_at(&mut window, 3, START), after(60));
    // A window never holds more than ten, so of twelve only the first ten go together.
    assert_eq!(book_at(&mut window, 12, START), after(120));
}

#[test]
fn first_window_allows_a_quarter() {
    let mut window = SlidingWindow::new(5, 2, START);
    let turns: Vec<_> = (0..4).map(|_| book_at(&mut window, 1, START)).collect();
    assert_eq!(turns, [after(0), after(0), after(60), after(60)]);
}

#[test]
fn early_request_gets_its_time() {
    let mut window = warm(1);
    let (first, second) = (book(&mut window, 1), book(&mut window, 1));
    assert_eq!(window.begin(&first, START), Ok(()));
    assert_eq!(window.begin(&second, after(59)), Err(NotBefore(after(60))));
    assert_eq!(window.begin(&second, after(60)), Ok(()));
    assert_eq!(window.used(after(60)), 1);
}

#[test]
fn late_start_delays_later_requests() {
    let mut window = warm(1);
    let (first, second) = (book(&mut window, 1), book(&mut window, 1));
    assert_eq!(window.begin(&first, after(10)), Ok(()));
    assert_eq!(window.begin(&second, after(60)), Err(NotBefore(after(70))));
    assert_eq!(window.begin(&second, after(70)), Ok(()));
}

#[test]
fn repeated_429s_pause_longer_until_a_success() {
    let mut window = warm(100);
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        window.limited(None, now);
        window.limited(None, now);
        let booking = book(&mut window, 1);
        let ready_at = window.ready_at(&booking, now);
        pauses.push(ready_at.saturating_sub(now).as_secs());
        now = ready_at;
        window.cancel(&booking);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    window.succeeded();
    window.limited(None, now);
    assert_eq!(book_at(&mut window, 1, now), now + Duration::from_secs(5));
}

#[test]
fn pause_delays_all_bookings_in_order() {
    let mut window = warm(2);
    let bookings: Vec<_> = (0..4).map(|_| book(&mut window, 1)).collect();
    window.limited(Some(Duration::from_secs(30)), START);
    assert_eq!(turns(&mut window, &bookings, START), [after(30), after(30), after(90), after(90)]);
    assert_eq!(window.begin(&bookings[0], after(5)), Err(NotBefore(after(30))));
}

#[test]
fn at_least_one_request_is_allowed() {
    let mut window = SlidingWindow::new(0, 0, START);
    assert_eq!(window.allowed(), 1);
    window.resize(0, 0);
    assert_eq!(window.allowed(), 1);
}

#[test]
fn higher_limit_counts_earlier_requests() {
    let mut window = warm(8);
    let bookings: Vec<_> = (0..20).map(|_| book(&mut window, 1)).collect();
    assert!(bookings[..8].iter().all(|booking| window.begin(booking, START).is_ok()));
    window.resize(10, 3);
    let turns = turns(&mut window, &bookings[8..], START);
    assert_eq!(turns, [[after(0); 2].as_slice(), &[after(60); 10]].concat());
}

#[test]
fn lower_limit_counts_earlier_requests() {
    let mut window = warm(8);
    let bookings: Vec<_> = (0..10).map(|_| book(&mut window, 1)).collect();
    assert!(bookings[..8].iter().all(|booking| window.begin(booking, START).is_ok()));
    window.resize(1, 1);
    let turns = turns(&mut window, &bookings[8..], START);
    assert_eq!(turns, [after(60), after(120)]);
    assert_eq!((window.used(START), window.begin(&bookings[8], after(59))), (8, Err(NotBefore(after(60)))));
}

#[test]
fn window_is_idle_when_a_new_one_allows_no_more() {
    let mut window = warm(8);
    let booking = book(&mut window, 1);
    assert!(!window.is_idle(START));
    window.begin(&booking, START).unwrap();
    assert!(!window.is_idle(after(59)) && window.is_idle(after(60)));
    window.limited(Some(Duration::from_secs(30)), after(60));
    assert!(!window.is_idle(after(89)) && window.is_idle(after(90)));
}

#[test]
fn h5_renewals_and_other_names_do_not_wait_in_line() {
    let mut window = warm(10);
    for _ in 0..100 {
        window.book(3, Turn::Shared("crowd".to_owned()));
    }
    let other = window.book(3, Turn::Shared("other".to_owned()));
    assert_eq!(window.ready_at(&other, START), START);
    let renewal = window.book(8, Turn::First);
    assert_eq!((window.ready_at(&renewal, START), window.ready_at(&other, START)), (START, after(60)));
}

#[test]
fn h5_renewal_waits_at_most_a_minute_for_a_backlog() {
    let (mut window, mut crowd, mut renewals, mut waits) = (warm(80), Vec::new(), Vec::new(), Vec::new());
    for second in 0..1241 {
        while crowd.len() < 60 {
            crowd.push(window.book(3, Turn::Shared("crowd".to_owned())));
        }
        // As often as a lease of PT5M is renewed.
        if second % 117 == 10 {
            renewals.push((second, window.book(3, Turn::First)));
        }
        let begin = |window: &mut SlidingWindow, booking: &Booking| window.begin(booking, after(second)).is_ok();
        for (booked, renewal) in &renewals {
            waits.extend(std::iter::from_fn(|| begin(&mut window, renewal).then_some(second - booked)));
        }
        for booking in &crowd {
            while begin(&mut window, booking) {}
        }
        crowd.retain(|booking| window.left(booking) > 0);
    }
    assert_eq!((renewals.len(), waits.len()), (11, 33));
    assert!(waits.iter().all(|wait| *wait <= 60), "{waits:?}");
}

#[test]
fn crowd_of_ten_thousand_doubles_a_wait_at_most() {
    let wait = |crowd: u32| {
        let mut window = warm(80);
        for _ in 0..crowd {
            window.book(3, Turn::Shared("crowd".to_owned()));
        }
        let own: Vec<_> = (0..80).map(|_| window.book(3, Turn::Shared("other".to_owned()))).collect();
        let last = turns(&mut window, &own, START).pop().unwrap();
        last.saturating_sub(START) + WINDOW
    };
    assert!(wait(10_000) <= 2 * wait(0), "{:?} instead of {:?}", wait(10_000), wait(0));
}

#[test]
fn ten_thousand_requests_are_booked_quickly() {
    let mut window = warm(800);
    let last = (0..10_000).map(|_| book_at(&mut window, 1, START)).last();
    assert_eq!(last, Some(after(60 * 12)));
}
