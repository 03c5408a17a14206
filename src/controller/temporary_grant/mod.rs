//! Temporary grants: the shell around the pure protocol of [`crate::grant`].
//!
//! # Expected flow
//! One pass calls [`grant::step`] and performs its effects one after the other, until it says to wait.
//!
//! # Guarantees
//! What this process remembers of an object is taken away while a pass runs: a pass that is cut off in the middle
//! leaves no memory that could be mistaken for knowledge.
//!
//! # Assumptions
//! One pass an object at a time, which the controller's queue sees to.
//!
//! # Caveats
//! A pass that begins on a cache older than this process's own last write waits for the cache.
//!
//! # Errors
//! None of its own: whatever goes wrong is in the object's status.

mod announce;
mod effects;
mod spec;
mod transitions;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_api::{Phase, TemporaryPermissionGrant};
use amigo_client::Reservation;
use amigo_lifecycle::grant::{self, Effect, Input, Now, Status, WriteOutcome};
use jiff::Timestamp;
use kube::{
    ResourceExt as _,
    runtime::{controller::Action, reflector::ObjectRef},
};

use self::{
    announce::{PendingAnnouncements, emit_deletion, emit_expiry},
    effects::{Pass, Performed},
};
use super::{
    context::{Context, Lookup, NOT_READY_RETRY, ReconcileError, SharedContext},
    ownership::object_name,
};
use crate::telemetry::labels::Outcome;

/// More steps than any pass needs; a pass that takes more is a fault in the protocol.
const MOST_STEPS: usize = 64;

/// A clock that jumped must not make anybody wait longer than this.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// How long a pass waits for a cache that lags behind.
const CACHE_LAG: Duration = Duration::from_millis(100);

/// A cache that lags longer than this shows a store that was restored from a backup.
const LONGEST_CACHE_LAG: Duration = Duration::from_secs(10);

/// What this process remembers of objects.
#[derive(Default)]
pub struct LocalState(Mutex<HashMap<String, LocalEntry>>);

/// What this process remembers of one object.
#[derive(Default)]
pub struct LocalEntry {
    uid: String,
    /// The version this process last wrote; the cache must not be older.
    version: Option<u64>,
    /// Since when the cache has been older.
    behind_since: Option<Duration>,
    status: Option<Box<Status>>,
    reservations: Vec<Reservation>,
    /// What may have happened and was not told.
    pending: PendingAnnouncements,
}

impl LocalState {
    fn take(&self, object: &TemporaryPermissionGrant) -> LocalEntry {
        let uid = object.uid().unwrap_or_default();
        self.forget(object).unwrap_or_else(|| LocalEntry { uid, ..LocalEntry::default() })
    }

    fn keep(&self, object: &TemporaryPermissionGrant, entry: LocalEntry) {
        self.lock().insert(object_name(object), entry);
    }

    /// Forgets all but these: a pass that ends after its object went would be remembered for ever.
    pub fn prune(&self, objects: &[Arc<TemporaryPermissionGrant>]) {
        let present: HashSet<String> = objects.iter().map(|object| object_name(&**object)).collect();
        self.lock().retain(|name, _| present.contains(name));
    }

    fn forget(&self, object: &TemporaryPermissionGrant) -> Option<LocalEntry> {
        let uid = object.uid().unwrap_or_default();
        self.lock().remove(&object_name(object)).filter(|entry| entry.uid == uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LocalEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One pass over one grant.
///
/// # Errors
/// None of its own: whatever goes wrong is in the object's status.
pub async fn reconcile(
    object: Arc<TemporaryPermissionGrant>,
    context: SharedContext,
    local_state: Arc<LocalState>,
) -> Result<(Action, Outcome), ReconcileError> {
    // Boxed: thousands of passes wait at a time, and most of them need little of it.
    Ok(Box::pin(run(&object, &context, &local_state)).await)
}

async fn run(object: &TemporaryPermissionGrant, context: &Context, local_state: &LocalState) -> (Action, Outcome) {
    let mut entry = local_state.take(object);
    if entry.version > version(object) {
        // The cache is older than what this process wrote itself; unless it stays so: then the store went back.
        let since = *entry.behind_since.get_or_insert(context.clock.boot());
        if context.clock.boot().saturating_sub(since) < LONGEST_CACHE_LAG {
            local_state.keep(object, entry);
            return (Action::requeue(CACHE_LAG), Outcome::Waiting);
        }
        entry = LocalEntry { uid: entry.uid, ..LocalEntry::default() };
    }
    entry.behind_since = None;
    let connection = match context.organization(&object.spec.organization_ref.name).await {
        Lookup::Found(connection) => Some(connection),
        Lookup::Missing => None,
        Lookup::NotReady => {
            local_state.keep(object, entry);
            return (Action::requeue(NOT_READY_RETRY), Outcome::Waiting);
        }
    };
    let record = object.status.clone().unwrap_or_default();
    let mut status = match entry.status.take() {
        Some(mut status) => {
            status.observe(record);
            *status
        }
        None => Status::from_record(record),
    };
    let spec = spec::build(object, connection.as_deref(), context);
    let namespace = object.namespace().unwrap_or_default();
    let client = connection.as_ref().and_then(|connection| connection.client_for(&namespace).ok().cloned());
    let mut pass = Pass { context, object: object.clone(), client, connection, entry };
    let mut input = Input::Start;
    for _ in 0..MOST_STEPS {
        let (next, effect) = grant::step(&spec, &status, input, now(context));
        tracing::debug!(object = object_name(object), ?effect, "a step of the grant protocol");
        let before = std::mem::replace(&mut status, next);
        let performed = match effect {
            Some(Effect::WaitUntil(until)) => return rest(pass, status, Some(until), local_state),
            None => return rest(pass, status, None, local_state),
            Some(effect) => perform(&mut pass, &status, effect).await,
        };
        input = match performed {
            Performed::Input(input) => input,
            Performed::Gone => {
                end(&mut pass, &before, &status);
                return (Action::await_change(), Outcome::Done);
            }
            Performed::Stopped => return (Action::await_change(), Outcome::Waiting),
            // Nothing of the record was written or sent since: the step before stands.
            Performed::Overtaken => return rest(pass, before, Some(context.clock.now()), local_state),
        };
    }
    tracing::error!(object = object_name(object), "a pass took too many steps; this is a fault in the operator");
    (Action::requeue(context.settings.tick), Outcome::Failed)
}

async fn perform(pass: &mut Pass<'_>, status: &Status, effect: Effect) -> Performed {
    match effect {
        Effect::Resolve => {
            let Some(resolved) = pass.context.stop.run_until_cancelled(pass.resolve()).await else {
                return Performed::Stopped;
            };
            pass.mind_credentials(resolved.as_ref().err());
            Performed::Input(Input::Resolved(resolved))
        }
        Effect::Reserve { posts } => Performed::Input(Input::Reserved(pass.reserve(posts))),
        // What was decided about the Organization may have waited long for look-ups.
        Effect::Read if pass.is_overtaken() => Performed::Overtaken,
        Effect::Read => {
            let performed = pass.read().await;
            if let Performed::Input(Input::Read(Ok(fresh))) = &performed {
                pass.entry.pending.see(&pass.object, &fresh.record, pass.context);
            }
            performed
        }
        Effect::WriteStatus => {
            let before = pass.object.status.clone().unwrap_or_default();
            let performed = pass.write(status.record.clone()).await;
            match &performed {
                Performed::Input(Input::Written(WriteOutcome::Done)) => {
                    pass.entry.pending.wrote(&pass.object, before, &status.record, pass.context);
                }
                Performed::Input(Input::Written(WriteOutcome::Unknown)) => pass.entry.pending.doubt(before),
                _ => {}
            }
            performed
        }
        Effect::Post { posts, window_closes } => {
            let outcomes = pass.post(posts, window_closes).await;
            for (_, outcome) in &outcomes {
                pass.mind_credentials(outcome.failure());
            }
            Performed::Input(Input::Posted(outcomes))
        }
        Effect::Lookup => match pass.context.stop.run_until_cancelled(pass.look_up()).await {
            Some(found) => {
                pass.mind_credentials(found.as_ref().err());
                Performed::Input(Input::LookedUp(found))
            }
            None => Performed::Stopped,
        },
        Effect::Delete => {
            // Told by `end` if the answer comes, else by whoever notices first that the object went.
            pass.entry.pending.expiry = true;
            let performed = pass.delete().await;
            if !matches!(performed, Performed::Gone | Performed::Input(Input::Written(WriteOutcome::Unknown))) {
                pass.entry.pending.expiry = false;
            }
            performed
        }
        Effect::WaitUntil(_) => Performed::Input(Input::Start),
    }
}

fn rest(pass: Pass<'_>, status: Status, until: Option<Timestamp>, local_state: &LocalState) -> (Action, Outcome) {
    let Pass { context, object, client: _, connection: _, mut entry } = pass;
    let outcome = match (status.record.phase, status.failure()) {
        (Some(Phase::Failed), _) => Outcome::Refused,
        (_, Some(failure)) if failure.class == amigo_lifecycle::RetryClass::Transient => Outcome::Failed,
        (_, Some(_)) => Outcome::Refused,
        (Some(Phase::Active | Phase::Expired), None) => Outcome::Done,
        (_, None) => Outcome::Waiting,
    };
    entry.version = version(&object);
    if !status.is_queued() {
        entry.reservations.clear();
    }
    // A settled object is in the cache already: ten thousand of them must not be kept twice.
    if !status.is_settled() {
        entry.status = Some(Box::new(status));
    }
    let may_be_over = entry.pending.expiry;
    local_state.keep(&object, entry);
    if may_be_over && !is_there(&object, context) && local_state.forget(&object).is_some() {
        // The watch saw the object go while this pass had the memory of its deletion.
        emit_expiry(&object, context);
    }
    let action = until.map_or_else(Action::await_change, |until| {
        let wait = Duration::try_from(context.clock.now().duration_until(until)).unwrap_or_default();
        // A millisecond more: a timer that fires early would find nothing due.
        Action::requeue(wait.min(LONGEST_REST) + Duration::from_millis(1))
    });
    (action, outcome)
}

fn now(context: &Context) -> Now {
    Now { wall: context.clock.now(), boot: context.clock.boot(), random: rand::random() }
}

fn version(object: &TemporaryPermissionGrant) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

/// Whether the watch still has the object.
fn is_there(object: &TemporaryPermissionGrant, context: &Context) -> bool {
    let found = context.stores.grants.get(&ObjectRef::from_obj(object));
    found.is_some_and(|found| found.uid() == object.uid())
}

/// The object is gone: by our own deletion at its end, or deleted under our hands.
fn end(pass: &mut Pass<'_>, before: &Status, after: &Status) {
    if std::mem::take(&mut pass.entry.pending.expiry) {
        emit_expiry(&pass.object, pass.context);
    } else if after.record.phase != Some(Phase::Expired) {
        // After something was sent, say what goes on.
        let live = if after.record.grants.is_empty() { &before.record } else { &after.record };
        emit_deletion(&pass.object, live, pass.context);
    }
}

/// The watch saw the object go.
pub fn gone(object: &TemporaryPermissionGrant, local_state: &LocalState, context: &Context) {
    let mut pending = local_state.forget(object).map(|entry| entry.pending).unwrap_or_default();
    let record = object.status.clone().unwrap_or_default();
    pending.see(object, &record, context);
    if pending.expiry {
        emit_expiry(object, context);
    } else if record.phase != Some(Phase::Expired) {
        emit_deletion(object, &record, context);
    }
}
