//! Which user an assignment speaks of, and whether it may.

use std::{sync::Arc, time::Duration};

use amigo_api::{RoleAssignment, reasons};
use amigo_client::RemoteUser;
use amigo_lifecycle::{Failure, RetryClass};
use kube::ResourceExt as _;

use super::Desk;
use crate::controller::ownership::{object_name, older_owner};

impl Desk<'_> {
    /// The user: by the known or given id, and by e-mail where there is none or it is not to be seen any more. Who
    /// was removed and invited again has another id.
    pub(super) async fn user(&self, age: Duration) -> Result<RemoteUser, Failure> {
        if let Some(user_id) = self.known_id(self.assignment)
            && let Some(user) = self.observe(&user_id, age).await?
        {
            return Ok(user);
        }
        let Some(email) = &self.assignment.spec.user.email else { return Err(self.not_visible()) };
        let found = self.client.user_by_email(email).await.map_err(|error| Failure::from(&error))?;
        let user = found.ok_or_else(|| self.not_visible())?;
        // The answer may be remembered from before the user went.
        self.observe(&user.user_id, age).await?.ok_or_else(|| self.not_visible())
    }

    /// The user's id as far as the object says; one of another organization means nothing.
    fn known_id(&self, assignment: &RoleAssignment) -> Option<String> {
        let status = assignment.status.as_ref();
        let here = status.filter(|status| status.organization.as_deref() == Some(self.client.organization_id()));
        here.and_then(|status| status.user_id.clone()).or_else(|| assignment.spec.user.user_id.clone())
    }

    /// Whether the object may use the same Organization.
    fn is_companion(&self, other: &RoleAssignment) -> bool {
        other.spec.organization_ref == self.assignment.spec.organization_ref
            && self.connection.admits(&other.namespace().unwrap_or_default())
    }

    /// The user as Amigo has it, read together with all others that are assigned roles.
    pub(super) async fn observe(&self, user_id: &str, age: Duration) -> Result<Option<RemoteUser>, Failure> {
        let others = || {
            let assignments = self.context.stores.assignments.state();
            let companions = assignments.iter().filter(|other| self.is_companion(other));
            companions.filter_map(|other: &Arc<RoleAssignment>| self.known_id(other)).collect()
        };
        let observed = self.connection.user_cache.get((self.client, &self.context.clock), user_id, age, others).await;
        observed.map_err(|error| Failure::from(&error))
    }

    pub(super) fn not_visible(&self) -> Failure {
        let (user, organization) = (self.assignment.spec.user.label(), self.client.organization_id());
        let message = format!("no user {user} is visible in {organization}: check the spec, or invite the user first");
        Failure::new(reasons::USER_NOT_FOUND, RetryClass::Persistent, message)
    }

    /// A user has one role: the oldest object that may use the Organization says which.
    pub(super) fn yield_to_senior(&self, user: &RemoteUser) -> Result<(), Failure> {
        let assignments = self.context.stores.assignments.state();
        let same_user = |rival: &&RoleAssignment| {
            let by_id = self.known_id(rival).as_deref() == Some(&user.user_id);
            let email = rival.spec.user.email.as_deref();
            let by_email = email.is_some_and(|email| email.eq_ignore_ascii_case(&user.email));
            self.is_companion(rival) && (by_id || by_email)
        };
        let rivals = assignments.iter().map(AsRef::as_ref).filter(same_user);
        let Some(senior) = older_owner(self.assignment, rivals) else { return Ok(()) };
        let message = format!(
            "the role of user {} is set by the older RoleAssignment {}: delete one of the two",
            user.user_id,
            object_name(senior)
        );
        Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
    }
}
