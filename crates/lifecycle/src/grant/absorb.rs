//! Takes in what happened: the first half of a step.

use amigo_api::{IssuedGrant, TemporaryPermissionGrantStatus};

use super::{
    Found, Fresh, Input, Now, PostOutcome, Spec, Status, WriteOutcome,
    adopt::{adopt, latest_end, rebuild, take},
    spec::signed,
};
use crate::{Failure, RetryClass};

/// So many writes in a row may find the object changed before the next waits for a while.
const CONFLICTS_AT_ONCE: u32 = 3;

pub(super) fn absorb(spec: &Spec, status: &mut Status, input: Input, now: Now) {
    match input {
        Input::Start => start(spec, status, now),
        Input::Resolved(Ok(resolved)) => {
            status.memory.resolved = Some(resolved);
            status.recover();
        }
        Input::Resolved(Err(failure)) => unresolved(spec, status, failure, now),
        Input::Reserved(Ok(())) => {
            status.memory.reserved = true;
            status.memory.turn = None;
        }
        Input::Reserved(Err(turn)) => {
            // A turn that is already over would have the pass ask again and again.
            let soonest = now.wall.checked_add(signed(spec.timing.tick / 10)).ok();
            status.memory.turn = Some(soonest.map_or(turn, |soonest| turn.max(soonest)));
        }
        Input::Read(Ok(fresh)) => read(spec, status, fresh, now),
        Input::Read(Err(_)) => status.postpone_write(spec, now),
        Input::Written(outcome) => written(spec, status, outcome, now),
        Input::Posted(outcomes) => posted(spec, status, outcomes, now),
        Input::Found(Ok(found)) => looked_up(spec, status, &found, now),
        Input::Found(Err(failure)) => {
            let delay = failure.retry_after.map_or(spec.timing.tick, |after| after.max(spec.timing.tick));
            status.suffer(spec, failure, now);
            status.memory.next_lookup = Some(now.boot + delay);
        }
    }
}

fn start(spec: &Spec, status: &mut Status, now: Now) {
    // The last pass may have been cut short anywhere: what it planned and did not write is planned anew.
    if status.is_dirty() {
        status.record = status.memory.stored.clone();
    }
    let memory = &mut status.memory;
    memory.never_sent.extend(memory.unsent.take());
    memory.sending = None;
    memory.deleting = false;
    memory.must_read |= !memory.outcomes.is_empty();
    let young = spec.created_at.duration_until(now.wall) < signed(spec.timing.tick);
    memory.witnessed |= young && status.record.attempts == 0 && !memory.history_lost;
    memory.reserved = false;
    memory.read_began = None;
    if memory.turn.is_some_and(|turn| turn <= now.wall) {
        memory.turn = None;
    }
    memory.outdated = false;
    // While a question is open, what the listing said last is the news, not what stands in the way.
    if (spec.obstacle.is_some() || memory.obstructed) && status.record.intent.is_none() {
        memory.failure.clone_from(&spec.obstacle);
    }
    memory.obstructed = spec.obstacle.is_some();
    if spec.being_deleted && status.record.intent.is_none() {
        // Nothing is tried again, so nothing stands in its way.
        memory.failure = None;
    }
    status.notice_intent(now);
}

fn unresolved(spec: &Spec, status: &mut Status, failure: Failure, now: Now) {
    let hopeless = failure.class == RetryClass::Permanent;
    let (reason, message) = (failure.reason, failure.message.clone());
    status.suffer(spec, failure, now);
    if hopeless {
        status.give_up(spec, reason, message, now);
    }
}

fn read(spec: &Spec, status: &mut Status, fresh: Fresh, now: Now) {
    let memory = &mut status.memory;
    memory.must_read = false;
    // The plan may have been made for another spec: then the shell starts over with the object just read.
    memory.outdated = fresh.generation != spec.generation;
    memory.read_began = Some(fresh.began);
    status.observe(fresh.record);
    status.notice_intent(now);
    if status.memory.outdated {
        return;
    }
    if status.record.intent.as_ref().is_some_and(|intent| status.memory.never_sent.contains(&intent.nonce)) {
        status.record.intent = None;
    }
    apply_outcomes(spec, status);
    if !status.is_dirty() {
        // The record knows already, or has no question any more that they answer.
        status.memory.outcomes.clear();
    }
}

fn written(spec: &Spec, status: &mut Status, outcome: WriteOutcome, now: Now) {
    let memory = &mut status.memory;
    let deleting = std::mem::take(&mut memory.deleting);
    match outcome {
        WriteOutcome::Done => {
            memory.gone = deleting;
            memory.stored = status.record.clone();
            memory.outcomes.clear();
            memory.never_sent.clear();
            memory.write_failures = 0;
            if memory.unsent.is_none() {
                // The next decision to send rests on a read of its own.
                memory.read_began = None;
            }
            return;
        }
        WriteOutcome::Conflict if memory.write_failures < CONFLICTS_AT_ONCE => memory.write_failures += 1,
        WriteOutcome::Conflict | WriteOutcome::Unknown => status.postpone_write(spec, now),
    }
    // Whatever was planned rests on a record that is no longer known to be the store's.
    let memory = &mut status.memory;
    memory.never_sent.extend(memory.unsent.take());
    memory.read_began = None;
    memory.must_read = true;
    status.record = memory.stored.clone();
}

fn posted(spec: &Spec, status: &mut Status, outcomes: Vec<(u32, PostOutcome)>, now: Now) {
    let Some(nonce) = status.memory.sending.take() else { return };
    let failure = worst(&outcomes);
    let permanent = |(_, outcome): &(u32, PostOutcome)| match outcome {
        PostOutcome::Created { .. } => true,
        PostOutcome::Refused(failure) => failure.class == RetryClass::Permanent,
        PostOutcome::NotSent(_) | PostOutcome::Ambiguous(_) => false,
    };
    // What was issued before is not given up by a refused renewal: the next one may be accepted.
    let ever_issued = |slot: u32| status.record.grants.iter().any(|grant| grant.slot == slot);
    let first_refused = |(slot, outcome): &(u32, PostOutcome)| outcome.failure().is_some() && !ever_issued(*slot);
    let hopeless = outcomes.iter().all(permanent) && outcomes.iter().any(first_refused);
    status.memory.outcomes.extend(outcomes.into_iter().map(|(slot, outcome)| (nonce.clone(), slot, outcome)));
    apply_outcomes(spec, status);
    status.memory.reserved = false;
    match failure {
        None => status.recover(),
        Some(failure) => {
            let hopeless = hopeless && status.record.intent.is_none();
            let (reason, message) = (failure.reason, failure.message.clone());
            status.suffer(spec, failure, now);
            if hopeless {
                status.give_up(spec, reason, message, now);
            }
        }
    }
    status.memory.next_lookup = Some(now.boot + spec.timing.list_lag);
}

/// The failure that decides how to go on, with the longest wait that any answer asked for.
fn worst(outcomes: &[(u32, PostOutcome)]) -> Option<Failure> {
    let failures = || outcomes.iter().filter_map(|(_, outcome)| outcome.failure());
    let rank = |failure: &&Failure| match failure.class {
        RetryClass::Transient => 0,
        RetryClass::Persistent => 1,
        RetryClass::Permanent => 2,
    };
    let mut worst = failures().max_by_key(rank).cloned()?;
    worst.retry_after = failures().filter_map(|failure| failure.retry_after).max();
    Some(worst)
}

/// Puts what is known of sent requests into the record, if it still holds their intent.
fn apply_outcomes(spec: &Spec, status: &mut Status) {
    let latest = latest_end(spec, &status.record);
    let record = &mut status.record;
    for (nonce, slot, outcome) in &status.memory.outcomes {
        let Some(intent) = record.intent.as_ref().filter(|intent| intent.nonce == *nonce) else { continue };
        match outcome {
            PostOutcome::Created { id, expires_at } if latest.is_some_and(|latest| *expires_at <= latest) => {
                let permission_name = spec.request.permission_name(*slot).unwrap_or_default().to_owned();
                let (id, expires_at, slot) = (id.clone(), *expires_at, *slot);
                let (issued_at, lease) = (intent.opened_at, intent.lease);
                take(record, IssuedGrant { permission_name, id, issued_at, expires_at, slot, lease });
            }
            PostOutcome::Refused(_) | PostOutcome::NotSent(_) => close(record, *slot),
            // A record that ends too late is not what was asked for: the listing will show it as odd.
            PostOutcome::Created { .. } | PostOutcome::Ambiguous(_) => {}
        }
    }
}

fn close(record: &mut TemporaryPermissionGrantStatus, slot: u32) {
    if let Some(intent) = &mut record.intent {
        intent.slots.retain(|open| *open != slot);
        if intent.slots.is_empty() {
            record.intent = None;
        }
    }
}

fn looked_up(spec: &Spec, status: &mut Status, found: &[Found], now: Now) {
    let began = status.memory.lookup_began.unwrap_or(now.boot);
    if status.record.intent.is_none() {
        let resolved = status.memory.resolved.clone().unwrap_or_default();
        rebuild(spec, status, &resolved, found, now);
        // What was found is looked for again unless it gets written down.
        status.memory.history_checked = !status.is_dirty();
        return;
    }
    adopt(spec, status, found);
    status.memory.lookups = status.memory.lookups.saturating_add(1);
    let Some(intent) = &status.record.intent else {
        status.recover();
        return;
    };
    let doubtful = intent.slots.iter().any(|slot| status.memory.odd.contains(slot));
    if !doubtful && status.quarantine_is_over(spec, intent, began, now) {
        status.record.intent = None;
        status.memory.lookups = 0;
        status.recover();
        return;
    }
    status.memory.next_lookup = Some(status.following_lookup(spec, now));
}
