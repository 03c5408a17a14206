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

mod effects;
mod spec;
mod telling;
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
    effects::{Pass, Performed},
    telling::{Untold, tell_deletion, tell_expiry},
};
use super::{
    context::{COMING, Context, Named, ReconcileError, SharedContext},
    seniority::label,
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
pub struct Memories(Mutex<HashMap<String, Held>>);

/// What this process remembers of one object.
#[derive(Default)]
pub struct Held {
    uid: String,
    /// The version this process last wrote; the cache must not be older.
    version: Option<u64>,
    /// Since when the cache has been older.
    behind_since: Option<Duration>,
    status: Option<Box<Status>>,
    reservations: Vec<Reservation>,
    /// What may have happened and was not told.
    untold: Untold,
}

impl Memories {
    fn take(&self, object: &TemporaryPermissionGrant) -> Held {
        let uid = object.uid().unwrap_or_default();
        self.forget(object).unwrap_or_else(|| Held { uid, ..Held::default() })
    }

    fn keep(&self, object: &TemporaryPermissionGrant, held: Held) {
        self.lock().insert(label(object), held);
    }

    /// Forgets all but these: a pass that ends after its object went would be remembered for ever.
    pub fn prune(&self, objects: &[Arc<TemporaryPermissionGrant>]) {
        let present: HashSet<String> = objects.iter().map(|object| label(&**object)).collect();
        self.lock().retain(|name, _| present.contains(name));
    }

    fn forget(&self, object: &TemporaryPermissionGrant) -> Option<Held> {
        let uid = object.uid().unwrap_or_default();
        self.lock().remove(&label(object)).filter(|held| held.uid == uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
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
    memories: Arc<Memories>,
) -> Result<(Action, Outcome), ReconcileError> {
    // Boxed: thousands of passes wait at a time, and most of them need little of it.
    Ok(Box::pin(run(&object, &context, &memories)).await)
}

async fn run(object: &TemporaryPermissionGrant, context: &Context, memories: &Memories) -> (Action, Outcome) {
    let mut held = memories.take(object);
    if held.version > version(object) {
        // The cache is older than what this process wrote itself; unless it stays so: then the store went back.
        let since = *held.behind_since.get_or_insert(context.clock.boot());
        if context.clock.boot().saturating_sub(since) < LONGEST_CACHE_LAG {
            memories.keep(object, held);
            return (Action::requeue(CACHE_LAG), Outcome::Waiting);
        }
        held = Held { uid: held.uid, ..Held::default() };
    }
    held.behind_since = None;
    let link = match context.organization(&object.spec.organization_ref.name).await {
        Named::Here(link) => Some(link),
        Named::Nowhere => None,
        Named::Coming => {
            memories.keep(object, held);
            return (Action::requeue(COMING), Outcome::Waiting);
        }
    };
    let record = object.status.clone().unwrap_or_default();
    let mut status = match held.status.take() {
        Some(mut status) => {
            status.observe(record);
            *status
        }
        None => Status::seen(record),
    };
    let spec = spec::build(object, link.as_deref(), context);
    let namespace = object.namespace().unwrap_or_default();
    let client = link.as_ref().and_then(|link| link.client_for(&namespace).ok().cloned());
    let mut pass = Pass { context, object: object.clone(), client, link, held };
    let mut input = Input::Start;
    for _ in 0..MOST_STEPS {
        let (next, effect) = grant::step(&spec, &status, input, now(context));
        tracing::debug!(object = label(object), ?effect, "a step of the grant protocol");
        let before = std::mem::replace(&mut status, next);
        let performed = match effect {
            Some(Effect::WaitUntil(until)) => return rest(pass, status, Some(until), memories),
            None => return rest(pass, status, None, memories),
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
            Performed::Overtaken => return rest(pass, before, Some(context.clock.now()), memories),
        };
    }
    tracing::error!(object = label(object), "a pass took too many steps; this is a fault in the operator");
    (Action::requeue(context.settings.timing.tick), Outcome::Failed)
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
                pass.held.untold.see(&pass.object, &fresh.record, pass.context);
            }
            performed
        }
        Effect::WriteStatus => {
            let before = pass.object.status.clone().unwrap_or_default();
            let performed = pass.write(status.record.clone()).await;
            match &performed {
                Performed::Input(Input::Written(WriteOutcome::Done)) => {
                    pass.held.untold.wrote(&pass.object, before, &status.record, pass.context);
                }
                Performed::Input(Input::Written(WriteOutcome::Unknown)) => pass.held.untold.doubt(before),
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
                Performed::Input(Input::Found(found))
            }
            None => Performed::Stopped,
        },
        Effect::Delete => {
            // Told by `end` if the answer comes, else by whoever notices first that the object went.
            pass.held.untold.expiry = true;
            let performed = pass.delete().await;
            if !matches!(performed, Performed::Gone | Performed::Input(Input::Written(WriteOutcome::Unknown))) {
                pass.held.untold.expiry = false;
            }
            performed
        }
        Effect::WaitUntil(_) => Performed::Input(Input::Start),
    }
}

fn rest(pass: Pass<'_>, status: Status, until: Option<Timestamp>, memories: &Memories) -> (Action, Outcome) {
    let Pass { context, object, client: _, link: _, mut held } = pass;
    let outcome = match (status.record.phase, status.failure()) {
        (Some(Phase::Failed), _) => Outcome::Refused,
        (_, Some(failure)) if failure.class == amigo_lifecycle::RetryClass::Transient => Outcome::Failed,
        (_, Some(_)) => Outcome::Refused,
        (Some(Phase::Active | Phase::Expired), None) => Outcome::Done,
        (_, None) => Outcome::Waiting,
    };
    held.version = version(&object);
    if !status.waits_for_its_turn() {
        held.reservations.clear();
    }
    // A settled object is in the cache already: ten thousand of them must not be kept twice.
    if !status.is_settled() {
        held.status = Some(Box::new(status));
    }
    let may_be_over = held.untold.expiry;
    memories.keep(&object, held);
    if may_be_over && !is_there(&object, context) && memories.forget(&object).is_some() {
        // The watch saw the object go while this pass had the memory of its deletion.
        tell_expiry(&object, context);
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
    if std::mem::take(&mut pass.held.untold.expiry) {
        tell_expiry(&pass.object, pass.context);
    } else if after.record.phase != Some(Phase::Expired) {
        // After something was sent, say what goes on.
        let live = if after.record.grants.is_empty() { &before.record } else { &after.record };
        tell_deletion(&pass.object, live, pass.context);
    }
}

/// The watch saw the object go.
pub fn gone(object: &TemporaryPermissionGrant, memories: &Memories, context: &Context) {
    let mut untold = memories.forget(object).map(|held| held.untold).unwrap_or_default();
    let record = object.status.clone().unwrap_or_default();
    untold.see(object, &record, context);
    if untold.expiry {
        tell_expiry(object, context);
    } else if record.phase != Some(Phase::Expired) {
        tell_deletion(object, &record, context);
    }
}
