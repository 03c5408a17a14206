//! Announces changes of a grant besides its status: Events, audit lines, metrics.
//!
//! # Expected flow
//! A written status is compared with the one last announced, and the difference is announced.
//!
//! # Guarantees
//! A write or deletion whose response was lost is announced once, when its effect is observed.
//!
//! # Assumptions
//! Only the leader writes.
//!
//! # Caveats
//! An announcement that is pending when the process ends is lost. The status has its content.

use std::time::Duration;

use amigo_api::{Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus, duration, reasons};
use amigo_lifecycle::grant::Request;
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::transitions;
use crate::controller::{
    announce,
    audit::AuditLine,
    context::{Announcement, Context},
};

/// Changes of an object that are not announced yet, because their outcome is unknown.
#[derive(Default)]
pub struct PendingAnnouncements {
    /// The last announced status, if the store may have a later one of this process.
    announced: Option<Box<TemporaryPermissionGrantStatus>>,
    /// Whether this process sent a request to delete the object after its expiry.
    pub expiry: bool,
}

impl PendingAnnouncements {
    /// The outcome of a write over the status `before` is unknown.
    pub fn write_unknown(&mut self, before: TemporaryPermissionGrantStatus) {
        self.announced.get_or_insert_with(|| Box::new(before));
    }

    /// The store has this status. If it equals the last announced one, a slow write can still follow.
    pub fn record_observed(
        &mut self,
        object: &TemporaryPermissionGrant,
        record: &TemporaryPermissionGrantStatus,
        context: &Context,
    ) {
        if let Some(announced) = self.announced.take_if(|announced| **announced != *record) {
            emit_changes(object, &announced, record, context);
        }
    }

    /// A write succeeded. After it, no earlier write can succeed.
    pub fn record_written(
        &mut self,
        object: &TemporaryPermissionGrant,
        before: TemporaryPermissionGrantStatus,
        after: &TemporaryPermissionGrantStatus,
        context: &Context,
    ) {
        let announced = self.announced.take().map_or(before, |announced| *announced);
        emit_changes(object, &announced, after, context);
    }
}

/// Emits Events, audit lines and metrics for a written status.
fn emit_changes(
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
    if let Some(reason) = transitions::final_failure(before, after) {
        context.metrics.request_failed(reason);
    }
    for announcement in transitions::between(before, after) {
        announce::emit(object, announcement, audit_line(object, after), context);
    }
}

/// The operator deleted the object after its access ended. `now` is the time by Amigo's clock.
pub fn emit_expiry(object: &TemporaryPermissionGrant, now: Timestamp, context: &Context) {
    let record = object.status.clone().unwrap_or_default();
    if record.phase == Some(Phase::Failed) {
        // Nothing ended.
        return;
    }
    let ended_at = record.expires_at.or(record.deadline).unwrap_or(now);
    let ttl = object.spec.ttl_after_expiry.as_deref().and_then(|ttl| duration::parse(ttl).ok()).unwrap_or_default();
    let due = ended_at.saturating_add(ttl).unwrap_or(ended_at);
    context.metrics.expired(Duration::try_from(due.duration_until(now)).unwrap_or_default());
    // If the status has the end, the write of the status announced it.
    if record.phase != Some(Phase::Expired) {
        let message = format!("access ended at {ended_at}; the operator deleted the object");
        let announcement = Announcement { reason: reasons::EXPIRED, message, warning: false };
        announce::emit(object, announcement, audit_line(object, &record), context);
    }
}

/// The object was deleted early. If access is or can be live at `now`, by Amigo's clock, the audit line states until
/// when.
pub fn emit_deletion(
    object: &TemporaryPermissionGrant,
    record: &TemporaryPermissionGrantStatus,
    now: Timestamp,
    context: &Context,
) {
    let known = record.grants.iter().map(|grant| grant.expires_at).filter(|end| *end > now).max();
    let possible = record.intent.as_ref().and(record.deadline).filter(|end| *end > now);
    let message = match (known, possible) {
        (Some(until), _) => {
            format!("the object was deleted while its access was live. Amigo cannot revoke it: access ends at {until}")
        }
        (None, Some(until)) => {
            format!("the object was deleted during a request. If Amigo issued access, it ends at {until}")
        }
        (None, None) => return,
    };
    announce::record(object, (reasons::DELETED_WHILE_LIVE, &message), audit_line(object, record), context);
}

/// The content of an audit line about a grant.
fn audit_line(object: &TemporaryPermissionGrant, record: &TemporaryPermissionGrantStatus) -> AuditLine {
    let spec = &object.spec;
    let access = || match &spec.permissions {
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
        access: access(),
        conversation_owner_user_id: record.conversation_owner_user_id.clone(),
        justification: Some(spec.justification.trim().to_owned()),
        until: record.expires_at.or(record.deadline),
        remote_ids: record.grants.iter().map(|grant| grant.id.clone()).collect(),
        ..AuditLine::default()
    }
}
