//! Every schedule of a small configuration of the simulator, explored exhaustively.
//!
//! Time is coarse: a unit is ten seconds, and it passes only while no replica has work, except for a bounded number of
//! pauses. Faults are bounded too: crashes, lost responses and watch events, a deletion. The invariants of the simulator
//! apply in every state. Liveness is a bounded `always`, because an `eventually` would miss cycles.

use std::{
    fmt::{self, Write},
    hash::{Hash, Hasher},
    time::Duration,
};

use amigo_api::Phase;
use stateright::{Checker, Model, Property};

use super::{
    fixtures::{grant, seconds},
    replica::{Activity, Object, Replica},
    server::{Amigo, Fate},
    world::World,
};
use crate::grant::{Effect, Timing};

/// More than the largest exploration visits.
const MOST_STATES: usize = 4_000_000;

const UNIT: Duration = Duration::from_secs(10);

/// The bounds of the exploration.
#[derive(Clone, Debug)]
struct Bounds {
    replicas: u32,
    permissions: u32,
    faults: Faults,
    access: Access,
    clocks: &'static [Clocks],
}

/// Which access the object requests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Access {
    /// One lease, which outlives the exploration.
    Long,
    /// Leases of 260 s, each renewed after half of its lifetime.
    Leases,
    /// Nothing after 200 s.
    NotAfter,
}

/// How far the wall clocks of the first replica and of Amigo are ahead, in seconds, and whether Amigo sends its time.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    replica: i64,
    amigo: i64,
    sends_date: bool,
}

const ONE_CLOCK: &[Clocks] = &[Clocks { replica: 0, amigo: 0, sends_date: true }];

/// Skews of 90 s and of 10 min, either way.
const SKEWED: &[Clocks] = &[
    Clocks { replica: 90, amigo: 0, sends_date: true },
    Clocks { replica: -90, amigo: 0, sends_date: true },
    Clocks { replica: 0, amigo: 600, sends_date: true },
    Clocks { replica: 0, amigo: -600, sends_date: true },
    Clocks { replica: 600, amigo: -90, sends_date: true },
    Clocks { replica: 0, amigo: 90, sends_date: false },
];

#[derive(Clone, Copy, Debug, PartialEq)]
struct Faults {
    crashes: u8,
    losses: u8,
    pauses: u8,
    deletions: u8,
    restores: u8,
}

const NO_FAULTS: Faults = Faults { crashes: 0, losses: 0, pauses: 0, deletions: 0, restores: 0 };

#[derive(Clone, Debug)]
struct State {
    world: World,
    /// The faults that are left.
    faults: Faults,
    last_fault: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Act(usize, Fate),
    Crash(usize),
    Delete,
    /// Another client's finalizer holds the object.
    BeginDeletion,
    /// A backup restores this earlier status.
    Restore(usize),
    Advance,
    Pause,
}

/// Feeds a `Debug` text to a hasher without storing it.
struct HashWriter<'a, H>(&'a mut H);

impl<H: Hasher> Write for HashWriter<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl State {
    /// Everything that influences what can happen next: without logs, counters, and copies of the past.
    fn write_to(&self, target: &mut impl Write) -> fmt::Result {
        let Self { world, faults, last_fault } = self;
        let World { now, store, amigo, replicas, history, past, delayed, .. } = world;
        write!(target, "{now:?} {faults:?} {last_fault:?} {store:?} {:?} {delayed:?}", amigo.journal)?;
        write!(target, " {} {}", amigo.skew, amigo.sends_date)?;
        if faults.restores > 0 {
            write!(target, " {past:?}")?;
        }
        for replica in replicas {
            let (holder, version, random) = (&replica.spec.holder, replica.version, replica.random);
            write!(
                target,
                " {holder} {version} {random} {} {:?} {:?}",
                replica.skew, replica.status, replica.activity
            )?;
            // An old cached copy is never newer than the status, so only its presence matters.
            write!(target, " {}", replica.cache.is_some())?;
        }
        for (nonce, written) in &history.intents {
            write!(target, " {nonce} {} {}", written.replica, written.holder)?;
        }
        write!(target, " {:?} {:?}", history.sent, history.deleted_at)?;
        write!(target, " {:?} {:?}", history.activated, history.violation)
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.write_to(&mut HashWriter(state)).unwrap();
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let text = |state: &Self| {
            let mut text = String::new();
            state.write_to(&mut text).unwrap();
            text
        };
        text(self) == text(other)
    }
}

impl State {
    /// Resolving and reserving touch nothing shared, and neither does a result: they need no interleaving.
    fn act(&mut self, number: usize, fate: Fate) {
        self.world.log.clear();
        self.world.transition(number, fate);
        while matches!(
            self.world.replicas[number].activity,
            Activity::Performed(_) | Activity::Planned(Effect::Resolve | Effect::Reserve { .. })
        ) {
            self.world.transition(number, Fate::Fine);
        }
    }

    fn is_busy(&self) -> bool {
        self.world.replicas.iter().any(|replica| replica.is_due(self.world.now))
    }

    fn is_issued(&self, permissions: u32) -> bool {
        self.world.store.as_ref().is_none_or(|object| {
            let all = u32::try_from(object.record.grants.len()).unwrap() == permissions;
            object.record.phase == Some(Phase::Active) && all && object.record.intent.is_none()
        })
    }

    /// Whether the object needs no access any more.
    fn is_ended(&self) -> bool {
        let ended = |object: &Object| object.being_deleted || object.record.phase == Some(Phase::Expired);
        self.world.store.as_ref().is_some_and(ended)
    }
}

impl Bounds {
    fn timing() -> Timing {
        Timing { send_window: UNIT * 2, commit: UNIT * 2, list_lag: UNIT, tick: UNIT }
    }

    fn world(&self, clocks: Clocks) -> World {
        let grant = grant().with_permissions(self.permissions).lasting("PT30M").with_timing(Self::timing());
        let grant = match self.access {
            Access::Long => grant,
            Access::Leases => grant.revoked_within("PT5M"),
            Access::NotAfter => grant.not_after(seconds(200)),
        };
        let mut world = grant.with_replicas(self.replicas).world();
        let Clocks { replica, amigo, sends_date } = clocks;
        world.amigo = Amigo { lag: UNIT, lists_creation: false, skew: amigo * 1000, sends_date, ..world.amigo };
        world.replicas[0].skew = replica * 1000;
        world.unit = Some(UNIT);
        world.drops_settled = false;
        world
    }

    /// Long enough for recovery, and for two leases.
    fn horizon(&self) -> Duration {
        if self.access == Access::Leases { seconds(330) } else { seconds(240) }
    }

    /// The longest time from the last fault until the grant is issued: q + d + c, and the backoff of few failures.
    fn recovery_time() -> Duration {
        UNIT * (5 + 2 + 1 + 3)
    }
}

impl Model for Bounds {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state =
            |clocks: &Clocks| State { world: self.world(*clocks), faults: self.faults, last_fault: Duration::ZERO };
        self.clocks.iter().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Once everything is issued and every replica waits, nothing new can happen before the end, but a restore.
        let is_over = self.access == Access::Long && state.is_issued(self.permissions) && !state.is_busy();
        if is_over && state.faults.restores == 0 {
            return;
        }
        let late = Fate::Late((UNIT * 2).as_secs() * 1000);
        for (number, replica) in state.world.replicas.iter().enumerate() {
            match &replica.activity {
                Activity::Waiting(wake) if wake.is_none_or(|wake| wake > state.world.now) => continue,
                Activity::Finished => continue,
                _ => actions.push(Action::Act(number, Fate::Fine)),
            }
            let fates: &[Fate] = match &replica.activity {
                Activity::Planned(Effect::Post { .. }) => &[Fate::LostBefore, Fate::LostAfter, late, Fate::Rejected],
                Activity::Planned(Effect::WriteStatus | Effect::Delete) => &[Fate::LostBefore, Fate::LostAfter, late],
                // The watch event is lost: the reconcile starts with an old copy from the cache.
                Activity::Waiting(_) => &[Fate::LostBefore],
                _ => &[],
            };
            if state.faults.losses > 0 {
                actions.extend(fates.iter().map(|fate| Action::Act(number, *fate)));
            }
            if state.faults.crashes > 0 {
                actions.push(Action::Crash(number));
            }
        }
        if state.faults.deletions > 0 && state.world.store.is_some() {
            actions.push(Action::Delete);
            actions.push(Action::BeginDeletion);
        }
        if state.faults.restores > 0 && state.world.store.is_some() {
            let past = state.world.past.len();
            actions.extend([past.checked_sub(1), past.checked_sub(2)].into_iter().flatten().map(Action::Restore));
        }
        if !state.is_busy() {
            actions.push(Action::Advance);
        } else if state.faults.pauses > 0 {
            actions.push(Action::Pause);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let world = &mut state.world;
        match action {
            Action::Act(number, fate) => {
                state.faults.losses -= u8::from(fate != Fate::Fine);
                state.act(number, fate);
            }
            Action::Crash(number) => {
                state.faults.crashes -= 1;
                world.crash(number);
            }
            Action::Delete => {
                state.faults.deletions -= 1;
                world.delete();
            }
            Action::BeginDeletion => {
                state.faults.deletions -= 1;
                world.begin_deletion();
            }
            Action::Restore(number) => {
                state.faults.restores -= 1;
                world.restore_past(number);
            }
            Action::Advance => {
                // Straight to the next moment at which a replica wakes.
                let end = self.horizon() + UNIT;
                let next = world.replicas.iter().filter_map(Replica::wakes_at).min().unwrap_or(end);
                let next = next.max(world.now + UNIT).min(end);
                world.pass(next.saturating_sub(world.now));
            }
            Action::Pause => {
                state.faults.pauses -= 1;
                world.pass(UNIT * 2);
            }
        }
        if !matches!(action, Action::Advance | Action::Act(_, Fate::Fine)) {
            state.last_fault = state.world.now;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S1 to S12", |_, state: &State| state.world.history.violation.is_none()),
            Property::always("no object goes before its access", |_, state: &State| {
                let deletes = |activity: &Activity| matches!(activity, Activity::Planned(Effect::Delete));
                let is_live = || state.world.amigo.own().any(|entry| state.world.now < entry.ends);
                !state.world.replicas.iter().any(|replica| deletes(&replica.activity)) || !is_live()
            }),
            Property::always("L2", Bounds::has_no_gap),
            Property::always("L1", |bounds: &Bounds, state: &State| {
                state.world.now <= state.last_fault + Bounds::recovery_time()
                    || state.is_busy()
                    || state.is_issued(bounds.permissions)
                    || state.is_ended()
            }),
            Property::sometimes("issued", |bounds: &Bounds, state: &State| {
                let record = state.world.store.as_ref().map(|object| &object.record);
                record.is_some_and(|record| record.grants.len() == bounds.permissions as usize)
            }),
            Property::sometimes("a second attempt", |_, state: &State| {
                let record = state.world.store.as_ref().map(|object| &object.record);
                record.is_some_and(|record| record.attempts > 1 && !record.grants.is_empty())
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.world.now <= self.horizon()
    }
}

impl Bounds {
    /// L2: a lost response leaves no gap between leases.
    fn has_no_gap(&self, state: &State) -> bool {
        let spent = |all: u8, left: u8| all - left;
        let is_sized_for = spent(self.faults.crashes, state.faults.crashes) == 0
            && spent(self.faults.pauses, state.faults.pauses) == 0
            && spent(self.faults.losses, state.faults.losses) <= 1
            && spent(self.faults.restores, state.faults.restores) == 0;
        let World { store, amigo, now, .. } = &state.world;
        let is_active = store.as_ref().is_some_and(|object| !object.being_deleted && !object.record.grants.is_empty());
        let must_hold = self.access == Access::Leases && is_sized_for && is_active && !state.is_busy();
        !must_hold || amigo.live(*now) > 0
    }

    /// Explores every schedule, and returns the number of different states.
    fn explore(self) -> usize {
        // A mistake in the protocol can make the number of states explode.
        let checker = self.checker().threads(2).target_state_count(MOST_STATES).spawn_bfs().join();
        checker.assert_properties();
        assert!(checker.state_count() < MOST_STATES, "more than {MOST_STATES} states");
        assert!(checker.is_done());
        let states = checker.unique_state_count();
        assert!(states > 100, "{states} states");
        #[expect(clippy::print_stderr, reason = "the size of the explored state space, shown with --nocapture")]
        {
            let Self { replicas, permissions, faults, access, .. } = checker.model();
            eprintln!("{states} states: {replicas} replicas, {permissions} permissions, {access:?}, {faults:?}");
        }
        states
    }
}

const TWO_REPLICAS: Bounds =
    Bounds { replicas: 2, permissions: 1, faults: NO_FAULTS, access: Access::Long, clocks: ONE_CLOCK };

const LOSS: Faults = Faults { losses: 1, ..NO_FAULTS };
const RESTORE: Faults = Faults { restores: 1, ..NO_FAULTS };

#[test]
fn two_replicas_and_a_pause() {
    Bounds { faults: Faults { pauses: 1, ..NO_FAULTS }, ..TWO_REPLICAS }.explore();
}

#[test]
fn two_replicas_a_crash_and_a_lost_response() {
    Bounds { faults: Faults { crashes: 1, ..LOSS }, ..TWO_REPLICAS }.explore();
}

#[test]
fn two_replicas_a_pause_and_a_lost_response() {
    Bounds { faults: Faults { pauses: 1, ..LOSS }, ..TWO_REPLICAS }.explore();
}

#[test]
fn two_replicas_two_permissions() {
    Bounds { permissions: 2, faults: Faults { crashes: 1, pauses: 1, ..NO_FAULTS }, ..TWO_REPLICAS }.explore();
}

#[test]
fn two_permissions_and_every_fault() {
    let faults = Faults { crashes: 1, losses: 1, pauses: 1, deletions: 1, restores: 0 };
    Bounds { replicas: 1, permissions: 2, faults, ..TWO_REPLICAS }.explore();
}

#[test]
#[ignore = "large: `make proofs` runs it"]
fn three_replicas_and_a_lost_response() {
    Bounds { replicas: 3, faults: LOSS, ..TWO_REPLICAS }.explore();
}

#[test]
fn leases_and_a_lost_response() {
    Bounds { replicas: 1, access: Access::Leases, faults: LOSS, ..TWO_REPLICAS }.explore();
}

#[test]
fn leases_a_crash_and_a_deletion() {
    let faults = Faults { crashes: 1, deletions: 1, ..NO_FAULTS };
    Bounds { replicas: 1, access: Access::Leases, faults, ..TWO_REPLICAS }.explore();
}

#[test]
fn not_after_a_crash_and_a_lost_response() {
    let faults = Faults { crashes: 1, ..LOSS };
    Bounds { replicas: 1, access: Access::NotAfter, faults, ..TWO_REPLICAS }.explore();
}

#[test]
fn history_that_went_back() {
    Bounds { faults: RESTORE, ..TWO_REPLICAS }.explore();
    Bounds { replicas: 1, access: Access::Leases, faults: RESTORE, ..TWO_REPLICAS }.explore();
}

#[test]
fn clocks_that_differ() {
    Bounds { clocks: SKEWED, faults: LOSS, ..TWO_REPLICAS }.explore();
    Bounds { replicas: 1, clocks: SKEWED, access: Access::Leases, faults: LOSS, ..TWO_REPLICAS }.explore();
}

#[test]
#[ignore = "large: `make proofs` runs it"]
fn two_replicas_leases_and_a_lost_response() {
    Bounds { access: Access::Leases, faults: LOSS, ..TWO_REPLICAS }.explore();
}

#[test]
#[ignore = "large: `make proofs` runs it"]
fn history_that_went_back_and_a_crash() {
    Bounds { faults: Faults { crashes: 1, ..RESTORE }, ..TWO_REPLICAS }.explore();
}
