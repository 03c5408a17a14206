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
    server::{Amigo, Fate},
    world::{Activity, World},
};
use crate::grant::{Effect, Timing};

const UNIT: Duration = Duration::from_secs(10);

/// The bounds of the exploration.
#[derive(Clone, Debug)]
struct Bounds {
    replicas: u32,
    permissions: u32,
    faults: Faults,
    horizon: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Faults {
    crashes: u8,
    losses: u8,
    pauses: u8,
    deletions: u8,
}

const NO_FAULTS: Faults = Faults { crashes: 0, losses: 0, pauses: 0, deletions: 0 };

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
        let World { now, store, amigo, replicas, history, .. } = world;
        write!(target, "{now:?} {faults:?} {last_fault:?} {store:?} {:?}", amigo.journal)?;
        for replica in replicas {
            let (holder, version, random) = (&replica.spec.holder, replica.version, replica.random);
            write!(target, " {holder} {version} {random} {:?} {:?}", replica.status, replica.activity)?;
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
        self.world.replicas.iter().any(|replica| match &replica.activity {
            Activity::Waiting(wake) => wake.is_some_and(|wake| wake <= self.world.now),
            Activity::Planned(_) | Activity::Performed(_) => true,
            Activity::Finished => false,
        })
    }

    fn is_issued(&self, permissions: u32) -> bool {
        self.world.store.as_ref().is_none_or(|object| {
            let all = u32::try_from(object.record.grants.len()).unwrap() == permissions;
            object.record.phase == Some(Phase::Active) && all && object.record.intent.is_none()
        })
    }
}

impl Bounds {
    fn timing() -> Timing {
        Timing { send_window: UNIT * 2, commit: UNIT * 2, list_lag: UNIT, tick: UNIT }
    }

    fn world(&self) -> World {
        let grant = grant().with_permissions(self.permissions).lasting("PT30M").with_timing(Self::timing());
        let mut world = grant.with_replicas(self.replicas).world();
        world.amigo = Amigo { lag: UNIT, lists_creation: false, ..world.amigo };
        world.unit = Some(UNIT);
        world.drops_settled = false;
        world
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
        vec![State { world: self.world(), faults: self.faults, last_fault: Duration::ZERO }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Once everything is issued and every replica waits, nothing new can happen before the end.
        if state.is_issued(self.permissions) && !state.is_busy() {
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
                Activity::Planned(Effect::WriteStatus) => &[Fate::LostBefore, Fate::LostAfter],
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
            Action::Advance => {
                // Straight to the next moment at which a replica wakes.
                let wake = |replica: &super::world::Replica| match replica.activity {
                    Activity::Waiting(wake) => wake,
                    _ => None,
                };
                let end = self.horizon + UNIT;
                let next = world.replicas.iter().filter_map(wake).min().unwrap_or(end);
                world.now = next.max(world.now + UNIT).min(end);
            }
            Action::Pause => {
                state.faults.pauses -= 1;
                world.now += UNIT * 2;
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
            Property::always("nothing is deleted before its end", |_, state: &State| {
                let deletes = |activity: &Activity| matches!(activity, Activity::Planned(Effect::Delete));
                !state.world.replicas.iter().any(|replica| deletes(&replica.activity))
            }),
            Property::always("L1", |bounds: &Bounds, state: &State| {
                state.world.now <= state.last_fault + Bounds::recovery_time()
                    || state.is_busy()
                    || state.is_issued(bounds.permissions)
            }),
            Property::sometimes("issued", |bounds: &Bounds, state: &State| {
                state.world.store.is_some() && state.is_issued(bounds.permissions)
            }),
            Property::sometimes("a second attempt", |_, state: &State| {
                let record = state.world.store.as_ref().map(|object| &object.record);
                record.is_some_and(|record| record.attempts > 1 && !record.grants.is_empty())
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.world.now <= self.horizon
    }
}

fn explore(replicas: u32, permissions: u32, faults: Faults) {
    let bounds = Bounds { replicas, permissions, faults, horizon: seconds(160) };
    let checker = bounds.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done());
    let summary = format!("{} states, {} unique", checker.state_count(), checker.unique_state_count());
    assert!(checker.unique_state_count() > 100, "{summary}");
    #[expect(clippy::print_stderr, reason = "the size of the explored state space, shown with --nocapture")]
    {
        eprintln!("{summary}");
    }
}

#[test]
fn two_replicas_and_a_pause() {
    explore(2, 1, Faults { pauses: 1, ..NO_FAULTS });
}

#[test]
fn two_replicas_a_crash_and_a_lost_response() {
    explore(2, 1, Faults { crashes: 1, losses: 1, ..NO_FAULTS });
}

#[test]
fn two_permissions_and_every_fault() {
    explore(1, 2, Faults { crashes: 1, losses: 1, pauses: 1, deletions: 1 });
}

#[test]
fn two_replicas_two_permissions() {
    explore(2, 2, Faults { crashes: 1, pauses: 1, ..NO_FAULTS });
}

#[test]
fn two_replicas_a_pause_and_a_lost_response() {
    explore(2, 1, Faults { losses: 1, pauses: 1, ..NO_FAULTS });
}
