//! A simulated world that performs a step's effects: a store with resource versions, Amigo, replicas that crash.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use amigo_api::{Phase, TemporaryPermissionGrantStatus};
use jiff::{SignedDuration, Timestamp};

use super::{
    amigo::{Amigo, Fate, failure},
    checks::{Intended, Ledger},
};
use crate::grant::{Effect, Fresh, Input, Now, Post, ReadFailed, Resolved, Spec, Status, WriteOutcome, step};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

/// The simulator's times as wall-clock times.
pub(super) fn at(time: Duration) -> Timestamp {
    let epoch = Timestamp::from_second(1_790_000_000).unwrap();
    epoch.checked_add(SignedDuration::try_from(time).unwrap()).unwrap()
}

/// The object in the store.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub version: u64,
    pub generation: i64,
    pub being_deleted: bool,
    pub record: TemporaryPermissionGrantStatus,
}

/// Where a replica is in its pass.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few in a test")]
pub(super) enum Doing {
    /// Between passes; `None` waits for events only.
    Resting(Option<Duration>),
    Planned(Effect),
    Answered(Input),
    /// It knows that the object is gone.
    Finished,
}

/// One process of the operator.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub spec: Spec,
    pub status: Status,
    /// Status and version when the pass began.
    pub at_start: (Status, u64),
    pub doing: Doing,
    /// The version on which its next write rests.
    pub version: u64,
    /// The version that the answer on its way tells.
    pub answered_version: Option<u64>,
    pub cache: Option<Object>,
    pub boot_offset: Duration,
    pub steps: u32,
    /// Whether the shell dropped what it knew of a settled object.
    pub forgot: bool,
}

/// A write under way whose caller gave up.
#[derive(Clone, Debug)]
struct Delayed {
    due: Duration,
    version: u64,
    record: Option<TemporaryPermissionGrantStatus>,
    intended: Option<Intended>,
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub now: Duration,
    pub store: Option<Object>,
    pub amigo: Amigo,
    pub replicas: Vec<Replica>,
    pub ledger: Ledger,
    pub log: Vec<String>,
    /// What happens to the next effects of a kind, by its name; then all is fine.
    pub script: BTreeMap<&'static str, VecDeque<Fate>>,
    pub user: String,
    delayed: Vec<Delayed>,
    random: u64,
}

/// The name of an effect in logs and scripts.
pub(super) fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Resolve => "resolve",
        Effect::Reserve { .. } => "reserve",
        Effect::Read => "read",
        Effect::WriteStatus => "write",
        Effect::Post { .. } => "post",
        Effect::Lookup => "lookup",
        Effect::Delete => "delete",
        Effect::WaitUntil(_) => "wait",
    }
}

impl World {
    pub fn new(spec: &Spec, amigo: Amigo, replicas: u32) -> Self {
        let object = Object {
            version: 1,
            generation: spec.generation,
            being_deleted: false,
            record: TemporaryPermissionGrantStatus::default(),
        };
        let mut world = Self {
            now: Duration::ZERO,
            store: Some(object),
            amigo,
            replicas: vec![],
            ledger: Ledger::new(spec),
            log: vec![],
            script: BTreeMap::new(),
            user: "user".to_owned(),
            delayed: vec![],
            random: 0,
        };
        for number in 0..replicas {
            let spec = Spec { holder: format!("replica-{number}"), ..spec.clone() };
            let boot_offset = Duration::from_secs(u64::from(number) * 5000);
            world.replicas.push(Replica {
                spec,
                status: Status::default(),
                at_start: (Status::default(), 0),
                doing: Doing::Resting(Some(Duration::ZERO)),
                version: 0,
                answered_version: None,
                cache: world.store.clone(),
                boot_offset,
                steps: 0,
                forgot: false,
            });
        }
        world
    }

    pub fn record(&self) -> &TemporaryPermissionGrantStatus {
        &self.store.as_ref().expect("the object is there").record
    }

    pub fn phase(&self) -> Option<Phase> {
        self.record().phase
    }

    pub fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        self.delayed.sort_by_key(|write| write.due);
        while self.delayed.first().is_some_and(|write| write.due <= until) {
            let write = self.delayed.remove(0);
            self.now = write.due;
            self.commit(write.version, write.record, write.intended);
        }
        self.now = until;
    }

    /// One move of one replica: begin a pass, perform the effect planned, or take in its result.
    pub fn act(&mut self, number: usize, fate: Fate) {
        match self.replicas[number].doing.clone() {
            Doing::Finished => {}
            Doing::Resting(_) => self.begin(number, fate),
            Doing::Planned(effect) => {
                let doing = self.perform(number, &effect, fate);
                self.replicas[number].doing = doing;
            }
            Doing::Answered(input) => {
                let replica = &mut self.replicas[number];
                replica.version = replica.answered_version.take().unwrap_or(replica.version);
                self.take_step(number, input);
            }
        }
    }

    /// The process ends; another takes its place and remembers nothing.
    pub fn crash(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        replica.status = Status::default();
        replica.spec.holder.push('+');
        replica.version = 0;
        replica.forgot = false;
        replica.cache = None;
        replica.doing = Doing::Resting(Some(self.now));
    }

    /// The pass ends before its next effect or answer; the shell keeps the latest status, or the pass's first.
    pub fn cut_short(&mut self, number: usize, keeps_latest: bool) {
        let replica = &mut self.replicas[number];
        if matches!(replica.doing, Doing::Planned(_) | Doing::Answered(_)) {
            if !keeps_latest {
                (replica.status, replica.version) = replica.at_start.clone();
            }
            replica.doing = Doing::Resting(Some(self.now));
        }
    }

    /// Another writer changes metadata.
    pub fn touch(&mut self) {
        if let Some(object) = &mut self.store {
            object.version += 1;
        }
    }

    /// Somebody deletes the object.
    pub fn delete(&mut self) {
        if self.store.take().is_some() {
            self.ledger.deleted(self.now);
        }
    }

    /// Somebody deletes the object, and a finalizer holds it.
    pub fn begin_deletion(&mut self) {
        if let Some(object) = self.store.as_mut().filter(|object| !object.being_deleted) {
            object.being_deleted = true;
            object.generation += 1;
            object.version += 1;
            self.ledger.deleted(self.now);
        }
        self.notify();
    }

    /// The spec becomes another; the replicas hear of it at their next pass.
    pub fn change_spec(&mut self) {
        if let Some(object) = &mut self.store {
            object.generation += 1;
            object.version += 1;
        }
    }

    fn begin(&mut self, number: usize, fate: Fate) {
        let replica = &mut self.replicas[number];
        if fate == Fate::Fine || replica.cache.is_none() {
            replica.cache.clone_from(&self.store);
        }
        if replica.forgot && replica.cache.as_ref().is_some_and(|cached| cached.version < replica.version) {
            // The shell waits for a cache that is not older than its own last write.
            replica.cache.clone_from(&self.store);
        }
        let Some(cached) = replica.cache.clone() else {
            replica.doing = Doing::Finished;
            return;
        };
        if std::mem::take(&mut replica.forgot) {
            replica.status = Status::seen(cached.record.clone());
            replica.version = cached.version;
        }
        replica.spec.generation = replica.spec.generation.max(cached.generation);
        replica.spec.being_deleted |= cached.being_deleted;
        if cached.version > replica.version {
            replica.version = cached.version;
            replica.status.observe(cached.record);
        }
        replica.at_start = (replica.status.clone(), replica.version);
        replica.steps = 0;
        self.take_step(number, Input::Start);
    }

    fn take_step(&mut self, number: usize, input: Input) {
        self.random += 1;
        let replica = &mut self.replicas[number];
        let boot = self.now + replica.boot_offset;
        let now = Now { wall: at(self.now), boot, random: self.random };
        let (status, effect) = step(&replica.spec, &replica.status, input, now);
        replica.steps += 1;
        assert!(replica.steps <= 64, "a pass goes on and on: {:?}", self.log);
        replica.status = status;
        replica.doing = match effect {
            None => Doing::Resting(None),
            Some(Effect::WaitUntil(until)) => {
                let outdated = replica.status.memory.outdated;
                assert!(until > now.wall || outdated, "woken in the past: {until} at {}", now.wall);
                let delay = now.wall.duration_until(until).unsigned_abs();
                Doing::Resting(Some(self.now + delay))
            }
            Some(effect) => Doing::Planned(effect),
        };
        if matches!(replica.doing, Doing::Resting(_)) && replica.status.is_settled() {
            replica.status = Status::default();
            replica.forgot = true;
        }
        if let Doing::Planned(effect) = &replica.doing {
            self.log.push(name(effect).to_owned());
        }
    }

    fn perform(&mut self, number: usize, effect: &Effect, fate: Fate) -> Doing {
        let fate = self.script.get_mut(name(effect)).and_then(VecDeque::pop_front).unwrap_or(fate);
        let fine = fate == Fate::Fine;
        self.ledger.met(effect, fate);
        self.replicas[number].answered_version = None;
        let input = match effect {
            Effect::Resolve if fine => {
                Input::Resolved(Ok(Resolved { user_id: self.user.clone(), owner_user_id: Some("owner".to_owned()) }))
            }
            Effect::Resolve => Input::Resolved(Err(failure(fate))),
            Effect::Reserve { .. } => match fate {
                Fate::Limited(after) => Input::Reserved(Err(at(self.now + Duration::from_secs(after)))),
                _ => Input::Reserved(Ok(())),
            },
            Effect::Read => {
                let Some(object) = self.store.clone() else { return Doing::Finished };
                let replica = &mut self.replicas[number];
                if fine {
                    replica.answered_version = Some(object.version);
                    let (generation, record) = (object.generation, object.record);
                    Input::Read(Ok(Fresh { generation, record, began: self.now + replica.boot_offset }))
                } else {
                    Input::Read(Err(ReadFailed))
                }
            }
            Effect::WriteStatus => {
                let record = self.replicas[number].status.record.clone();
                let intended = self.intended(number);
                Input::Written(self.write(number, Some(record), intended, fate))
            }
            Effect::Delete => Input::Written(self.write(number, None, None, fate)),
            Effect::Post { posts, window_closes } => Input::Posted(self.send(number, posts, *window_closes, fate)),
            Effect::Lookup if fine => {
                Input::Found(Ok(self.amigo.list(&self.replicas[number].spec.origin.uid, self.now)))
            }
            Effect::Lookup => Input::Found(Err(failure(fate))),
            Effect::WaitUntil(_) => return Doing::Resting(None),
        };
        Doing::Answered(input)
    }

    fn intended(&self, number: usize) -> Option<Intended> {
        let replica = &self.replicas[number];
        let intent = replica.status.record.intent.clone()?;
        Some(Intended {
            intent,
            replica: number,
            holder: replica.spec.holder.clone(),
            generation: replica.spec.generation,
            committed: Duration::ZERO,
        })
    }

    fn write(
        &mut self,
        number: usize,
        record: Option<TemporaryPermissionGrantStatus>,
        intended: Option<Intended>,
        fate: Fate,
    ) -> WriteOutcome {
        let version = self.replicas[number].version;
        match fate {
            Fate::Late(delay) => {
                let due = self.now + MILLISECOND * u32::try_from(delay).unwrap();
                self.delayed.push(Delayed { due, version, record, intended });
                WriteOutcome::Unknown
            }
            Fate::LostAfter => {
                self.commit(version, record, intended);
                WriteOutcome::Unknown
            }
            Fate::Fine | Fate::Mixed | Fate::InconsistentPages => match self.commit(version, record, intended) {
                Some(version) => {
                    self.replicas[number].answered_version = Some(version);
                    WriteOutcome::Done
                }
                None => WriteOutcome::Conflict,
            },
            _ => WriteOutcome::Unknown,
        }
    }

    /// Stores a record, or without one deletes the object, if nobody wrote since that version.
    fn commit(
        &mut self,
        version: u64,
        record: Option<TemporaryPermissionGrantStatus>,
        intended: Option<Intended>,
    ) -> Option<u64> {
        let object = self.store.as_mut().filter(|object| object.version == version)?;
        let Some(record) = record else {
            self.store = None;
            self.ledger.deleted(self.now);
            return Some(version);
        };
        self.ledger.stored(&self.amigo, &object.record, &record, intended, object.generation, self.now);
        object.version += 1;
        object.record = record;
        Some(object.version)
    }

    fn send(
        &mut self,
        number: usize,
        posts: &[Post],
        window_closes: Duration,
        fate: Fate,
    ) -> Vec<(u32, crate::grant::PostOutcome)> {
        let replica = &self.replicas[number];
        // The shell's own check: nothing leaves after the window.
        let late = self.now + replica.boot_offset >= window_closes;
        let fate = if late { Fate::NotSent } else { fate };
        let holder = replica.spec.holder.clone();
        let mut outcomes = vec![];
        for post in posts {
            self.ledger.sent(post, (number, &holder), self.now, fate);
            outcomes.push((post.slot, self.amigo.post(post, fate, self.now)));
            self.ledger.journal(&self.amigo);
        }
        outcomes
    }

    /// Lets every replica work until all rest, all going well.
    pub fn work(&mut self) {
        for _ in 0..200 {
            let due = |replica: &Replica| match replica.doing {
                Doing::Resting(wake) => wake.is_some_and(|wake| wake <= self.now),
                Doing::Finished => false,
                Doing::Planned(_) | Doing::Answered(_) => true,
            };
            let busy: Vec<usize> = (0..self.replicas.len()).filter(|number| due(&self.replicas[*number])).collect();
            if busy.is_empty() {
                return;
            }
            for number in busy {
                self.act(number, Fate::Fine);
            }
        }
        panic!("the replicas never rest: {:?}", self.log);
    }

    /// Lets time pass, waking replicas when they asked to be, until that moment.
    pub fn run_until(&mut self, end: Duration) {
        loop {
            self.work();
            let wake = |replica: &Replica| match replica.doing {
                Doing::Resting(wake) => wake,
                _ => None,
            };
            let delayed = self.delayed.iter().map(|write| write.due).min();
            let next = self.replicas.iter().filter_map(wake).chain(delayed).filter(|next| *next > self.now).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.advance(next.saturating_sub(self.now)),
                None => break,
            }
            self.notify();
        }
        self.advance(end.saturating_sub(self.now));
        self.work();
    }

    /// Every replica hears of a change that others made.
    pub fn notify(&mut self) {
        let version = self.store.as_ref().map(|object| object.version);
        for replica in &mut self.replicas {
            if matches!(replica.doing, Doing::Resting(_)) && version.is_none_or(|version| version > replica.version) {
                replica.doing = Doing::Resting(Some(self.now));
            }
        }
    }
}
