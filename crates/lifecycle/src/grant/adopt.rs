//! Which listed records belong to the object.

use amigo_api::{IssuedGrant, TemporaryPermissionGrantStatus, conditions::whole_second, duration, reasons};
use jiff::Timestamp;

use super::{
    ListedGrant, Now, Resolved, Spec, Status,
    spec::signed,
    tags::{CLUSTER, UID, attempt_from_tags, slot_from_tags},
};

/// How a listed record relates to the object.
enum Relation {
    /// It is exactly what was requested.
    Match(IssuedGrant),
    /// It has the tags of the open attempt, but something else differs: it is neither adopted nor replaced.
    Mismatched(u32),
    /// It does not belong to the object.
    Unrelated,
}

/// Adopts the records of the open intent and of earlier attempts from a complete listing.
pub(super) fn adopt(spec: &Spec, status: &mut Status, listed: &[ListedGrant]) {
    let resolved = resolved_ids(&status.record);
    for grant in listed {
        match relation(spec, &status.record, &resolved, grant) {
            Relation::Match(grant) => insert(&mut status.record, grant),
            Relation::Mismatched(slot) => {
                status.memory.mismatched.insert(slot);
            }
            Relation::Unrelated => {}
        }
    }
}

/// Rebuilds the status of an object that has records but no status, for example after a restore from a backup.
///
/// The access is activated at the creation of the earliest record, so that its duration does not restart.
pub(super) fn rebuild(spec: &Spec, status: &mut Status, resolved: &Resolved, listed: &[ListedGrant], now: Now) {
    let own = |grant: &&ListedGrant| has_own_tags(spec, grant) && grant.creator_user_id == spec.service_user_id;
    let Some(activated_at) = listed.iter().filter(own).map(|grant| created_at(spec, &status.record, grant)).min()
    else {
        return;
    };
    let activated_at = whole_second(activated_at);
    let record = &mut status.record;
    record.activated_at = Some(activated_at);
    record.deadline = Some(spec.deadline(activated_at));
    record.revoke_within = spec.revoke_within.map(duration::format);
    record.attempts =
        listed.iter().filter(own).filter_map(|grant| attempt_from_tags(&grant.tags)).max().unwrap_or(1).max(1);
    record.organization = Some(spec.org_id.clone());
    record.api_origin = Some(spec.api_origin.clone());
    record.user_id = Some(resolved.user_id.clone());
    record.conversation_owner_user_id.clone_from(&resolved.owner_user_id);
    adopt(spec, status, listed);
    let filled = |slot: u32| status.record.grants.iter().any(|grant| grant.slot == slot);
    let mismatched = |grant: &&ListedGrant| {
        grant.expires_at > now.wall && slot_from_tags(&grant.tags).is_some_and(|(slot, _)| !filled(slot))
    };
    if let Some(grant) = listed.iter().filter(own).find(mismatched) {
        let id = &grant.id;
        let message = format!(
            "record {id} at Amigo belongs to this object and is active, but does not match its spec (user, permission, \
             condition or end time). Nothing more is requested. Check the record at Amigo"
        );
        status.give_up(spec, reasons::CONFLICT, message, now);
    }
}

/// The latest end of an own record: S2, plus one tick for a server clock that is ahead.
pub(super) fn latest_end(spec: &Spec, record: &TemporaryPermissionGrantStatus) -> Option<Timestamp> {
    record.deadline?.checked_add(spec.timing.margin() + signed(spec.timing.tick)).ok()
}

/// The ids that the attempts of the record used.
pub(super) fn resolved_ids(record: &TemporaryPermissionGrantStatus) -> Resolved {
    Resolved {
        user_id: record.user_id.clone().unwrap_or_default(),
        owner_user_id: record.conversation_owner_user_id.clone(),
    }
}

fn relation(
    spec: &Spec,
    record: &TemporaryPermissionGrantStatus,
    resolved: &Resolved,
    listed: &ListedGrant,
) -> Relation {
    let (Some((slot, lease)), Some(attempt)) = (slot_from_tags(&listed.tags), attempt_from_tags(&listed.tags)) else {
        return Relation::Unrelated;
    };
    if !has_own_tags(spec, listed) || attempt > record.attempts {
        return Relation::Unrelated;
    }
    let matches = spec.permission(slot, resolved).is_some_and(|permission| {
        permission.permission_name == listed.permission_name && permission.conditions == listed.conditions
    });
    let ends_in_time = latest_end(spec, record).is_some_and(|latest| listed.expires_at <= latest);
    if !matches || !ends_in_time || listed.user_id != resolved.user_id || listed.creator_user_id != spec.service_user_id
    {
        // A forged tag must not stop a request: only the nonce of the open attempt counts.
        let open = record.intent.as_ref().filter(|intent| listed.tags.get("nonce") == Some(&intent.nonce));
        return if open.is_some() { Relation::Mismatched(slot) } else { Relation::Unrelated };
    }
    Relation::Match(IssuedGrant {
        permission_name: listed.permission_name.clone(),
        id: listed.id.clone(),
        issued_at: created_at(spec, record, listed),
        expires_at: listed.expires_at,
        slot,
        lease,
    })
}

fn has_own_tags(spec: &Spec, listed: &ListedGrant) -> bool {
    listed.tags.get(UID) == Some(&spec.origin.uid) && listed.tags.get(CLUSTER) == Some(&spec.origin.cluster)
}

fn created_at(spec: &Spec, record: &TemporaryPermissionGrantStatus, listed: &ListedGrant) -> Timestamp {
    let requested = spec.lease_length(record).unwrap_or(spec.duration);
    listed.created_at.unwrap_or_else(|| listed.expires_at.saturating_sub(requested).unwrap_or(listed.expires_at))
}

/// Stores a record in its slot, replacing one of an earlier lease.
pub(super) fn insert(record: &mut TemporaryPermissionGrantStatus, grant: IssuedGrant) {
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
