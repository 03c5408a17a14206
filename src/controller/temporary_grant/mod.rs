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
mod transitions;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::controller::Action};

use self::effects::{Pass, Performed};
use super::{
    audit::AuditLine,
    context::{Announcement, COMING, Context, Named, ReconcileError, SharedContext},
    seniority::label,
    standing,
};
use crate::{
    amigo::Reservation,
    crd::{Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, reasons},
    grant::{self, Effect, Input, Now, Request, Spec, Status},
    telemetry::labels::Outcome,
};

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
}

impl Memories {
    fn take(&self, object: &TemporaryPermissionGrant) -> Held {
        let uid = object.uid().unwrap_or_default();
        let held = self.lock().remove(&label(object)).filter(|held| held.uid == uid);
        held.unwrap_or_else(|| Held { uid, ..Held::default() })
    }

    fn keep(&self, object: &TemporaryPermissionGrant, held: Held) {
        self.lock().insert(label(object), held);
    }

    /// Forgets all but these: a pass that ends after its object went would be remembered for ever.
    pub fn prune(&self, objects: &[Arc<TemporaryPermissionGrant>]) {
        let present: HashSet<String> = objects.iter().map(|object| label(&**object)).collect();
        self.lock().retain(|name, _| present.contains(name));
    }

    fn forget(&self, object: &TemporaryPermissionGrant) {
        self.lock().remove(&label(object));
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
            Some(effect) => perform(&mut pass, &spec, &status, effect).await,
        };
        input = match performed {
            Performed::Input(input) => input,
            Performed::Gone => {
                end(&pass, &before, &status);
                return (Action::await_change(), Outcome::Done);
            }
            Performed::Stopped => return (Action::await_change(), Outcome::Waiting),
            // Nothing was written or sent since: the step before stands.
            Performed::Overtaken => return rest(pass, before, Some(context.clock.now()), memories),
        };
    }
    tracing::error!(object = label(object), "a pass took too many steps; this is a fault in the operator");
    (Action::requeue(context.settings.timing.tick), Outcome::Failed)
}

async fn perform(pass: &mut Pass<'_>, spec: &Spec, status: &Status, effect: Effect) -> Performed {
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
        Effect::Read => pass.read().await,
        Effect::WriteStatus => {
            let before = pass.object.status.clone().unwrap_or_default();
            let performed = pass.write(status.record.clone()).await;
            if matches!(performed, Performed::Input(Input::Written(grant::WriteOutcome::Done))) {
                tell(pass, spec, &before, &status.record);
            }
            performed
        }
        Effect::Post { posts, window_closes } => {
            let outcomes = pass.post(posts, window_closes).await;
            for (_, outcome) in &outcomes {
                pass.mind_credentials(outcome.setback());
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
            let performed = pass.delete().await;
            if matches!(performed, Performed::Gone) {
                tell_expiry(pass, spec, &status.record);
            }
            performed
        }
        Effect::WaitUntil(_) => Performed::Input(Input::Start),
    }
}

fn rest(pass: Pass<'_>, status: Status, until: Option<Timestamp>, memories: &Memories) -> (Action, Outcome) {
    let Pass { context, object, client: _, link: _, mut held } = pass;
    let outcome = match (status.record.phase, status.setback()) {
        (Some(Phase::Failed), _) => Outcome::Refused,
        (_, Some(setback)) if setback.class == grant::SetbackClass::Transient => Outcome::Failed,
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
    memories.keep(&object, held);
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

/// The object was deleted under our hands, after something was sent: say what goes on.
fn end(pass: &Pass<'_>, before: &Status, after: &Status) {
    if after.record.phase == Some(Phase::Expired) {
        return;
    }
    let live = if after.record.grants.is_empty() { &before.record } else { &after.record };
    deleted(&pass.object, live, pass.context);
}

/// The watch saw the object go.
pub fn gone(object: &TemporaryPermissionGrant, memories: &Memories, context: &Context) {
    memories.forget(object);
    if let Some(record) = object.status.as_ref().filter(|record| record.phase != Some(Phase::Expired)) {
        deleted(object, record, context);
    }
}

/// Says until when access goes on after an object was deleted early.
fn deleted(object: &TemporaryPermissionGrant, record: &TemporaryPermissionGrantStatus, context: &Context) {
    let now = context.clock.now();
    let known = record.grants.iter().map(|grant| grant.expires_at).filter(|end| *end > now).max();
    let possible = record.intent.as_ref().and(record.deadline).filter(|end| *end > now);
    let message = match (known, possible) {
        (Some(until), _) => format!("deleted while live: Amigo cannot take access back, it goes on until {until}"),
        (None, Some(until)) => {
            format!("deleted while an answer was open: if Amigo issued access, it goes on until {until}")
        }
        (None, None) => return,
    };
    standing::record(object, (reasons::DELETED_WHILE_LIVE, &message), about(object, record), context);
}

/// Events, one audit line and metrics for a status that was written.
fn tell(pass: &Pass<'_>, spec: &Spec, before: &TemporaryPermissionGrantStatus, after: &TemporaryPermissionGrantStatus) {
    let context = pass.context;
    if transitions::became_active(before, after) {
        let since = spec.created_at.duration_until(context.clock.now());
        context.metrics.issued(Duration::try_from(since).unwrap_or_default());
    }
    if let Some(reason) = transitions::gave_up(before, after) {
        context.metrics.gave_up(reason);
    }
    for announcement in transitions::between(before, after) {
        standing::tell(&pass.object, announcement, about(&pass.object, after), context);
    }
}

fn tell_expiry(pass: &Pass<'_>, spec: &Spec, record: &TemporaryPermissionGrantStatus) {
    let context = pass.context;
    let ended_at = record.expires_at.or(record.deadline).unwrap_or_else(|| context.clock.now());
    let due = ended_at.saturating_add(spec.ttl_after_expiry).unwrap_or(ended_at);
    context.metrics.expired(Duration::try_from(due.duration_until(context.clock.now())).unwrap_or_default());
    // With a time to live the end was told when it came.
    if spec.ttl_after_expiry.is_zero() {
        let message = format!("access ended at {ended_at}; the object is deleted");
        let announcement = Announcement { reason: reasons::EXPIRED, message, warning: false };
        standing::tell(&pass.object, announcement, about(&pass.object, record), context);
    }
}

/// What the audit trail keeps of a grant.
fn about(object: &TemporaryPermissionGrant, record: &TemporaryPermissionGrantStatus) -> AuditLine {
    let spec = &object.spec;
    let asked = || match &spec.permissions {
        Some(permissions) => permissions.iter().map(|permission| permission.permission_name.clone()).collect(),
        None => (0..Request::Conversation.slots())
            .filter_map(|slot| Request::Conversation.permission_name(slot))
            .map(str::to_owned)
            .collect(),
    };
    AuditLine {
        organization: spec.organization_ref.name.clone(),
        requested_by: spec.requested_by.clone(),
        user: Some(spec.user.label().to_owned()),
        user_id: record.user_id.clone(),
        access: asked(),
        conversation_owner_user_id: record.conversation_owner_user_id.clone(),
        justification: Some(spec.justification.trim().to_owned()),
        until: record.expires_at.or(record.deadline),
        remote_ids: record.grants.iter().map(|grant| grant.id.clone()).collect(),
        ..AuditLine::default()
    }
}
