//! One step of a grant's life: take in what happened, say what to do next.

use amigo_api::{Intent, Phase, TemporaryPermissionGrantStatus, conditions::whole_second, duration, reasons};
use jiff::Timestamp;

use super::{
    Effect, Input, Now, Post, Resolved, Spec, Status, absorb::absorb, adopt::resolved_of, outlook::Outlook,
    spec::signed,
};
use crate::{Failure, RetryClass};

/// Takes in what happened and says what to do next. Pure: the same arguments give the same answer.
///
/// `None` means that nothing is left to do for this object.
#[must_use]
pub fn step(spec: &Spec, status: &Status, input: Input, now: Now) -> (Status, Option<Effect>) {
    let mut status = status.clone();
    absorb(spec, &mut status, input, now);
    let effect = match next(spec, &mut status, now) {
        Next::Do(effect) => Some(effect),
        Next::Write => {
            status.describe(spec, now);
            Some(Effect::WriteStatus)
        }
        Next::Done => None,
        Next::Rest(until) => {
            status.describe(spec, now);
            if status.is_dirty() { Some(Effect::WriteStatus) } else { until.map(Effect::WaitUntil) }
        }
    };
    (status, effect)
}

/// What comes next, before the status is written down.
enum Next {
    Do(Effect),
    Write,
    /// Until then; `None` is for good.
    Rest(Option<Timestamp>),
    /// The object is gone.
    Done,
}

fn next(spec: &Spec, status: &mut Status, now: Now) -> Next {
    if status.memory.gone {
        return Next::Done;
    }
    if status.memory.outdated {
        return Next::Do(Effect::WaitUntil(now.wall));
    }
    if status.memory.must_read {
        return match status.memory.write_retry_at.filter(|retry_at| *retry_at > now.wall) {
            Some(retry_at) => Next::Do(Effect::WaitUntil(retry_at)),
            None => Next::Do(Effect::Read),
        };
    }
    if !status.memory.outcomes.is_empty() {
        status.describe(spec, now);
        if status.is_dirty() {
            return Next::Write;
        }
        // A lost answer about a renewal, say: nothing to tell yet.
        status.memory.outcomes.clear();
    }
    if !status.is_over() {
        settle(spec, status, now);
    }
    match status.record.phase {
        Some(Phase::Failed) => Next::Rest(None),
        Some(Phase::Expired) => after_the_end(spec, status, now),
        _ if status.record.intent.is_some() => open_question(spec, status, now),
        _ => fill(spec, status, now),
    }
}

/// Ends what is over: by its time, or by the deadline for its first issue.
fn settle(spec: &Spec, status: &mut Status, now: Now) {
    let outlook = Outlook::of(spec, status, now.wall);
    let why = || status.memory.failure.as_ref().map_or_else(String::new, |failure| format!(": {}", failure.message));
    if let Some(ends_at) = outlook.ends_at.filter(|ends_at| *ends_at <= now.wall) {
        if status.record.grants.is_empty() && status.record.intent.is_none() {
            let message = format!("the duration elapsed before anything could be issued{}", why());
            status.give_up(spec, reasons::ACTIVATION_DEADLINE_EXCEEDED, message, now);
        } else {
            status.expire(spec, ends_at, now);
        }
    } else if let Some(gives_up_at) = outlook.gives_up_at.filter(|gives_up_at| *gives_up_at <= now.wall) {
        let why = why();
        let message =
            format!("not issued by its activation deadline, {gives_up_at}{why}; create the object again to ask again");
        status.give_up(spec, reasons::ACTIVATION_DEADLINE_EXCEEDED, message, now);
    } else if let Some(obstacle) = spec
        .obstacle
        .as_ref()
        .filter(|obstacle| outlook.gives_up_at.is_some() && obstacle.class == RetryClass::Permanent)
    {
        status.give_up(spec, obstacle.reason, obstacle.message.clone(), now);
    }
}

fn after_the_end(spec: &Spec, status: &mut Status, now: Now) -> Next {
    if spec.being_deleted {
        // Whatever holds the object lets it go; to ask once more would change nothing.
        return Next::Rest(None);
    }
    let ended_at = status.record.expires_at.or(status.record.deadline).unwrap_or(now.wall);
    let delete_at = ended_at.saturating_add(spec.ttl_after_expiry).unwrap_or(Timestamp::MAX);
    if delete_at > now.wall {
        return Next::Rest(Some(delete_at));
    }
    status.memory.deleting = true;
    Next::Do(Effect::Delete)
}

/// An intent is open: send it if it is ours and fresh, else find out what became of it.
fn open_question(spec: &Spec, status: &mut Status, now: Now) -> Next {
    let Some(intent) = status.record.intent.clone() else { return Next::Rest(None) };
    let window_closes = status.memory.read_began.map(|began| began + spec.timing.send_window);
    if status.memory.unsent.as_ref() == Some(&intent.nonce) {
        // Cleared before the requests leave: a pass that is cut short here must not take them for unsent.
        status.memory.unsent = None;
        if let Some(window_closes) = window_closes.filter(|closes| now.boot < *closes) {
            status.memory.sending = Some(intent.nonce.clone());
            let posts = posts(spec, &status.record, &intent);
            return Next::Do(Effect::Post { posts, window_closes });
        }
        // Too late to send: this process knows that it never did.
        status.record.intent = None;
        status.suffer(spec, too_slow(), now);
        return Next::Write;
    }
    let never_sent = status.memory.never_sent.contains(&intent.nonce);
    if let Some(due) = status.memory.next_lookup.filter(|due| *due > now.boot && !never_sent) {
        let asks_again_at = now.wall.checked_add(signed(due.saturating_sub(now.boot))).ok();
        return Next::Rest(Outlook::of(spec, status, now.wall).wakes_at(asks_again_at));
    }
    if status.memory.read_began.is_none() {
        return Next::Do(Effect::Read);
    }
    status.memory.lookup_began = Some(now.boot);
    Next::Do(Effect::Lookup)
}

fn too_slow() -> Failure {
    Failure {
        reason: reasons::PENDING,
        message: "the Kubernetes API took longer than the send window; nothing was sent".to_owned(),
        class: RetryClass::Transient,
        retry_after: None,
    }
}

/// No intent is open: wait for the end or the next lease, or ask for what is missing.
fn fill(spec: &Spec, status: &mut Status, now: Now) -> Next {
    let outlook = Outlook::of(spec, status, now.wall);
    if outlook.wanted.is_empty() || spec.obstacle.is_some() {
        return Next::Rest(outlook.wakes_at(None));
    }
    let later = [status.memory.retry_at, status.memory.turn].into_iter().flatten().max();
    if let Some(later) = later.filter(|later| *later > now.wall) {
        return Next::Rest(outlook.wakes_at(Some(later)));
    }
    let Some(duration) = spec.ask(&status.record, now.wall) else {
        let (reason, message) = too_little_time(spec, now.wall);
        status.give_up(spec, reason, message, now);
        return Next::Write;
    };
    prepare(spec, status, Intended { lease: outlook.lease, slots: outlook.wanted, duration }, now)
}

fn too_little_time(spec: &Spec, now: Timestamp) -> (&'static str, String) {
    match spec.not_after {
        Some(not_after) if not_after <= now => {
            (reasons::NOT_AFTER_PASSED, format!("notAfter, {not_after}, has passed; nothing was issued"))
        }
        _ => {
            (reasons::TOO_LITTLE_TIME, "less than one minute would be left, the shortest grant Amigo issues".to_owned())
        }
    }
}

/// Look-ups, history, budget, quorum read, intent: in this order.
fn prepare(spec: &Spec, status: &mut Status, intended: Intended, now: Now) -> Next {
    let has_history = status.record.attempts > 0;
    if has_history && status.record.user_id.is_some() {
        // One request, one user: what the first attempt rested on holds for all.
        status.memory.resolved = Some(resolved_of(&status.record));
    }
    let Some(resolved) = status.memory.resolved.clone() else { return Next::Do(Effect::Resolve) };
    if !has_history && !status.memory.witnessed && !status.memory.history_checked {
        return Next::Do(Effect::Lookup);
    }
    if !status.memory.reserved {
        return Next::Do(Effect::Reserve { posts: u32::try_from(intended.slots.len()).unwrap_or(u32::MAX) });
    }
    match status.memory.read_began {
        None => Next::Do(Effect::Read),
        Some(began) if now.boot < began + spec.timing.send_window => {
            open_intent(spec, status, intended, resolved, now);
            Next::Write
        }
        // Findings are written before the next read overwrites them.
        Some(_) if status.is_dirty() => Next::Write,
        Some(_) => {
            status.suffer(spec, too_slow(), now);
            Next::Rest(Outlook::of(spec, status, now.wall).wakes_at(status.memory.retry_at))
        }
    }
}

/// What an attempt is about to ask for.
struct Intended {
    lease: u32,
    slots: Vec<u32>,
    duration: String,
}

/// Writes down who tries what, and when it all ends, in one record.
fn open_intent(spec: &Spec, status: &mut Status, intended: Intended, resolved: Resolved, now: Now) {
    let Intended { lease, slots, duration } = intended;
    let nonce = format!("{:016x}", now.random);
    let opened_at = whole_second(now.wall);
    let record = &mut status.record;
    // Rounded up, so that no read this rests on began after it: the latest end is counted from here.
    let activated_at = *record.activated_at.get_or_insert(next_whole_second(now.wall));
    record.deadline.get_or_insert(spec.deadline(activated_at));
    if record.attempts == 0 {
        record.revoke_within = spec.revoke_within.map(duration::format);
    }
    record.organization = Some(spec.org_id.clone());
    record.user_id = Some(resolved.user_id);
    record.conversation_owner_user_id = resolved.owner_user_id;
    let attempt = record.attempts + 1;
    record.intent =
        Some(Intent { attempt, nonce: nonce.clone(), holder: spec.holder.clone(), opened_at, duration, lease, slots });
    record.attempts = attempt;
    status.memory.unsent = Some(nonce);
    status.memory.failure = None;
    status.notice_intent(now);
}

fn posts(spec: &Spec, record: &TemporaryPermissionGrantStatus, intent: &Intent) -> Vec<Post> {
    let resolved = resolved_of(record);
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
