//! Which listed records belong to the object.

use amigo_api::{IssuedGrant, TemporaryPermissionGrantStatus, conditions::whole_second, duration, reasons};
use jiff::Timestamp;

use super::{
    ListedGrant, Now, Resolved, Spec, Status,
    tags::{CLUSTER, NONCE, UID, attempt_from_tags, slot_from_tags},
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
/// The access is activated at the creation of the first record, so that its duration does not restart.
pub(super) fn rebuild(spec: &Spec, status: &mut Status, resolved: &Resolved, listed: &[ListedGrant], now: Now) {
    let own = |grant: &&ListedGrant| is_own(spec, &status.record, grant);
    let started = |grant: &ListedGrant| (attempt_from_tags(&grant.tags), created_at(spec, &status.record, grant));
    let Some((attempt, oldest)) = listed.iter().filter(own).map(started).min() else { return };
    // Amigo may list no expired records. Without the first attempt, its earliest time counts.
    let activated_at = whole_second(if attempt == Some(1) { oldest } else { oldest.min(spec.created_at) });
    let record = &mut status.record;
    record.activated_at = Some(activated_at);
    record.deadline = Some(spec.deadline(activated_at));
    record.revoke_within = spec.needed_revoke_within().map(duration::format);
    record.attempts = 1;
    record.organization = Some(spec.org_id.clone());
    record.api_origin = Some(spec.api_origin.clone());
    record.user_id = Some(resolved.user_id.clone());
    record.conversation_owner_user_id.clone_from(&resolved.owner_user_id);
    catch_up(spec, status, listed, now);
}

/// Adds attempts to a record that lacks them, because an older version of it was restored.
pub(super) fn catch_up(spec: &Spec, status: &mut Status, listed: &[ListedGrant], now: Now) {
    let record = &status.record;
    let own: Vec<ListedGrant> = listed.iter().filter(|grant| is_own(spec, record, grant)).cloned().collect();
    let latest = own.iter().filter_map(|grant| attempt_from_tags(&grant.tags)).max().unwrap_or_default();
    status.record.attempts = status.record.attempts.max(latest);
    adopt(spec, status, &own);
    let filled = |slot: u32| status.record.grants.iter().any(|grant| grant.slot == slot);
    let mismatched = |grant: &&ListedGrant| {
        grant.expires_at > now.wall && slot_from_tags(&grant.tags).is_some_and(|(slot, _)| !filled(slot))
    };
    if let Some(grant) = own.iter().find(mismatched) {
        let id = &grant.id;
        let message = format!(
            "record {id} at Amigo belongs to this object and is active, but does not match its spec (user, permission, \
             condition or end time). Nothing more is requested. Check the record at Amigo"
        );
        status.give_up(spec, reasons::CONFLICT, message, now);
    }
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
    if !matches || listed.user_id != resolved.user_id || !is_own(spec, record, listed) {
        // A forged tag must not stop a request: only the nonce of the open attempt counts.
        let open = record.intent.as_ref().filter(|intent| listed.tags.get(NONCE) == Some(&intent.nonce));
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

/// Whether the operator created the record for the object, as today's user or as the user of the open attempt.
fn is_own(spec: &Spec, record: &TemporaryPermissionGrantStatus, listed: &ListedGrant) -> bool {
    let of_attempt = record.intent.as_ref().and_then(|intent| intent.creator_user_id.as_ref());
    let creators = [Some(&spec.service_user_id), of_attempt];
    has_own_tags(spec, listed) && creators.contains(&Some(&listed.creator_user_id))
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
