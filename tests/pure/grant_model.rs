//! The very step function the operator runs, in a small world explored to the last state.
//!
//! Time is coarse (a unit is ten seconds) and only passes when nobody has work left, except for a bounded number of
//! pauses. Faults are bounded too: crashes, lost answers, a deletion. S1, S4, S6 and S12 hold in every state; liveness
//! is a bounded `always`, since an `eventually` would miss cycles.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    hash::{Hash, Hasher},
    time::Duration,
};

use amigo_api::{Phase, TemporaryPermissionGrantStatus, reasons};
use amigo_lifecycle::grant::{
    Effect, Found, Fresh, Input, Now, Origin, PermissionRequest, Post, PostOutcome, Request, Resolved, Spec, Status,
    Timing, WriteOutcome, slot_of, step,
};
use amigo_lifecycle::{Failure, RetryClass};
use amigo_permissions::Conditions;
use jiff::{SignedDuration, Timestamp};
use stateright::{Checker, Model, Property};

/// One unit of time.
const UNIT: Duration = Duration::from_secs(10);

fn units(count: u32) -> Duration {
    UNIT * count
}

fn at(time: u32) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + i64::from(time) * 10).unwrap()
}

fn timing() -> Timing {
    Timing { send_window: units(2), commit: units(2), list_lag: units(1), tick: units(1) }
}

/// The bounds of the world.
#[derive(Clone, Debug)]
struct World {
    replicas: usize,
    permissions: u32,
    crashes: u8,
    losses: u8,
    pauses: u8,
    deletions: u8,
    horizon: u32,
}

/// Hashed by its `Debug` text: the record's conditions have no `Hash`.
#[derive(Clone, Debug, PartialEq)]
struct State {
    now: u32,
    store: Option<(u32, TemporaryPermissionGrantStatus)>,
    journal: Vec<Record>,
    replicas: Vec<Replica>,
    /// Nonces with the replica and life that stored their intents.
    intents: BTreeMap<String, (usize, u32)>,
    sent: Vec<(String, u32)>,
    crashes: u8,
    losses: u8,
    pauses: u8,
    deletions: u8,
    last_fault: u32,
    broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    slot: u32,
    lease: u32,
    committed: u32,
    found: Found,
}

#[derive(Clone, Debug, PartialEq)]
struct Replica {
    status: Status,
    doing: Doing,
    version: u32,
    life: u32,
    chance: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Resting(Option<u32>),
    Planned(Effect),
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fine,
    LostBefore,
    LostAfter,
    Late,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Act(usize, Fate),
    Crash(usize),
    Delete,
    Pass,
    Pause,
}

/// Feeds a `Debug` text to a hasher without keeping it.
struct Feed<'a, H>(&'a mut H);

impl<H: Hasher> Write for Feed<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        write!(Feed(state), "{self:?}").unwrap();
    }
}

impl World {
    fn spec(&self, replica: usize) -> Spec {
        let request = |number| PermissionRequest {
            permission_name: format!("Conversation:Read{number}"),
            conditions: Conditions::new(),
        };
        Spec {
            origin: Origin { cluster: "c".into(), uid: "u".into(), namespace: "n".into(), name: "g".into() },
            holder: format!("{replica}"),
            generation: 1,
            created_at: at(0),
            request: Request::Permissions((0..self.permissions).map(request).collect()),
            org_id: "acme".to_owned(),
            service_user_id: "operator".to_owned(),
            duration: SignedDuration::from_mins(30),
            duration_text: "PT30M".to_owned(),
            revoke_within: None,
            activation_deadline: SignedDuration::from_hours(1),
            not_after: None,
            ttl_after_expiry: SignedDuration::ZERO,
            being_deleted: false,
            obstacle: None,
            timing: timing(),
        }
    }

    fn take_step(&self, state: &mut State, number: usize, input: Input) {
        let replica = &mut state.replicas[number];
        let random = (u64::try_from(number).unwrap() << 32) + replica.chance;
        let now = Now { wall: at(state.now), boot: units(state.now), random };
        let (status, effect) = step(&self.spec(number), &replica.status, input, now);
        replica.status = status;
        replica.doing = match effect {
            None => Doing::Resting(None),
            Some(Effect::WaitUntil(until)) => {
                let seconds = u32::try_from(now.wall.duration_until(until).as_secs()).unwrap_or(u32::MAX);
                Doing::Resting(Some(state.now + (seconds / 10 + 1).min(1000)))
            }
            // What touches nothing shared needs no interleaving.
            Some(Effect::Resolve) => {
                let resolved = Resolved { user_id: "user".to_owned(), owner_user_id: None };
                return self.take_step(state, number, Input::Resolved(Ok(resolved)));
            }
            Some(Effect::Reserve { .. }) => return self.take_step(state, number, Input::Reserved(Ok(()))),
            Some(effect) => {
                replica.chance += u64::from(effect == Effect::WriteStatus);
                Doing::Planned(effect)
            }
        };
    }

    fn act(&self, state: &mut State, number: usize, fate: Fate) {
        let input = match state.replicas[number].doing.clone() {
            Doing::Finished => return,
            Doing::Resting(_) => {
                let Some((version, record)) = state.store.clone() else {
                    state.replicas[number].doing = Doing::Finished;
                    return;
                };
                let replica = &mut state.replicas[number];
                if version > replica.version {
                    replica.version = version;
                    replica.status.observe(record);
                }
                Input::Start
            }
            Doing::Planned(effect) => match state.perform(number, effect, fate) {
                Some(input) => input,
                None => return,
            },
        };
        self.take_step(state, number, input);
    }

    /// All is issued and said so, this long after the last fault: q + d + c, and the backoff of few failures.
    fn patience() -> u32 {
        5 + 2 + 1 + 3
    }
}

impl State {
    fn perform(&mut self, number: usize, effect: Effect, fate: Fate) -> Option<Input> {
        Some(match effect {
            Effect::Read => {
                let Some((version, record)) = self.store.clone() else {
                    self.replicas[number].doing = Doing::Finished;
                    return None;
                };
                self.replicas[number].version = version;
                Input::Read(Ok(Fresh { generation: 1, record, began: units(self.now) }))
            }
            Effect::WriteStatus => {
                let stored = fate != Fate::LostBefore && self.write(number);
                Input::Written(match (fate, stored) {
                    (Fate::Fine, true) => WriteOutcome::Done,
                    (Fate::Fine, false) => WriteOutcome::Conflict,
                    _ => WriteOutcome::Unknown,
                })
            }
            Effect::Delete => {
                self.broken = Some("deleted before its time");
                return None;
            }
            Effect::Post { posts, window_closes } => {
                let open = units(self.now) < window_closes;
                Input::Posted(posts.iter().map(|post| (post.slot, self.send(number, post, open, fate))).collect())
            }
            Effect::Lookup => {
                let listed = |record: &&Record| record.committed < self.now;
                Input::Found(Ok(self.journal.iter().filter(listed).map(|record| record.found.clone()).collect()))
            }
            Effect::Resolve | Effect::Reserve { .. } | Effect::WaitUntil(_) => return None,
        })
    }

    fn write(&mut self, number: usize) -> bool {
        let replica = &mut self.replicas[number];
        let Some((version, stored)) = self.store.as_mut().filter(|(version, _)| *version == replica.version) else {
            return false;
        };
        let record = replica.status.record.clone();
        let over = |record: &TemporaryPermissionGrantStatus| {
            record.phase.filter(|phase| matches!(phase, Phase::Expired | Phase::Failed))
        };
        if record.attempts < stored.attempts || (over(stored).is_some() && over(stored) != over(&record)) {
            self.broken = Some("S12: a status went back");
        }
        if let Some(intent) = &record.intent {
            self.intents.entry(intent.nonce.clone()).or_insert((number, replica.life));
        }
        let known = |id: &str| self.journal.iter().any(|entry| entry.found.id == id && entry.committed <= self.now);
        let ready = record.conditions.iter().any(|found| found.type_ == "Ready" && found.status == "True");
        let claims = record.phase == Some(Phase::Active) || ready;
        if !record.grants.iter().all(|grant| known(&grant.id)) || (claims && record.grants.is_empty()) {
            self.broken = Some("S6: a status claims a record that is not there");
        }
        *version += 1;
        *stored = record;
        replica.version = *version;
        true
    }

    fn send(&mut self, number: usize, post: &Post, open: bool, fate: Fate) -> PostOutcome {
        let failure = Failure {
            reason: reasons::UNAVAILABLE,
            message: "no".to_owned(),
            class: RetryClass::Transient,
            retry_after: None,
        };
        if !open {
            return PostOutcome::NotSent(failure);
        }
        let nonce = &post.tags["nonce"];
        let key = (nonce.clone(), post.slot);
        if self.intents.get(nonce) != Some(&(number, self.replicas[number].life)) || self.sent.contains(&key) {
            self.broken = Some("S4: a request without its own intent, or sent twice");
        }
        self.sent.push(key);
        let committed = match fate {
            Fate::Refused => return PostOutcome::Refused(failure),
            Fate::LostBefore => return PostOutcome::Ambiguous(failure),
            Fate::Fine | Fate::LostAfter => self.now,
            Fate::Late => self.now + 2,
        };
        let found = self.commit(post, committed);
        match fate {
            Fate::Fine => PostOutcome::Created { id: found.id, expires_at: found.expires_at },
            _ => PostOutcome::Ambiguous(failure),
        }
    }

    fn commit(&mut self, post: &Post, committed: u32) -> Found {
        let asked = amigo_api::duration::parse(&post.duration).unwrap();
        let (slot, lease) = slot_of(&post.tags).unwrap();
        let found = Found {
            id: format!("{}", self.journal.len()),
            user_id: post.user_id.clone(),
            permission_name: post.permission.permission_name.clone(),
            conditions: post.permission.conditions.clone(),
            expires_at: at(committed).checked_add(asked).unwrap(),
            created_at: None,
            creator_user_id: "operator".to_owned(),
            tags: post.tags.clone(),
        };
        // Nothing ends before the horizon, so two records of one slot are two live records.
        if self.journal.iter().any(|record| (record.slot, record.lease) == (slot, lease)) {
            self.broken = Some("S1: two live records of one slot");
        }
        self.journal.push(Record { slot, lease, committed, found: found.clone() });
        found
    }

    fn is_busy(&self) -> bool {
        self.replicas.iter().any(|replica| match &replica.doing {
            Doing::Resting(wake) => wake.is_some_and(|wake| wake <= self.now),
            Doing::Planned(_) => true,
            Doing::Finished => false,
        })
    }

    fn is_issued(&self, permissions: u32) -> bool {
        self.store.as_ref().is_none_or(|(_, record)| {
            let all = u32::try_from(record.grants.len()).unwrap() == permissions;
            record.phase == Some(Phase::Active) && all && record.intent.is_none()
        })
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let replica =
            Replica { status: Status::default(), doing: Doing::Resting(Some(0)), version: 0, life: 0, chance: 0 };
        vec![State {
            now: 0,
            store: Some((1, TemporaryPermissionGrantStatus::default())),
            journal: vec![],
            replicas: vec![replica; self.replicas],
            intents: BTreeMap::new(),
            sent: vec![],
            crashes: self.crashes,
            losses: self.losses,
            pauses: self.pauses,
            deletions: self.deletions,
            last_fault: 0,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Once all is issued and everybody rests, nothing new can happen before the end.
        if state.is_issued(self.permissions) && !state.is_busy() {
            return;
        }
        for (number, replica) in state.replicas.iter().enumerate() {
            match &replica.doing {
                Doing::Resting(wake) if wake.is_none_or(|wake| wake > state.now) => continue,
                Doing::Finished => continue,
                _ => actions.push(Action::Act(number, Fate::Fine)),
            }
            let fates: &[Fate] = match &replica.doing {
                Doing::Planned(Effect::Post { .. }) => &[Fate::LostBefore, Fate::LostAfter, Fate::Late, Fate::Refused],
                Doing::Planned(Effect::WriteStatus) => &[Fate::LostBefore, Fate::LostAfter],
                _ => &[],
            };
            if state.losses > 0 {
                actions.extend(fates.iter().map(|fate| Action::Act(number, *fate)));
            }
            if state.crashes > 0 {
                actions.push(Action::Crash(number));
            }
        }
        if state.deletions > 0 && state.store.is_some() {
            actions.push(Action::Delete);
        }
        if !state.is_busy() {
            actions.push(Action::Pass);
        } else if state.pauses > 0 {
            actions.push(Action::Pause);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let fault = !matches!(action, Action::Pass | Action::Act(_, Fate::Fine));
        match action {
            Action::Act(number, fate) => {
                state.losses -= u8::from(fate != Fate::Fine);
                self.act(&mut state, number, fate);
            }
            Action::Crash(number) => {
                state.crashes -= 1;
                let replica = &mut state.replicas[number];
                replica.status = Status::default();
                replica.version = 0;
                replica.life += 1;
                replica.doing = Doing::Resting(Some(state.now));
            }
            Action::Delete => {
                state.deletions -= 1;
                state.store = None;
            }
            Action::Pass => {
                // Straight to the next moment at which somebody wakes.
                let wake = |replica: &Replica| match replica.doing {
                    Doing::Resting(wake) => wake,
                    _ => None,
                };
                let next = state.replicas.iter().filter_map(wake).min().unwrap_or(self.horizon + 1);
                state.now = next.max(state.now + 1).min(self.horizon + 1);
            }
            Action::Pause => {
                state.pauses -= 1;
                state.now += 2;
            }
        }
        if fault {
            state.last_fault = state.now;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S1, S4, S6, S12", |_, state: &State| state.broken.is_none()),
            Property::always("L1", |model: &World, state: &State| {
                state.now <= state.last_fault + World::patience()
                    || state.is_busy()
                    || state.is_issued(model.permissions)
            }),
            Property::sometimes("issued", |model: &World, state: &State| {
                state.store.is_some() && state.is_issued(model.permissions)
            }),
            Property::sometimes("a second attempt", |_, state: &State| {
                state.store.as_ref().is_some_and(|(_, record)| record.attempts > 1 && !record.grants.is_empty())
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.now <= self.horizon
    }
}

fn explore(world: World) {
    let checker = world.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done());
    let mut summary = String::new();
    write!(summary, "{} states, {} unique", checker.state_count(), checker.unique_state_count()).unwrap();
    assert!(checker.unique_state_count() > 100, "{summary}");
    #[expect(clippy::print_stderr, reason = "the size of what was explored, for whoever runs it with --nocapture")]
    {
        eprintln!("{summary}");
    }
}

const CALM: World = World { replicas: 1, permissions: 1, crashes: 0, losses: 0, pauses: 0, deletions: 0, horizon: 16 };

#[test]
fn two_replicas_and_a_pause() {
    explore(World { replicas: 2, pauses: 1, ..CALM });
}

#[test]
fn two_replicas_a_crash_and_a_lost_answer() {
    explore(World { replicas: 2, crashes: 1, losses: 1, ..CALM });
}

#[test]
fn two_permissions_and_every_fault() {
    explore(World { permissions: 2, crashes: 1, losses: 1, pauses: 1, deletions: 1, ..CALM });
}

#[test]
fn two_replicas_two_permissions() {
    explore(World { replicas: 2, permissions: 2, crashes: 1, pauses: 1, ..CALM });
}

#[test]
fn two_replicas_a_pause_and_a_lost_answer() {
    explore(World { replicas: 2, losses: 1, pauses: 1, ..CALM });
}
