//! One disturbance at any step: before and after each effect of a new grant, and of a renewal.

use std::time::Duration;

use super::{
    fixtures::{grant, minutes, seconds},
    server::Fate,
    world::World,
};

/// More moves than a new grant or a renewal has.
const MOVES: usize = 16;

fn step(world: &mut World, moves: usize) {
    for _ in 0..moves {
        world.act(0, Fate::Fine);
    }
}

/// A new grant, disturbed after so many moves, five minutes later. The invariants are checked after each move.
fn disturbed(mut world: World, moves: usize, disturb: impl Fn(&mut World)) -> World {
    step(&mut world, moves);
    disturb(&mut world);
    world.run_until(world.now + minutes(5));
    world
}

/// Fails unless each permission was issued exactly once, whenever the disturbance happened.
fn assert_issued_once(world: impl Fn() -> World, disturb: impl Fn(&mut World)) {
    for moves in 0..MOVES {
        let world = disturbed(world(), moves, &disturb);
        assert_eq!((world.is_active(), world.amigo.own().count()), (true, 3), "after {moves} moves: {:?}", world.log);
    }
}

/// Fails if access lapses within twenty minutes after a disturbance during a renewal.
fn assert_no_gap(disturb: impl Fn(&mut World)) {
    for moves in 0..MOVES {
        let mut world = grant().revoked_within("PT10M").issued();
        world.run_until(seconds(267));
        world.advance(seconds(1));
        step(&mut world, moves);
        disturb(&mut world);
        assert_live_for(&mut world, minutes(20));
    }
}

fn assert_live_for(world: &mut World, time: Duration) {
    let end = world.now + time;
    while world.now < end {
        world.run_until(world.now + seconds(1));
        assert!(world.amigo.live(world.now) >= 3, "a gap at {:?}: {:?}", world.now, world.log);
    }
}

#[test]
fn crash_at_any_step_issues_once() {
    assert_issued_once(|| grant().world(), |world| world.crash(0));
}

#[test]
fn crashes_at_any_two_steps_issue_once() {
    for second in 0..MOVES {
        let disturb = |world: &mut World| {
            world.crash(0);
            step(world, second);
            world.crash(0);
        };
        assert_issued_once(|| grant().world(), disturb);
    }
}

#[test]
fn hand_over_at_any_step_issues_once() {
    // The other replica begins with an old copy from its cache.
    let disturb = |world: &mut World| {
        world.act(1, Fate::Rejected);
        (0..MOVES).for_each(|_| world.act(1, Fate::Fine));
    };
    assert_issued_once(|| grant().with_replicas(2).world(), disturb);
}

#[test]
fn suspended_process_at_any_step_issues_once() {
    assert_issued_once(|| grant().world(), |world| world.advance(minutes(10)));
}

#[test]
fn conflict_at_any_step_issues_once() {
    assert_issued_once(|| grant().world(), World::touch);
}

#[test]
fn canceled_reconcile_at_any_step_issues_once() {
    for keeps_latest in [false, true] {
        assert_issued_once(|| grant().world(), |world| world.cancel(0, keeps_latest));
    }
}

#[test]
fn clock_jump_at_any_step_issues_once() {
    let world = || {
        let mut world = grant().world();
        world.amigo.sends_date = true;
        world
    };
    for half_hours in [-1, 1] {
        assert_issued_once(world, |world| world.replicas[0].skew = half_hours * 30 * 60 * 1000);
    }
}

#[test]
fn restore_after_any_step_issues_once() {
    let disturb = |world: &mut World| {
        // A restore takes longer than the lag of the listing.
        world.advance(seconds(15));
        world.wipe();
        world.crash(0);
    };
    assert_issued_once(|| grant().created_before(minutes(5)).world(), disturb);
}

#[test]
fn deletion_at_any_step_ends_leased_access_in_time() {
    for moves in 0..MOVES {
        let mut world = disturbed(grant().revoked_within("PT10M").world(), moves, World::delete);
        world.run_until(world.now + minutes(5));
        assert_eq!((world.amigo.live(world.now), world.store.is_none()), (0, true), "after {moves} moves");
    }
}

#[test]
fn held_deletion_at_any_step_issues_nothing_more() {
    for moves in 0..MOVES {
        let mut world = disturbed(grant().revoked_within("PT10M").world(), moves, World::begin_deletion);
        let issued = world.amigo.own().count();
        world.run_until(world.now + minutes(60));
        assert_eq!((world.amigo.own().count(), world.amigo.live(world.now)), (issued, 0), "after {moves} moves");
    }
}

#[test]
fn crash_during_a_renewal_leaves_no_gap() {
    assert_no_gap(|world| world.crash(0));
}

#[test]
fn conflict_during_a_renewal_leaves_no_gap() {
    assert_no_gap(World::touch);
}

#[test]
fn pause_during_a_renewal_leaves_no_gap() {
    assert_no_gap(|world| world.advance(minutes(1)));
}

#[test]
fn h5_renewals_that_wait_a_minute_leave_no_gap() {
    let queued = [Fate::RateLimited(60), Fate::Fine].repeat(20);
    let mut world = grant().revoked_within("PT5M").world().with_fates("reserve", &[Fate::Fine]);
    world.work();
    assert_live_for(&mut world.with_fates("reserve", &queued), minutes(30));
}
