//! What is told of a grant besides its status: Events, audit lines, metrics.
//!
//! # Expected flow
//! A status that was written is compared with the one told last, and the difference is told.
//!
//! # Guarantees
//! A write or deletion whose answer was lost is told when it shows that it came through, and once.
//!
//! # Assumptions
//! The replica that leads is the only one that writes.
//!
//! # Caveats
//! What is not told when the process ends is never told; the status has it.
//!
//! # Errors
//! None.

use std::time::Duration;

use amigo_api::{Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, duration, reasons};
use amigo_lifecycle::grant::Request;
use kube::ResourceExt as _;

use super::transitions;
use crate::controller::{
    announce,
    audit::AuditLine,
    context::{Announcement, Context},
};

/// What may have happened to an object, and was not told because the answer was lost.
#[derive(Default)]
pub struct PendingAnnouncements {
    /// The record told last; the store may have a later one of this process. `None`: what it has is told.
    told: Option<Box<TemporaryPermissionGrantStatus>>,
    /// Whether this process asked for the object's deletion at its end.
    pub expiry: bool,
}

impl PendingAnnouncements {
    /// A write over this record may or may not have come through.
    pub fn doubt(&mut self, before: TemporaryPermissionGrantStatus) {
        self.told.get_or_insert_with(|| Box::new(before));
    }

    /// The store has this record now. One that is as told settles nothing: a slow write may still come through.
    pub fn see(
        &mut self,
        object: &TemporaryPermissionGrant,
        record: &TemporaryPermissionGrantStatus,
        context: &Context,
    ) {
        if let Some(told) = self.told.take_if(|told| **told != *record) {
            tell(object, &told, record, context);
        }
    }

    /// A write came through, and with it no earlier one can any more.
    pub fn wrote(
        &mut self,
        object: &TemporaryPermissionGrant,
        before: TemporaryPermissionGrantStatus,
        after: &TemporaryPermissionGrantStatus,
        context: &Context,
    ) {
        let told = self.told.take().map_or(before, |told| *told);
        tell(object, &told, after, context);
    }
}

/// Events, one audit line and metrics for a status that was written.
fn tell(
    object: &TemporaryPermissionGrant,
    before: &TemporaryPermissionGrantStatus,
    after: &TemporaryPermissionGrantStatus,
    context: &Context,
) {
    if transitions::became_active(before, after) {
        let now = context.clock.now();
        let since = object.creation_timestamp().map_or(now, |time| time.0).duration_until(now);
        context.metrics.issued(Duration::try_from(since).unwrap_or_default());
    }
    if let Some(reason) = transitions::gave_up(before, after) {
        context.metrics.request_failed(reason);
    }
    for announcement in transitions::between(before, after) {
        announce::emit(object, announcement, about(object, after), context);
    }
}

/// The object was deleted at its end.
pub fn emit_expiry(object: &TemporaryPermissionGrant, context: &Context) {
    let record = object.status.clone().unwrap_or_default();
    let ended_at = record.expires_at.or(record.deadline).unwrap_or_else(|| context.clock.now());
    let kept = object.spec.ttl_after_expiry.as_deref().and_then(|kept| duration::parse(kept).ok()).unwrap_or_default();
    let due = ended_at.saturating_add(kept).unwrap_or(ended_at);
    context.metrics.expired(Duration::try_from(due.duration_until(context.clock.now())).unwrap_or_default());
    // An end that the status has was told when it was written.
    if record.phase != Some(Phase::Expired) {
        let message = format!("access ended at {ended_at}; the object is deleted");
        let announcement = Announcement { reason: reasons::EXPIRED, message, warning: false };
        announce::emit(object, announcement, about(object, &record), context);
    }
}

/// The object was deleted early: says until when access goes on, if it does.
pub fn emit_deletion(object: &TemporaryPermissionGrant, record: &TemporaryPermissionGrantStatus, context: &Context) {
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
    announce::record(object, (reasons::DELETED_WHILE_LIVE, &message), about(object, record), context);
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
