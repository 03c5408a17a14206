//! Random schedules of faults and changes, with the invariants checked after each event.

use std::time::Duration;

use amigo_api::{Phase, reasons};
use jiff::{SignedDuration, Timestamp};
use proptest::{collection, prelude::*};

use super::{
    fixtures::{Grant, grant, minutes, seconds},
    invariants::History,
    replica::Activity,
    server::{Amigo, Fate},
    world::{World, at},
};
use crate::grant::final_reason;

/// One event of a schedule.
#[derive(Clone, Debug)]
enum Event {
    Act(usize, Fate),
    Work(usize, u8),
    Advance(u64),
    Wake(usize),
    Crash(usize),
    Cancel(usize, bool),
    Touch,
    Delete,
    BeginDeletion,
    ChangeSpec,
    OtherUser,
    Forge(u8),
    Restore(usize),
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Fine),
        2 => Just(Fate::LostBefore),
        3 => Just(Fate::LostAfter),
        3 => (1_u64..=60_000).prop_map(Fate::Late),
        1 => Just(Fate::Late(60_000)),
        1 => Just(Fate::NotSent),
        1 => Just(Fate::Rejected),
        1 => (1_u64..=90).prop_map(Fate::RateLimited),
        1 => Just(Fate::Forbidden),
        1 => Just(Fate::Invalid),
        2 => Just(Fate::PartlyRejected),
        1 => Just(Fate::PartlyInvalid),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let replica = || 0_usize..2;
    prop_oneof![
        16 => (replica(), fates()).prop_map(|(replica, fate)| Event::Act(replica, fate)),
        10 => (replica(), 1_u8..12).prop_map(|(replica, moves)| Event::Work(replica, moves)),
        8 => prop_oneof![
            Just(1), Just(400), Just(1000), Just(2500), Just(4999), Just(5000), Just(10_000), Just(15_000),
            Just(30_000), Just(59_999), Just(60_000), Just(119_999), Just(120_000), Just(300_000), Just(720_000),
            1_u64..5_000_000
        ].prop_map(Event::Advance),
        4 => replica().prop_map(Event::Wake),
        2 => replica().prop_map(Event::Crash),
        2 => (replica(), any::<bool>()).prop_map(|(replica, keeps)| Event::Cancel(replica, keeps)),
        2 => Just(Event::Touch),
        // Rare, because a deletion ends the schedule.
        1 => prop_oneof![1 => Just(Event::Delete), 1 => Just(Event::BeginDeletion), 2 => Just(Event::ChangeSpec), 3 => Just(Event::Touch)],
        1 => Just(Event::OtherUser),
        1 => any::<prop::sample::Index>().prop_map(|index| Event::Restore(index.index(64))),
        1 => any::<u8>().prop_map(Event::Forge),
    ]
}

fn grants() -> impl Strategy<Value = Grant> {
    let durations = prop_oneof![Just("PT2H"), Just("PT10M"), Just("PT1M"), Just("PT1H1S"), Just("PT3H")];
    let leases = prop_oneof![4 => Just(None), 3 => Just(Some("PT10M")), 1 => Just(Some("PT5M"))];
    let not_after = prop_oneof![3 => Just(None), 1 => (60_u64..9000).prop_map(Some)];
    (durations, leases, not_after, 0_u32..4, -3000_i64..=9000, any::<bool>(), 1_u32..3).prop_map(
        |(duration, lease, not_after, permissions, skew, keeps, replicas)| {
            let mut grant = grant().lasting(duration).with_server_ahead(skew).with_replicas(replicas);
            if let Some(lease) = lease {
                grant = grant.revoked_within(lease);
            }
            if let Some(end) = not_after {
                grant = grant.not_after(seconds(end));
            }
            if permissions > 0 {
                grant = grant.with_permissions(permissions);
            }
            if keeps { grant.kept("PT1H") } else { grant }
        },
    )
}

fn apply(world: &mut World, event: &Event, forged: &mut bool) {
    let replica = |number: &usize| number % world.replicas.len();
    match event {
        Event::Act(number, fate) => {
            let number = replica(number);
            world.act(number, *fate);
        }
        Event::Work(number, moves) => {
            let number = replica(number);
            for _ in 0..*moves {
                let waits = matches!(world.replicas[number].activity, Activity::Waiting(wake) if wake.is_none_or(|wake| wake > world.now));
                if !waits {
                    world.act(number, Fate::Fine);
                }
            }
        }
        Event::Advance(milliseconds) => world.advance(Duration::from_millis(*milliseconds)),
        Event::Wake(number) => {
            let number = replica(number);
            if let Activity::Waiting(_) = world.replicas[number].activity {
                world.act(number, Fate::Fine);
            }
        }
        Event::Crash(number) => {
            let number = replica(number);
            world.crash(number);
        }
        Event::Cancel(number, keeps_latest) => {
            let number = replica(number);
            world.cancel(number, *keeps_latest);
        }
        Event::Touch => world.touch(),
        Event::Delete => world.delete(),
        Event::BeginDeletion => world.begin_deletion(),
        Event::ChangeSpec => world.change_spec(),
        Event::OtherUser => "another".clone_into(&mut world.user),
        Event::Restore(number) => {
            world.restore_past(*number);
            world.assert_valid();
        }
        Event::Forge(kind) => forge(world, *kind, forged),
    }
}

/// Another user creates a record with the operator's tags, with the nonce of the open intent or an invented one.
fn forge(world: &mut World, kind: u8, forged: &mut bool) {
    let origin = world.replicas[0].spec.origin.clone();
    let Some(object) = &world.store else { return };
    let open = object.record.intent.as_ref().map(|intent| intent.nonce.clone());
    *forged |= open.is_some() && kind.is_multiple_of(2);
    let nonce = open.filter(|_| kind.is_multiple_of(2)).unwrap_or_else(|| format!("f{kind:015x}"));
    let tags = origin.tags(u32::from(kind % 3), 0, 1, &nonce);
    let end = at(world.now + minutes(30));
    world.amigo.forge(tags, end, world.now);
}

/// L1: after the faults, the grant is active, expired, or failed for a valid reason.
fn check_issued(world: &World, forged: bool) {
    let Some(object) = &world.store else { return };
    let record = &object.record;
    let expired = record.phase == Some(Phase::Expired);
    let complete = (world.is_active() || object.being_deleted) && record.intent.is_none();
    match record.phase {
        Some(Phase::Failed) => {
            let late = at(world.now) >= world.history.gives_up_at();
            let little = world.replicas[0].spec.deadline(record.activated_at.unwrap_or(at(world.now)));
            let little =
                at(world.now).duration_until(little) < History::shortest() + world.replicas[0].spec.timing.margin();
            // The status was wiped, and the user of the request has another id since.
            let mismatched = final_reason(record) == Some(reasons::CONFLICT) && world.user == "another";
            assert!(late || little || mismatched || world.history.permanent, "L1: failed without a reason: {record:?}");
        }
        _ => assert!(complete || expired || forged, "L1: not issued: {record:?} at {}", at(world.now)),
    }
}

/// L6: another reconcile of a settled grant has no effects.
fn check_idle(world: &mut World) {
    let writes = world.history.writes;
    for number in 0..world.replicas.len() {
        if let Activity::Waiting(wake) = world.replicas[number].activity
            && world.store.as_ref().is_some_and(|object| object.record.intent.is_none())
            && wake.is_none_or(|wake| wake > world.now)
        {
            world.log.clear();
            world.act(number, Fate::Fine);
            world.act(number, Fate::Fine);
            assert_eq!(world.log, Vec::<String>::new(), "L6: {:?}", world.store);
        }
    }
    assert_eq!(world.history.writes, writes);
}

/// The latest end of the access.
fn access_end(world: &World) -> Option<Timestamp> {
    let record = &world.store.as_ref()?.record;
    let last = record.grants.iter().map(|grant| grant.expires_at).max();
    let margin = world.replicas[0].spec.timing.margin();
    [last, record.deadline.map(|deadline| if record.intent.is_some() { deadline + margin } else { deadline })]
        .into_iter()
        .flatten()
        .max()
}

fn check_end(world: &mut World) {
    let Some(end) = access_end(world) else { return };
    let wait = at(world.now).duration_until(end).max(SignedDuration::ZERO).unsigned_abs();
    world.run_until(world.now + wait + world.replicas[0].spec.timing.tick);
    let Some(object) = &world.store else { return };
    let later = access_end(world).is_some_and(|later| later > end);
    let void = object.being_deleted && object.record.grants.is_empty();
    let over = void || matches!(object.record.phase, Some(Phase::Expired | Phase::Failed));
    assert!(over || later, "L9: {:?} at {}", object.record, at(world.now));
}

fn run(world: &mut World, events: &[Event]) {
    let mut forged = false;
    for event in events {
        apply(world, event, &mut forged);
        for number in 0..world.replicas.len() {
            let memory = &world.replicas[number].status.memory;
            assert!(memory.never_sent.len() + memory.outcomes.len() < 64, "the memory does not grow without bound");
        }
    }
    world.replicas.iter_mut().for_each(|replica| {
        if let Activity::Waiting(_) = replica.activity {
            replica.activity = Activity::Waiting(Some(world.now));
        }
    });
    let recovery_time = world.history.recovery_time();
    world.run_until(world.now + recovery_time);
    check_issued(world, forged);
    check_idle(world);
    check_end(world);
    world.history.check_revocation(&world.amigo);
    world.assert_valid();
}

proptest! {
    #[test]
    fn invariants_hold_under_random_schedules(
        grant in grants(),
        lag in 0_u64..=15,
        seed in any::<u64>(),
        lists_creation in any::<bool>(),
        events in collection::vec(events(), 1..80),
    ) {
        let mut world = grant.world();
        world.seed = seed;
        world.amigo = Amigo { lag: seconds(lag), lists_creation, ..world.amigo };
        run(&mut world, &events);
    }
}
