//! Applies an input to the state: the first half of a step.

use amigo_api::{IssuedGrant, TemporaryPermissionGrantStatus};

use super::{
    Fresh, Input, ListedGrant, Now, PostOutcome, Spec, Status, WriteOutcome,
    adopt::{adopt, catch_up, insert, rebuild},
    spec::signed,
};
use crate::{Failure, RetryClass};

/// Consecutive write conflicts before the next write is delayed.
const CONFLICTS_WITHOUT_DELAY: u32 = 3;

pub(super) fn apply_input(spec: &Spec, status: &mut Status, input: Input, now: Now) {
    match input {
        Input::Start => start(spec, status, now),
        Input::Resolved(Ok(resolved)) => {
            status.memory.resolved = Some(resolved);
            status.clear_failure();
        }
        Input::Resolved(Err(failure)) => resolve_failed(spec, status, failure, now),
        Input::Reserved(Ok(())) => {
            status.memory.reserved = true;
            status.memory.queued_until = None;
        }
        Input::Reserved(Err(queued_until)) => {
            // A time in the past would make the reconcile reserve again without a pause.
            status.memory.queued_until = Some(queued_until.max(now.boot + spec.timing.tick / 10));
        }
        Input::Read(Ok(fresh)) => read(spec, status, fresh, now),
        Input::Read(Err(_)) => status.postpone_read(spec, now),
        Input::Written(outcome) => written(spec, status, outcome, now),
        Input::Posted(outcomes) => posted(spec, status, outcomes, now),
        Input::LookedUp(Ok(listed)) => looked_up(spec, status, &listed, now),
        Input::LookedUp(Err(failure)) => {
            let delay = failure.retry_after.map_or(spec.timing.tick, |after| after.max(spec.timing.tick));
            status.record_failure(spec, failure, now);
            status.memory.next_lookup = Some(now.boot + delay);
        }
    }
}

fn start(spec: &Spec, status: &mut Status, now: Now) {
    // The last reconcile may have been canceled anywhere: drop what it planned and did not write.
    if status.is_dirty() {
        status.record = status.memory.stored.clone();
    }
    let memory = &mut status.memory;
    memory.never_sent.extend(memory.unsent.take());
    memory.sending = None;
    memory.deleting = false;
    memory.must_read |= !memory.outcomes.is_empty();
    memory.reserved = false;
    memory.read_began = None;
    if memory.queued_until.is_some_and(|until| until <= now.boot) {
        memory.queued_until = None;
    }
    if memory.circumstances.replace(spec.circumstances).is_some_and(|before| before != spec.circumstances) {
        (memory.retry_at, memory.failures) = (None, 0);
        // Another API can have other ids, and has another queue.
        (memory.resolved, memory.queued_until) = (None, None);
    }
    memory.outdated = false;
    // While an intent is open, the last lookup explains more than the blocker.
    if (spec.blocker.is_some() || memory.blocked) && status.record.intent.is_none() {
        memory.failure.clone_from(&spec.blocker);
    }
    memory.blocked = spec.blocker.is_some();
    if spec.being_deleted && status.record.intent.is_none() {
        // Nothing is retried, so the failure no longer matters.
        memory.failure = None;
    }
    witness(spec, status, now);
    status.track_intent(now);
}

/// A young object without attempts has no others.
fn witness(spec: &Spec, status: &mut Status, now: Now) {
    // With clocks that differ, an old object can seem to come from the future.
    let young = spec.created_at.duration_until(now.wall).abs() < signed(spec.timing.tick);
    status.memory.witnessed |= young && status.record.attempts == 0 && status.memory.history_lost.is_none();
}

fn resolve_failed(spec: &Spec, status: &mut Status, failure: Failure, now: Now) {
    let permanent = failure.class == RetryClass::Permanent;
    let (reason, message) = (failure.reason, failure.message.clone());
    status.record_failure(spec, failure, now);
    if permanent {
        status.give_up(spec, reason, message, now);
    }
}

fn read(spec: &Spec, status: &mut Status, fresh: Fresh, now: Now) {
    let memory = &mut status.memory;
    memory.must_read = false;
    // If the spec changed, the caller starts over with the object that was just read.
    memory.outdated = fresh.generation != spec.generation;
    memory.read_began = Some(fresh.began);
    status.observe(fresh.record, fresh.is_changed, now.boot);
    witness(spec, status, now);
    status.track_intent(now);
    if status.memory.outdated {
        return;
    }
    if status.record.intent.as_ref().is_some_and(|intent| status.memory.never_sent.contains(&intent.nonce)) {
        status.record.intent = None;
    }
    apply_outcomes(spec, status);
    if !status.is_dirty() {
        // The record contains them already, or has no open intent for them.
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
            memory.history_checked |= std::mem::take(&mut memory.history_found) && memory.next_history_lookup.is_none();
            memory.outcomes.clear();
            memory.never_sent.clear();
            memory.write_failures = 0;
            if memory.unsent.is_none() {
                // The next decision to send needs a new read.
                memory.read_began = None;
            }
            return;
        }
        WriteOutcome::Conflict if memory.write_failures < CONFLICTS_WITHOUT_DELAY => memory.write_failures += 1,
        WriteOutcome::Conflict | WriteOutcome::Unknown => status.postpone_read(spec, now),
    }
    // The plan relies on a record that the store may no longer have.
    let memory = &mut status.memory;
    memory.never_sent.extend(memory.unsent.take());
    memory.read_began = None;
    memory.must_read = true;
    memory.history_found = false;
    status.record = memory.stored.clone();
}

fn posted(spec: &Spec, status: &mut Status, outcomes: Vec<(u32, PostOutcome)>, now: Now) {
    let Some(nonce) = status.memory.sending.take() else { return };
    let failure = worst_failure(&outcomes);
    let is_permanent = |(_, outcome): &(u32, PostOutcome)| match outcome {
        PostOutcome::Created { .. } => true,
        PostOutcome::Rejected(failure) => failure.class == RetryClass::Permanent,
        PostOutcome::NotSent(_) | PostOutcome::Unknown(_) => false,
    };
    // A rejected renewal does not give up an issued slot: the next renewal may be accepted.
    let ever_issued = |slot: u32| status.record.grants.iter().any(|grant| grant.slot == slot);
    let first_rejected = |(slot, outcome): &(u32, PostOutcome)| outcome.failure().is_some() && !ever_issued(*slot);
    let permanent = outcomes.iter().all(is_permanent) && outcomes.iter().any(first_rejected);
    status.memory.outcomes.extend(outcomes.into_iter().map(|(slot, outcome)| (nonce.clone(), slot, outcome)));
    apply_outcomes(spec, status);
    status.memory.reserved = false;
    match failure {
        None => status.clear_failure(),
        Some(failure) => {
            let permanent = permanent && status.record.intent.is_none();
            let (reason, message) = (failure.reason, failure.message.clone());
            status.record_failure(spec, failure, now);
            if permanent {
                status.give_up(spec, reason, message, now);
            }
        }
    }
    status.memory.next_lookup = Some(now.boot + spec.timing.list_lag);
}

/// The failure that decides when to retry, with the longest `Retry-After` of all responses.
fn worst_failure(outcomes: &[(u32, PostOutcome)]) -> Option<Failure> {
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

/// Writes the outcomes of sent requests into the record, if their intent is still open.
fn apply_outcomes(spec: &Spec, status: &mut Status) {
    let record = &mut status.record;
    for (nonce, slot, outcome) in &status.memory.outcomes {
        let Some(intent) = record.intent.as_ref().filter(|intent| intent.nonce == *nonce) else { continue };
        match outcome {
            PostOutcome::Created { id, expires_at } => {
                let permission_name = spec.request.permission_name(*slot).unwrap_or_default().to_owned();
                let (id, expires_at, slot) = (id.clone(), *expires_at, *slot);
                let (issued_at, lease) = (intent.opened_at, intent.lease);
                insert(record, IssuedGrant { permission_name, id, issued_at, expires_at, slot, lease });
            }
            PostOutcome::Rejected(_) | PostOutcome::NotSent(_) => close_slot(record, *slot),
            PostOutcome::Unknown(_) => {}
        }
    }
}

fn close_slot(record: &mut TemporaryPermissionGrantStatus, slot: u32) {
    if let Some(intent) = &mut record.intent {
        intent.slots.retain(|open| *open != slot);
        if intent.slots.is_empty() {
            record.intent = None;
        }
    }
}

fn looked_up(spec: &Spec, status: &mut Status, listed: &[ListedGrant], now: Now) {
    let began = status.memory.lookup_began.unwrap_or(now.boot);
    if status.record.intent.is_none() {
        let before = status.record.clone();
        if status.record.attempts == 0 {
            let resolved = status.memory.resolved.clone().unwrap_or_default();
            rebuild(spec, status, &resolved, listed, now);
        } else {
            catch_up(spec, status, listed, now);
        }
        let is_found = status.record != before;
        status.history_looked_up(spec, is_found, began, now);
        return;
    }
    adopt(spec, status, listed);
    status.memory.lookups = status.memory.lookups.saturating_add(1);
    let Some(intent) = &status.record.intent else {
        status.clear_failure();
        return;
    };
    let mismatched = intent.slots.iter().any(|slot| status.memory.mismatched.contains(slot));
    if !mismatched && status.quarantine_is_over(spec, began) {
        status.record.intent = None;
        status.memory.lookups = 0;
        status.clear_failure();
        return;
    }
    status.memory.next_lookup = Some(status.following_lookup(spec, now));
}
