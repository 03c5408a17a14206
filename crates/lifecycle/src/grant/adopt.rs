//! Which records found at Amigo are ours to take over.

use amigo_api::{IssuedGrant, TemporaryPermissionGrantStatus, conditions::whole_second, duration, reasons};
use jiff::Timestamp;

use super::{
    Found, Now, Resolved, Spec, Status,
    spec::signed,
    tags::{CLUSTER, UID, attempt_of, slot_of},
};

/// What a record found is to an object.
enum Judgement {
    /// It is exactly what was asked for.
    Match(IssuedGrant),
    /// It carries an attempt's tags, and something else differs: it is neither taken over nor replaced.
    Odd(u32),
    /// It has nothing to do with the object.
    Foreign,
}

/// Takes over what a complete listing shows of the open intent and of earlier attempts.
pub(super) fn adopt(spec: &Spec, status: &mut Status, found: &[Found]) {
    let resolved = resolved_of(&status.record);
    for record in found {
        match judge(spec, &status.record, &resolved, record) {
            Judgement::Match(grant) => take(&mut status.record, grant),
            Judgement::Odd(slot) => {
                status.memory.odd.insert(slot);
            }
            Judgement::Foreign => {}
        }
    }
}

/// Rebuilds the history of an object that has records and no status: restored from a backup, say.
///
/// The access was activated when the earliest record was made, so that its duration does not start anew.
pub(super) fn rebuild(spec: &Spec, status: &mut Status, resolved: &Resolved, found: &[Found], now: Now) {
    let ours = |record: &&Found| carries_our_tags(spec, record) && record.creator_user_id == spec.service_user_id;
    let Some(activated_at) = found.iter().filter(ours).map(|found| made_at(spec, &status.record, found)).min() else {
        return;
    };
    let activated_at = whole_second(activated_at);
    let record = &mut status.record;
    record.activated_at = Some(activated_at);
    record.deadline = Some(spec.deadline(activated_at));
    record.revoke_within = spec.revoke_within.map(duration::format);
    record.attempts = found.iter().filter(ours).filter_map(|found| attempt_of(&found.tags)).max().unwrap_or(1).max(1);
    record.organization = Some(spec.org_id.clone());
    record.user_id = Some(resolved.user_id.clone());
    record.conversation_owner_user_id.clone_from(&resolved.owner_user_id);
    adopt(spec, status, found);
    let filled = |slot: u32| status.record.grants.iter().any(|grant| grant.slot == slot);
    let strange =
        |found: &&Found| found.expires_at > now.wall && slot_of(&found.tags).is_some_and(|(slot, _)| !filled(slot));
    if let Some(found) = found.iter().filter(ours).find(strange) {
        let id = &found.id;
        let message = format!(
            "record {id} at Amigo was made for this object and is live, but is not what the object asks for now \
             (another user, condition or a later end); nothing more is asked for: look at it there"
        );
        status.give_up(spec, reasons::CONFLICT, message, now);
    }
}

/// The latest end that a record of ours can have: S2, and one tick for a server clock that is ahead.
pub(super) fn latest_end(spec: &Spec, record: &TemporaryPermissionGrantStatus) -> Option<Timestamp> {
    record.deadline?.checked_add(spec.timing.margin() + signed(spec.timing.tick)).ok()
}

/// The ids that the record's attempts rest on.
pub(super) fn resolved_of(record: &TemporaryPermissionGrantStatus) -> Resolved {
    Resolved {
        user_id: record.user_id.clone().unwrap_or_default(),
        owner_user_id: record.conversation_owner_user_id.clone(),
    }
}

fn judge(spec: &Spec, record: &TemporaryPermissionGrantStatus, resolved: &Resolved, found: &Found) -> Judgement {
    let (Some((slot, lease)), Some(attempt)) = (slot_of(&found.tags), attempt_of(&found.tags)) else {
        return Judgement::Foreign;
    };
    if !carries_our_tags(spec, found) || attempt > record.attempts {
        return Judgement::Foreign;
    }
    let matches = spec.permission(slot, resolved).is_some_and(|permission| {
        permission.permission_name == found.permission_name && permission.conditions == found.conditions
    });
    let ends_in_time = latest_end(spec, record).is_some_and(|latest| found.expires_at <= latest);
    if !matches || !ends_in_time || found.user_id != resolved.user_id || found.creator_user_id != spec.service_user_id {
        // A forged tag must not stop a request: only the very attempt that is open can be in doubt.
        let open = record.intent.as_ref().filter(|intent| found.tags.get("nonce") == Some(&intent.nonce));
        return if open.is_some() { Judgement::Odd(slot) } else { Judgement::Foreign };
    }
    Judgement::Match(IssuedGrant {
        permission_name: found.permission_name.clone(),
        id: found.id.clone(),
        issued_at: made_at(spec, record, found),
        expires_at: found.expires_at,
        slot,
        lease,
    })
}

fn carries_our_tags(spec: &Spec, found: &Found) -> bool {
    found.tags.get(UID) == Some(&spec.origin.uid) && found.tags.get(CLUSTER) == Some(&spec.origin.cluster)
}

fn made_at(spec: &Spec, record: &TemporaryPermissionGrantStatus, found: &Found) -> Timestamp {
    let asked = spec.lease_length(record).unwrap_or(spec.duration);
    found.created_at.unwrap_or_else(|| found.expires_at.saturating_sub(asked).unwrap_or(found.expires_at))
}

/// Puts a record into its slot, in place of one of an earlier lease.
pub(super) fn take(record: &mut TemporaryPermissionGrantStatus, grant: IssuedGrant) {
    if let Some(intent) = record.intent.as_mut().filter(|intent| intent.lease == grant.lease) {
        intent.slots.retain(|slot| *slot != grant.slot);
        if intent.slots.is_empty() {
            record.intent = None;
        }
    }
    match record.grants.iter_mut().find(|present| present.slot == grant.slot) {
        Some(present) if present.lease >= grant.lease => {}
        Some(present) => *present = grant,
        None => {
            record.grants.push(grant);
            record.grants.sort_by_key(|grant| grant.slot);
        }
    }
    record.expires_at = record.grants.iter().map(|grant| grant.expires_at).max();
}
