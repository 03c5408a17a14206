//! The status of one role as a reconcile will write it. Intents are written before anything is sent.

use std::time::Duration;

use amigo_api::{DenyRecord, Role, RoleStatus, SentRole};
use amigo_client::{Client, Endpoint};
use amigo_lifecycle::{
    Failure,
    role::{DesiredRole, PlanInput},
};
use kube::ResourceExt as _;

use super::observe;
use crate::controller::{
    access::Target,
    announce,
    audit::AuditLine,
    connection::api_endpoint::ApiEndpoint,
    context::{Announcement, Context, ReconcileError},
    resync,
};

/// The most digests of sent Deny grants that a status keeps, so that it can always be written.
const DENIED_DIGESTS: usize = 1024;

/// The status to write, and the one last read or written.
pub struct StatusDraft<'a> {
    pub role: &'a Role,
    pub context: &'a Context,
    pub status: RoleStatus,
    /// How many Deny grants of the spec the role at Amigo does without.
    pub compiled_away: usize,
    stored: RoleStatus,
    resource_version: Option<String>,
}

impl<'a> StatusDraft<'a> {
    pub fn new(role: &'a Role, context: &'a Context) -> Self {
        let status = role.status.clone().unwrap_or_default();
        let resource_version = role.resource_version();
        Self { role, context, stored: status.clone(), status, compiled_away: 0, resource_version }
    }

    /// Whether a user asked for a fresh look at Amigo.
    pub fn is_resync_requested(&self) -> bool {
        resync::is_requested(self.role, self.stored.last_handled_resync.as_ref())
    }

    /// The maximum age of the listing that the reconcile compares the role with.
    pub fn listing_age(&self, target: &Target<'_>) -> Duration {
        if self.is_resync_requested() { Duration::ZERO } else { observe::resync_age(target) }
    }

    /// The client that sends a change now, if the rate limit allows it.
    ///
    /// # Errors
    /// If the role has to wait for its turn, which stays booked.
    pub fn claim_turn(&self, client: &Client, endpoint: Endpoint) -> Result<Client, Failure> {
        let (uid, now) = (self.role.uid().unwrap_or_default(), self.context.clock.boot());
        self.context.role_turns.claim(&uid, client, endpoint, now).map_err(|error| Failure::from(&error))
    }

    /// The role needs no change.
    pub fn release_turn(&self) {
        self.context.role_turns.release(&self.role.uid().unwrap_or_default());
    }

    /// Discards IDs, records and digests of another endpoint.
    pub fn enter(&mut self, endpoint: &ApiEndpoint) {
        if describes(&self.status, endpoint) {
            return;
        }
        self.status = RoleStatus {
            organization: Some(endpoint.organization.clone()),
            api_origin: Some(endpoint.origin.clone()),
            conditions: std::mem::take(&mut self.status.conditions),
            last_handled_resync: self.status.last_handled_resync.take(),
            ..RoleStatus::default()
        };
    }

    /// Writes what is about to be sent, if the next reconcile must know it even when the response is lost: a creation,
    /// an adoption, a Deny.
    ///
    /// # Errors
    /// Errors of the Kubernetes API.
    pub async fn record_intent(
        &mut self,
        creation: Option<SentRole>,
        deny: Option<DenyRecord>,
    ) -> Result<(), ReconcileError> {
        let is_adopted = self.status.role_id != self.stored.role_id;
        if creation.is_none() && deny.is_none() && !is_adopted {
            return Ok(());
        }
        self.status.sent = creation.or_else(|| self.status.sent.take());
        if deny.is_some() {
            self.status.denied_digests.extend(DesiredRole::uncompiled(&self.role.spec).denied_digests());
            self.status.denied_digests.sort();
            self.status.denied_digests.dedup();
            self.status.denied_digests.truncate(DENIED_DIGESTS);
        }
        self.status.deny = deny.or_else(|| self.status.deny.take());
        self.write().await
    }

    /// Takes back an intent that was certainly not sent.
    pub fn discard_intent(&mut self, input: &PlanInput<'_>) {
        self.status.sent.clone_from(&input.status.sent);
        self.status.role_id.clone_from(&input.status.role_id);
        self.status.deny.clone_from(&input.status.deny);
        self.status.denied_digests.clone_from(&input.status.denied_digests);
    }

    /// Records that the role at Amigo matches the spec.
    pub fn record_in_sync(&mut self, input: &PlanInput<'_>, id: String) {
        // A creation without a confirmation is confirmed by the role itself.
        if let Some(sent) = &mut self.status.sent {
            sent.role_id.get_or_insert_with(|| id.clone());
        }
        self.status.role_id = Some(id);
        self.status.applied_digest = Some(input.digest());
        self.compiled_away = input.desired.as_ref().map_or(0, |desired| desired.compiled_away);
        self.status.deny = None;
        self.status.denied_digests = input.desired.as_ref().map_or_else(|_| Vec::new(), DesiredRole::denied_digests);
    }

    /// Emits a normal Event and an audit line.
    pub fn emit(&self, reason: &'static str, message: &str) {
        let announcement = Announcement { reason, message: message.to_owned(), warning: false };
        announce::emit(self.role, announcement, audit_line(self.role), self.context);
    }

    pub fn has_changed(&self) -> bool {
        self.status != self.stored
    }

    /// Writes the status under the version last read or written.
    ///
    /// # Errors
    /// Errors of the Kubernetes API.
    pub async fn write(&mut self) -> Result<(), ReconcileError> {
        let mut object = Role { status: Some(self.status.clone()), ..self.role.clone() };
        object.metadata.resource_version.clone_from(&self.resource_version);
        let written = self.context.write_status(&self.context.api_of(self.role), &object).await?;
        self.stored = self.status.clone();
        self.resource_version = written.resource_version();
        Ok(())
    }
}

/// Whether the status is about the role at this endpoint.
pub fn describes(status: &RoleStatus, endpoint: &ApiEndpoint) -> bool {
    endpoint.is_recorded(status.organization.as_ref(), status.api_origin.as_ref())
}

/// The audit fields of every role.
pub fn audit_line(role: &Role) -> AuditLine {
    AuditLine {
        organization: role.spec.organization_ref.name.clone(),
        access: vec![role.remote_name()],
        ..AuditLine::default()
    }
}
