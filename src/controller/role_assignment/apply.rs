//! Apply: assign the role.

use amigo_api::RoleAssignment;
use amigo_client::{Error, RemoteUser};
use amigo_lifecycle::Failure;

use super::{
    Scope,
    observe::Observed,
    plan::change_key,
    report::{Progress, status_at},
};
use crate::controller::context::ReconcileError;

/// Records the intent, and assigns the role.
///
/// # Errors
/// Errors of the Kubernetes API, before anything was sent.
pub async fn apply(
    observed: Observed,
    scope: Scope<'_>,
    progress: &mut Progress,
) -> Result<Result<(), Failure>, ReconcileError> {
    let Observed { user, role_name, has_role: _ } = observed;
    progress.written = scope.record_intent(&user, &role_name).await?;
    let assigned = scope.assign(user, &role_name).await;
    Ok(assigned.map(|message| {
        progress.assigned = Some(message);
        progress.role_name = Some(role_name);
    }))
}

impl Scope<'_> {
    /// Writes which role is about to be assigned, so that the fallback applies even if the response is lost. The write uses
    /// the version that was read: an object that was changed or deleted since assigns nothing.
    async fn record_intent(
        &self,
        user: &RemoteUser,
        role_name: &str,
    ) -> Result<Option<RoleAssignment>, ReconcileError> {
        let before = self.assignment.status.clone().unwrap_or_default();
        let mut status = status_at(&self.target.endpoint, &before);
        // An earlier assignment can have succeeded without a response.
        if let Some(earlier) = status.assigning.take()
            && self.is_listed(&user.role_id, Some(&earlier))
        {
            status.role_name = Some(earlier);
        }
        status.user_id = Some(user.user_id.clone());
        status.assigning = Some(role_name.to_owned());
        if status == before {
            return Ok(None);
        }
        let object = RoleAssignment { status: Some(status), ..self.assignment.clone() };
        let api = self.context.api_of(self.assignment);
        self.context.write_status(&api, &object).await.map(Some)
    }

    /// Assigns the role, and remembers a rejection. Returns the message to announce.
    async fn assign(&self, user: RemoteUser, role_name: &str) -> Result<String, Failure> {
        let user_id = &user.user_id;
        match self.send(user_id, role_name).await {
            Ok(role_id) => {
                let message = format!("assigned role {role_name} to user {user_id}");
                let user = RemoteUser { role_id, ..user };
                self.target.connection.user_cache.put(user, &self.context.clock).await;
                Ok(message)
            }
            Err(error) => {
                let failure = Failure::from(&error);
                let message = format!("cannot assign role {role_name} to user {user_id}: {}", failure.message);
                let failure = Failure { message, ..failure };
                let retry_at = self.context.clock.boot() + self.context.settings.tick * 5;
                self.target.connection.observed.refused(change_key(user_id, role_name), &failure, retry_at);
                Err(failure)
            }
        }
    }

    /// Sends one assignment. If the response is lost, the cached user can be out of date.
    pub(super) async fn send(&self, user_id: &str, role_name: &str) -> Result<String, Error> {
        let response = self.target.client.assign_role(role_name, user_id).await;
        if response.as_ref().is_err_and(Error::ambiguous) {
            self.target.connection.user_cache.forget(user_id).await;
        }
        response
    }
}
