//! One step of the protocol: apply an input, return the next effect.

use amigo_api::{Intent, Phase, TemporaryPermissionGrantStatus, conditions::whole_second, duration, reasons};
use jiff::Timestamp;

use super::{
    Effect, Input, Now, Post, Query, Resolved, Spec, Status, adopt::resolved_ids, apply_input::apply_input,
    schedule::Schedule,
};
use crate::{Failure, RetryClass};

/// Applies an input and returns the new status with the next effect; `None` if nothing is left to do for the object.
///
/// The same arguments give the same result.
#[must_use]
pub fn step(spec: &Spec, status: &Status, input: Input, now: Now) -> (Status, Option<Effect>) {
    let mut status = status.clone();
    apply_input(spec, &mut status, input, now);
    let effect = match next(spec, &mut status, now) {
        Next::Perform(effect) => Some(effect),
        Next::Write => {
            status.update_conditions(spec, now);
            Some(Effect::WriteStatus)
        }
        Next::Done => None,
        Next::Wait(until) => {
            status.update_conditions(spec, now);
            if status.is_dirty() { Some(Effect::WriteStatus) } else { until.map(Effect::WaitUntil) }
        }
    };
    (status, effect)
}

/// The next effect, before the conditions are updated.
enum Next {
    Perform(Effect),
    Write,
    /// Wait until then; `None` waits for events only.
    Wait(Option<Timestamp>),
    /// The object is gone.
    Done,
}

fn next(spec: &Spec, status: &mut Status, now: Now) -> Next {
    if status.memory.gone {
        return Next::Done;
    }
    if status.memory.outdated {
        return Next::Perform(Effect::WaitUntil(now.wall));
    }
    if status.memory.must_read {
        return match status.memory.write_retry_at.filter(|retry_at| *retry_at > now.boot) {
            Some(retry_at) => Next::Perform(Effect::WaitUntil(now.wall_at(retry_at))),
            None => Next::Perform(Effect::Read),
        };
    }
    if !status.memory.outcomes.is_empty() {
        status.update_conditions(spec, now);
        if status.is_dirty() {
            return Next::Write;
        }
        // For example, a lost response about a renewal changes nothing in the status.
        status.memory.outcomes.clear();
    }
    if !status.is_terminal() {
        end_if_due(spec, status, now);
    }
    match status.record.phase {
        Some(Phase::Failed) => delete_failed_when_due(spec, status, now),
        Some(Phase::Expired) => delete_when_due(spec, status, now),
        _ if status.record.intent.is_some() => continue_intent(spec, status, now),
        _ => request_missing(spec, status, now),
    }
}

/// Ends a grant whose time or activation deadline has passed, or that a permanent blocker stops.
fn end_if_due(spec: &Spec, status: &mut Status, now: Now) {
    let schedule = Schedule::new(spec, status, now);
    let why = || status.memory.failure.as_ref().map_or_else(String::new, |failure| format!(": {}", failure.message));
    if let Some(ends_at) = schedule.ends_at.filter(|ends_at| *ends_at <= now.wall) {
        if status.record.grants.is_empty() && status.record.intent.is_none() {
            let message = format!("the duration elapsed before any permission was issued{}", why());
            status.give_up(spec, reasons::ACTIVATION_DEADLINE_EXCEEDED, message, now);
        } else {
            status.expire(spec, ends_at, now);
        }
    } else if let Some(gives_up_at) = schedule.gives_up_at.filter(|gives_up_at| *gives_up_at <= now.wall) {
        let why = why();
        let message =
            format!("not issued before the activation deadline {gives_up_at}{why}. To retry, recreate the object");
        status.give_up(spec, reasons::ACTIVATION_DEADLINE_EXCEEDED, message, now);
    } else if let Some(blocker) =
        spec.blocker.as_ref().filter(|blocker| schedule.gives_up_at.is_some() && blocker.class == RetryClass::Permanent)
    {
        status.give_up(spec, blocker.reason, blocker.message.clone(), now);
    }
}

fn delete_when_due(spec: &Spec, status: &mut Status, now: Now) -> Next {
    if spec.being_deleted {
        // A finalizer still holds the object; a second delete request would change nothing.
        return Next::Wait(None);
    }
    let ended_at = status.record.expires_at.or(status.record.deadline).unwrap_or(now.wall);
    delete_at(ended_at.saturating_add(spec.ttl_after_expiry).unwrap_or(Timestamp::MAX), status, now)
}

/// The last change of a condition is when the grant failed, or somewhat earlier if it was stalled before.
fn delete_failed_when_due(spec: &Spec, status: &mut Status, now: Now) -> Next {
    let failed_at = status.record.conditions.iter().map(|condition| condition.last_transition_time.0).max();
    match (failed_at, spec.failed_ttl) {
        (Some(failed_at), Some(ttl)) if !spec.being_deleted => {
            delete_at(failed_at.saturating_add(ttl).unwrap_or(Timestamp::MAX), status, now)
        }
        _ => Next::Wait(None),
    }
}

fn delete_at(due: Timestamp, status: &mut Status, now: Now) -> Next {
    if due > now.wall {
        return Next::Wait(Some(due));
    }
    status.memory.deleting = true;
    Next::Perform(Effect::Delete)
}

/// An intent is open: send it if this process just wrote it, otherwise look up its outcome.
fn continue_intent(spec: &Spec, status: &mut Status, now: Now) -> Next {
    let Some(intent) = status.record.intent.clone() else { return Next::Wait(None) };
    let window_closes = status.memory.read_began.map(|began| began + spec.timing.send_window);
    if status.memory.unsent.as_ref() == Some(&intent.nonce) {
        // Cleared before sending: if the reconcile is canceled here, the requests count as sent.
        status.memory.unsent = None;
        if let Some(window_closes) = window_closes.filter(|closes| now.boot < *closes) {
            status.memory.sending = Some(intent.nonce.clone());
            let posts = posts(spec, &status.record, &intent);
            return Next::Perform(Effect::Post { posts, window_closes });
        }
        // Too late to send. This process knows that nothing was sent.
        status.record.intent = None;
        status.record_failure(spec, window_closed(), now);
        return Next::Write;
    }
    let never_sent = status.memory.never_sent.contains(&intent.nonce);
    if let Some(due) = status.memory.next_lookup.filter(|due| *due > now.boot && !never_sent) {
        return Next::Wait(Schedule::new(spec, status, now).wakes_at(Some(due)));
    }
    if status.memory.read_began.is_none() {
        return Next::Perform(Effect::Read);
    }
    status.memory.lookup_began = Some(now.boot);
    Next::Perform(Effect::Lookup(Query::Attempt(intent.nonce)))
}

fn window_closed() -> Failure {
    let message = "the Kubernetes API took longer than the send window; nothing was sent. Retrying";
    Failure::new(reasons::PENDING, RetryClass::Transient, message)
}

/// No intent is open: request missing permissions, or wait for the next lease or the end.
fn request_missing(spec: &Spec, status: &mut Status, now: Now) -> Next {
    let schedule = Schedule::new(spec, status, now);
    if schedule.missing_slots.is_empty() || spec.blocker.is_some() {
        return Next::Wait(schedule.wakes_at(None));
    }
    let not_before = [status.memory.retry_at, status.memory.queued_until].into_iter().flatten().max();
    if let Some(not_before) = not_before.filter(|not_before| *not_before > now.boot) {
        return Next::Wait(schedule.wakes_at(Some(not_before)));
    }
    let Some(duration) = spec.request_duration(&status.record, now.wall) else {
        let (reason, message) = too_little_time(spec, now.wall);
        status.give_up(spec, reason, message, now);
        return Next::Write;
    };
    prepare(spec, status, NewIntent { lease: schedule.lease, slots: schedule.missing_slots, duration }, now)
}

fn too_little_time(spec: &Spec, now: Timestamp) -> (&'static str, String) {
    match spec.not_after {
        Some(not_after) if not_after <= now => {
            (reasons::NOT_AFTER_PASSED, format!("notAfter ({not_after}) has passed; nothing was issued"))
        }
        _ => (reasons::TOO_LITTLE_TIME, "less than one minute is left; Amigo issues no shorter grants".to_owned()),
    }
}

/// Resolve, look up earlier attempts, reserve, read, write the intent: in this order.
fn prepare(spec: &Spec, status: &mut Status, new: NewIntent, now: Now) -> Next {
    let has_history = status.record.attempts > 0;
    if has_history && status.record.user_id.is_some() {
        // All attempts use the ids of the first one.
        status.memory.resolved = Some(resolved_ids(&status.record));
    }
    let Some(resolved) = status.memory.resolved.clone() else { return Next::Perform(Effect::Resolve) };
    if status.memory.history_found {
        return Next::Write;
    }
    if !status.knows_history() {
        if let Some(due) = status.memory.next_history_lookup.filter(|due| *due > now.boot) {
            return Next::Wait(Schedule::new(spec, status, now).wakes_at(Some(due)));
        }
        status.memory.lookup_began = Some(now.boot);
        return Next::Perform(Effect::Lookup(if has_history { Query::Live } else { Query::All }));
    }
    if !status.memory.reserved {
        let posts = u32::try_from(new.slots.len()).unwrap_or(u32::MAX);
        return Next::Perform(Effect::Reserve { posts, renewal: new.lease > 0 });
    }
    match status.memory.read_began {
        None => Next::Perform(Effect::Read),
        Some(began) if now.boot < began + spec.timing.send_window => {
            open_intent(spec, status, new, resolved, now);
            Next::Write
        }
        Some(_) => {
            status.record_failure(spec, window_closed(), now);
            Next::Wait(Schedule::new(spec, status, now).wakes_at(status.memory.retry_at))
        }
    }
}

/// The contents of an intent that is about to be written.
struct NewIntent {
    lease: u32,
    slots: Vec<u32>,
    duration: String,
}

/// Records the holder, the requested slots and the deadline in one status write.
fn open_intent(spec: &Spec, status: &mut Status, new: NewIntent, resolved: Resolved, now: Now) {
    let NewIntent { lease, slots, duration } = new;
    let nonce = format!("{:016x}", now.random);
    let opened_at = whole_second(now.wall);
    let record = &mut status.record;
    // Rounded up, so that no read that this relies on began later: the latest end counts from here.
    let activated_at = *record.activated_at.get_or_insert(next_whole_second(now.wall));
    record.deadline.get_or_insert(spec.deadline(activated_at));
    if record.attempts == 0 {
        record.revoke_within = spec.needed_revoke_within().map(duration::format);
    }
    record.organization = Some(spec.org_id.clone());
    record.api_origin = Some(spec.api_origin.clone());
    record.user_id = Some(resolved.user_id);
    record.conversation_owner_user_id = resolved.owner_user_id;
    let attempt = record.attempts + 1;
    let (holder, creator_user_id) = (spec.holder.clone(), Some(spec.service_user_id.clone()));
    record.intent =
        Some(Intent { attempt, nonce: nonce.clone(), holder, creator_user_id, opened_at, duration, lease, slots });
    record.attempts = attempt;
    status.memory.unsent = Some(nonce);
    status.memory.failure = None;
    status.track_intent(now);
}

fn posts(spec: &Spec, record: &TemporaryPermissionGrantStatus, intent: &Intent) -> Vec<Post> {
    let resolved = resolved_ids(record);
    let post = |slot: &u32| {
        Some(Post {
            slot: *slot,
            user_id: resolved.user_id.clone(),
            permission: spec.permission(*slot, &resolved)?,
            duration: intent.duration.clone(),
            tags: spec.origin.tags(*slot, intent.lease, intent.attempt, &intent.nonce),
        })
    };
    intent.slots.iter().filter_map(post).collect()
}

fn next_whole_second(time: Timestamp) -> Timestamp {
    let floor = whole_second(time);
    if floor == time { floor } else { floor.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap_or(time) }
}
