//! A simulator that performs the effects of steps: a store with resource versions, Amigo, and replicas that crash.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use amigo_api::{Phase, TemporaryPermissionGrantStatus};
use jiff::{SignedDuration, Timestamp};

use super::{
    invariants::{History, WrittenIntent},
    replica::{Activity, Delayed, Object, Replica},
    server::{Amigo, Fate, failure},
};
use crate::grant::{
    Effect, Fresh, Input, Now, Post, PostOutcome, ReadFailed, Resolved, Spec, Status, WriteOutcome, step,
};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

/// The wall-clock time of a simulated time.
pub(super) fn at(time: Duration) -> Timestamp {
    let epoch = Timestamp::from_second(1_790_000_000).unwrap();
    epoch.checked_add(SignedDuration::try_from(time).unwrap()).unwrap()
}

/// The whole simulation.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub now: Duration,
    pub store: Option<Object>,
    pub amigo: Amigo,
    pub replicas: Vec<Replica>,
    pub history: History,
    pub log: Vec<String>,
    /// The fates of the next effects of a kind, by its name; later ones succeed.
    pub script: BTreeMap<&'static str, VecDeque<Fate>>,
    /// The earlier records of the object.
    pub past: Vec<TemporaryPermissionGrantStatus>,
    pub user: String,
    /// Added to all random numbers.
    pub seed: u64,
    /// Waits end on a multiple of this unit, where there is one.
    pub unit: Option<Duration>,
    /// Whether replicas drop the state of settled objects.
    pub drops_settled: bool,
    pub delayed: Vec<Delayed>,
}

/// The name of an effect in logs and scripts.
pub(super) fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Resolve => "resolve",
        Effect::Reserve { .. } => "reserve",
        Effect::Read => "read",
        Effect::WriteStatus => "write",
        Effect::Post { .. } => "post",
        Effect::Lookup(_) => "lookup",
        Effect::Delete => "delete",
        Effect::WaitUntil(_) => "wait",
    }
}

/// The next multiple of the unit after a delay.
fn round_up(delay: Duration, unit: Duration) -> Duration {
    let units = u32::try_from(delay.as_secs() / unit.as_secs()).unwrap_or(u32::MAX);
    unit * units.saturating_add(1).min(1000)
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
            history: History::new(spec),
            log: vec![],
            script: BTreeMap::new(),
            past: vec![],
            user: "user".to_owned(),
            seed: 0,
            unit: None,
            drops_settled: true,
            delayed: vec![],
        };
        for number in 0..replicas {
            let spec = Spec { holder: format!("replica-{number}"), ..spec.clone() };
            let boot_offset = Duration::from_secs(u64::from(number) * 5000);
            world.replicas.push(Replica {
                spec,
                status: Status::default(),
                at_start: (Status::default(), 0),
                activity: Activity::Waiting(Some(Duration::ZERO)),
                version: 0,
                response_version: None,
                cache: world.store.clone(),
                boot_offset,
                skew: 0,
                known_attempts: None,
                steps: 0,
                forgot: false,
                random: 0,
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
        self.pass(by);
        self.assert_valid();
    }

    /// Time passes, and late writes take effect.
    pub fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        self.delayed.sort_by_key(|write| write.due);
        while self.delayed.first().is_some_and(|write| write.due <= until) {
            let write = self.delayed.remove(0);
            self.now = write.due;
            self.commit(write.version, write.record, write.written);
        }
        self.now = until;
    }

    /// One move of one replica; panics if an invariant does not hold.
    pub fn act(&mut self, number: usize, fate: Fate) {
        self.transition(number, fate);
        self.assert_valid();
    }

    /// One whole reconcile of one replica, without faults.
    pub fn reconcile(&mut self, number: usize) {
        self.act(number, Fate::Fine);
        while matches!(self.replicas[number].activity, Activity::Planned(_) | Activity::Performed(_)) {
            self.act(number, Fate::Fine);
        }
    }

    pub fn assert_valid(&self) {
        assert_eq!(self.history.violation, None, "{:?}", self.log);
    }

    /// One move of one replica: start a reconcile, perform the planned effect, or apply its result.
    pub fn transition(&mut self, number: usize, fate: Fate) {
        match self.replicas[number].activity.clone() {
            Activity::Finished => {}
            Activity::Waiting(_) => self.begin(number, fate),
            Activity::Planned(effect) => {
                let activity = self.perform(number, &effect, fate);
                self.replicas[number].activity = activity;
            }
            Activity::Performed(input) => {
                let replica = &mut self.replicas[number];
                replica.version = replica.response_version.take().unwrap_or(replica.version);
                self.take_step(number, input);
            }
        }
    }

    /// The process ends, and another one without its memory replaces it.
    pub fn crash(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        replica.status = Status::default();
        replica.spec.holder.push('+');
        replica.version = 0;
        replica.forgot = false;
        replica.known_attempts = None;
        replica.cache = None;
        replica.activity = Activity::Waiting(Some(self.now));
    }

    /// The reconcile ends before its next effect or result; the caller keeps its latest status, or its first.
    pub fn cancel(&mut self, number: usize, keeps_latest: bool) {
        let replica = &mut self.replicas[number];
        if matches!(replica.activity, Activity::Planned(_) | Activity::Performed(_)) {
            if !keeps_latest {
                (replica.status, replica.version) = replica.at_start.clone();
            }
            replica.activity = Activity::Waiting(Some(self.now));
        }
    }

    /// A backup restores an earlier status.
    pub fn restore(&mut self, record: TemporaryPermissionGrantStatus) {
        if let Some(object) = &mut self.store {
            object.version += 1;
            object.record = record;
        }
        self.notify();
    }

    /// A backup restores one of the earlier statuses, which takes longer than a record needs to appear in the listing.
    pub fn restore_past(&mut self, number: usize) {
        let Some(earlier) = self.past.get(number).cloned() else { return };
        self.pass(self.replicas[0].spec.timing.quarantine());
        if earlier.attempts == 0 && self.amigo.own().next().is_none() {
            // Nothing shows when the access was first requested.
            self.history.activated = None;
        }
        self.restore(earlier);
    }

    /// The wall clock of a replica, which adopts a clock of the server that differs.
    pub fn wall(&self, number: usize) -> Timestamp {
        let clock = |skew: i64| at(self.now).checked_add(SignedDuration::from_millis(skew)).unwrap();
        let (own, server) = (clock(self.replicas[number].skew), clock(self.amigo.skew));
        let tolerated = SignedDuration::try_from(self.replicas[number].spec.timing.tick).unwrap();
        if self.amigo.sends_date && own.duration_until(server).abs() > tolerated { server } else { own }
    }

    /// Another writer changes metadata.
    pub fn touch(&mut self) {
        if let Some(object) = &mut self.store {
            object.version += 1;
        }
    }

    /// A user deletes the object.
    pub fn delete(&mut self) {
        if self.store.take().is_some() {
            self.history.record_deletion(self.now);
        }
    }

    /// A user deletes the object, and a finalizer holds it.
    pub fn begin_deletion(&mut self) {
        if let Some(object) = self.store.as_mut().filter(|object| !object.being_deleted) {
            object.being_deleted = true;
            object.generation += 1;
            object.version += 1;
            self.history.record_deletion(self.now);
        }
        self.notify();
    }

    /// A user changes the spec; the replicas see it in their next reconcile.
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
            // The caller waits for a cache that is not older than its own last write.
            replica.cache.clone_from(&self.store);
        }
        let Some(cached) = replica.cache.clone() else {
            replica.activity = Activity::Finished;
            return;
        };
        if std::mem::take(&mut replica.forgot) {
            let boot = self.now + replica.boot_offset;
            let is_changed = cached.version != replica.version;
            replica.status = Status::resume(cached.record.clone(), replica.known_attempts.take(), is_changed, boot);
            replica.version = cached.version;
        }
        replica.spec.generation = replica.spec.generation.max(cached.generation);
        replica.spec.being_deleted |= cached.being_deleted;
        if cached.version > replica.version {
            replica.version = cached.version;
            replica.status.observe(cached.record, true, self.now + replica.boot_offset);
        }
        replica.at_start = (replica.status.clone(), replica.version);
        replica.steps = 0;
        self.take_step(number, Input::Start);
    }

    fn take_step(&mut self, number: usize, input: Input) {
        let wall = self.wall(number);
        let replica = &mut self.replicas[number];
        let boot = self.now + replica.boot_offset;
        let random = self.seed.wrapping_add((number as u64) << 32).wrapping_add(replica.random);
        let now = Now { wall, boot, random };
        let (status, effect) = step(&replica.spec, &replica.status, input, now);
        replica.steps += 1;
        self.history.check(replica.steps <= 64, || "a reconcile does not end".to_owned());
        replica.status = status;
        replica.activity = match effect {
            None => Activity::Waiting(None),
            Some(Effect::WaitUntil(until)) => {
                let outdated = replica.status.memory.outdated;
                let in_future = until > now.wall || outdated;
                self.history.check(in_future, || format!("wakes in the past: {until} at {}", now.wall));
                let delay = now.wall.duration_until(until).unsigned_abs();
                let delay = self.unit.map_or(delay, |unit| round_up(delay, unit));
                Activity::Waiting(Some(self.now + delay))
            }
            Some(effect) => {
                replica.random += u64::from(effect == Effect::WriteStatus);
                Activity::Planned(effect)
            }
        };
        let waits = matches!(replica.activity, Activity::Waiting(_));
        if self.drops_settled && waits && replica.status.is_settled() {
            replica.known_attempts = replica.status.known_attempts();
            replica.status = Status::default();
            replica.forgot = true;
        }
        if let Activity::Planned(effect) = &replica.activity {
            self.log.push(name(effect).to_owned());
        }
    }

    fn perform(&mut self, number: usize, effect: &Effect, fate: Fate) -> Activity {
        let fate = self.script.get_mut(name(effect)).and_then(VecDeque::pop_front).unwrap_or(fate);
        let fine = fate == Fate::Fine;
        self.history.record_fate(effect, fate);
        self.replicas[number].response_version = None;
        let input = match effect {
            Effect::Resolve if fine => {
                Input::Resolved(Ok(Resolved { user_id: self.user.clone(), owner_user_id: Some("owner".to_owned()) }))
            }
            Effect::Resolve => Input::Resolved(Err(failure(fate))),
            Effect::Reserve { .. } => match fate {
                Fate::RateLimited(after) => {
                    let boot = self.now + self.replicas[number].boot_offset;
                    Input::Reserved(Err(boot + Duration::from_secs(after)))
                }
                _ => Input::Reserved(Ok(())),
            },
            Effect::Read => {
                let Some(object) = self.store.clone() else { return Activity::Finished };
                let replica = &mut self.replicas[number];
                if fine {
                    replica.response_version = Some(object.version);
                    let is_changed = object.version != replica.version;
                    let (generation, record, began) =
                        (object.generation, object.record, self.now + replica.boot_offset);
                    Input::Read(Ok(Fresh { generation, record, is_changed, began }))
                } else {
                    Input::Read(Err(ReadFailed))
                }
            }
            Effect::WriteStatus => {
                let record = self.replicas[number].status.record.clone();
                let written = self.written(number);
                Input::Written(self.write(number, Some(record), written, fate))
            }
            Effect::Delete => Input::Written(self.write(number, None, None, fate)),
            Effect::Post { posts, window_closes } => Input::Posted(self.send(number, posts, *window_closes, fate)),
            Effect::Lookup(query) if fine => {
                let uid = self.replicas[number].spec.origin.uid.clone();
                Input::LookedUp(Ok(self.amigo.list(query, &uid, self.now)))
            }
            Effect::Lookup(_) => Input::LookedUp(Err(failure(fate))),
            Effect::WaitUntil(_) => return Activity::Waiting(None),
        };
        Activity::Performed(input)
    }

    fn written(&self, number: usize) -> Option<WrittenIntent> {
        let replica = &self.replicas[number];
        let intent = replica.status.record.intent.clone()?;
        Some(WrittenIntent {
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
        written: Option<WrittenIntent>,
        fate: Fate,
    ) -> WriteOutcome {
        let version = self.replicas[number].version;
        match fate {
            Fate::Late(delay) => {
                let due = self.now + MILLISECOND * u32::try_from(delay).unwrap();
                self.delayed.push(Delayed { due, version, record, written });
                WriteOutcome::Unknown
            }
            Fate::LostAfter => {
                self.commit(version, record, written);
                WriteOutcome::Unknown
            }
            Fate::Fine | Fate::PartlyRejected | Fate::PartlyInvalid => match self.commit(version, record, written) {
                Some(version) => {
                    self.replicas[number].response_version = Some(version);
                    WriteOutcome::Done
                }
                None => WriteOutcome::Conflict,
            },
            _ => WriteOutcome::Unknown,
        }
    }

    /// Stores a record, or without one deletes the object, if its version is unchanged.
    fn commit(
        &mut self,
        version: u64,
        record: Option<TemporaryPermissionGrantStatus>,
        written: Option<WrittenIntent>,
    ) -> Option<u64> {
        let object = self.store.as_mut().filter(|object| object.version == version)?;
        let Some(record) = record else {
            self.store = None;
            self.history.record_deletion(self.now);
            return Some(version);
        };
        self.past.push(object.record.clone());
        self.history.record_write(&self.amigo, (&object.record, &record), written, object.generation, self.now);
        object.version += 1;
        object.record = record;
        Some(object.version)
    }

    fn send(&mut self, number: usize, posts: &[Post], window_closes: Duration, fate: Fate) -> Vec<(u32, PostOutcome)> {
        let replica = &self.replicas[number];
        // The caller's own check: nothing is sent after the window.
        let late = self.now + replica.boot_offset >= window_closes;
        let fate = if late { Fate::NotSent } else { fate };
        let holder = replica.spec.holder.clone();
        let mut outcomes = vec![];
        for post in posts {
            self.history.record_post(post, (number, &holder), self.now, fate);
            outcomes.push((post.slot, self.amigo.post(post, fate, self.now)));
            self.history.check_journal(&self.amigo);
        }
        outcomes
    }

    /// Lets every replica act, without faults, until all of them wait.
    pub fn work(&mut self) {
        for _ in 0..200 {
            let is_due = |number: &usize| self.replicas[*number].is_due(self.now);
            let busy: Vec<usize> = (0..self.replicas.len()).filter(is_due).collect();
            if busy.is_empty() {
                return;
            }
            for number in busy {
                self.act(number, Fate::Fine);
            }
        }
        panic!("the replicas never wait: {:?}", self.log);
    }

    /// Advances time until that moment, and lets replicas act when their waits end.
    pub fn run_until(&mut self, end: Duration) {
        loop {
            self.work();
            let delayed = self.delayed.iter().map(|write| write.due).min();
            let next =
                self.replicas.iter().filter_map(Replica::wakes_at).chain(delayed).filter(|next| *next > self.now).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.advance(next.saturating_sub(self.now)),
                None => break,
            }
            self.notify();
        }
        self.advance(end.saturating_sub(self.now));
        self.work();
    }

    /// Every replica receives a watch event for a change of the object.
    pub fn notify(&mut self) {
        let version = self.store.as_ref().map(|object| object.version);
        for replica in &mut self.replicas {
            if matches!(replica.activity, Activity::Waiting(_))
                && version.is_none_or(|version| version > replica.version)
            {
                replica.activity = Activity::Waiting(Some(self.now));
            }
        }
    }
}
