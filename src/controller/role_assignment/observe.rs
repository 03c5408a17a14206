//! Observe: the user and the role at Amigo, from the shared caches.

use std::{sync::Arc, time::Duration};

use amigo_api::{ManagementPolicy, RoleAssignment, reasons};
use amigo_client::{Endpoint, RemoteRole, RemoteUser};
use amigo_lifecycle::{Failure, RetryClass};
use kube::ResourceExt as _;

use super::{
    Scope,
    report::{Progress, describes},
    validate,
};
use crate::controller::{connection::throttle::fail_if_throttled, context::Context};

/// The maximum age of a listing that shows that a role is missing, or that a user has another role.
const RECENT_LISTING: Duration = Duration::from_secs(30);

/// The maximum age of a user right before the user's role changes.
pub const RECENT: Duration = Duration::from_secs(2);

/// The user, the desired role, and whether the user has it.
pub struct Observed {
    pub user: RemoteUser,
    pub role_name: String,
    pub has_role: bool,
}

/// Whether all Roles are in the store, if the object refers to one. Otherwise a restart would report them missing.
pub async fn roles_are_loaded(assignment: &RoleAssignment, context: &Context) -> bool {
    assignment.spec.role_ref.is_none() || context.roles_filled.wait().await
}

/// Reads user and role. Stores the facts that the status reports even if a later step fails.
pub async fn observe(scope: Scope<'_>, progress: &mut Progress) -> Result<Observed, Failure> {
    progress.endpoint = Some(scope.target.endpoint.clone());
    let role_name = validate::desired_role(scope.assignment, scope.context)?;
    let age = scope.resync_age();
    let user = scope.user(age).await?;
    progress.user_id = Some(user.user_id.clone());
    scope.yield_to_older_owner(&user)?;
    if !scope.may_change() {
        // Nothing will change, so the shared caches are recent enough, and an object at rest causes no request.
        let documents = scope.documents(&role_name, age).await?;
        let has_role = documents.iter().any(|role| role.id == user.role_id);
        return Ok(Observed { user, role_name, has_role });
    }
    let (user, has_role) = scope.compare(user, &role_name).await?;
    Ok(Observed { user, role_name, has_role })
}

impl Scope<'_> {
    /// Whether the operator may change the role of the user.
    fn may_change(&self) -> bool {
        let spec = &self.assignment.spec;
        !spec.suspend && !self.target.connection.spec.suspend && spec.management_policy == ManagementPolicy::Manage
    }

    /// The maximum age of what a periodic comparison reads.
    fn resync_age(&self) -> Duration {
        if self.is_resync_requested() {
            return Duration::ZERO;
        }
        self.target.connection.resync_interval().mul_f64(0.9)
    }

    /// The user, by ID if it is known, else by e-mail address. A user who was removed and invited again has another ID.
    pub(super) async fn user(&self, age: Duration) -> Result<RemoteUser, Failure> {
        if let Some(user_id) = self.known_user_id(self.assignment)
            && let Some(user) = self.user_by_id(&user_id, age).await?
        {
            return Ok(user);
        }
        let Some(email) = &self.assignment.spec.user.email else { return Err(self.not_visible()) };
        fail_if_throttled(&self.target.client, Endpoint::Users).map_err(|error| Failure::from(&error))?;
        let found = self.target.client.user_by_email(email).await.map_err(|error| Failure::from(&error))?;
        let user = found.ok_or_else(|| self.not_visible())?;
        // The look-up can be a cached one from before the user was removed.
        self.user_by_id(&user.user_id, age).await?.ok_or_else(|| self.not_visible())
    }

    /// The user as Amigo has it, read together with all other users who are assigned roles.
    async fn user_by_id(&self, user_id: &str, age: Duration) -> Result<Option<RemoteUser>, Failure> {
        let others = || {
            let assignments = self.context.stores.assignments.state();
            let sharing = assignments.iter().filter(|other| self.shares_organization(other));
            sharing.filter_map(|other: &Arc<RoleAssignment>| self.known_user_id(other)).collect()
        };
        let (client, clock) = (&self.target.client, &self.context.clock);
        let user = self.target.connection.user_cache.get((client, clock), user_id, age, others).await;
        user.map_err(|error| Failure::from(&error))
    }

    /// The user's ID according to the object. An ID from another endpoint does not count.
    pub(super) fn known_user_id(&self, assignment: &RoleAssignment) -> Option<String> {
        let status = assignment.status.as_ref();
        let here = status.filter(|status| describes(status, &self.target.endpoint));
        here.and_then(|status| status.user_id.clone()).or_else(|| assignment.spec.user.user_id.clone())
    }

    /// Whether the other object names the same Organization and may use it.
    pub(super) fn shares_organization(&self, other: &RoleAssignment) -> bool {
        other.spec.organization_ref == self.assignment.spec.organization_ref
            && self.target.connection.admits(&other.namespace().unwrap_or_default())
    }

    fn not_visible(&self) -> Failure {
        let (user, organization) = (self.assignment.spec.user.label(), self.target.client.organization_id());
        let message = format!(
            "user {user} is not visible in {organization}. Correct spec.user, or invite the user to Amigo first"
        );
        Failure::new(reasons::USER_NOT_FOUND, RetryClass::Persistent, message)
    }

    /// Whether the user has the role. The caches can be one interval old, and the role can have a new document since.
    /// So "no" needs a recent look at both.
    pub(super) async fn compare(&self, user: RemoteUser, role_name: &str) -> Result<(RemoteUser, bool), Failure> {
        let has = |documents: &[RemoteRole], user: &RemoteUser| documents.iter().any(|role| role.id == user.role_id);
        let age = self.resync_age();
        let documents = self.documents(role_name, age).await?;
        if has(&documents, &user) {
            return Ok((user, true));
        }
        let user = self.user_by_id(&user.user_id, RECENT).await?.ok_or_else(|| self.not_visible())?;
        let documents = self.documents(role_name, RECENT_LISTING.min(age)).await?;
        if has(&documents, &user) || self.is_listed(&user.role_id, None) {
            let has_role = has(&documents, &user);
            return Ok((user, has_role));
        }
        // No listing has the user's role: one of the two reads is older than a change that the other one shows.
        let user = self.user_by_id(&user.user_id, Duration::ZERO).await?.ok_or_else(|| self.not_visible())?;
        let documents = self.documents(role_name, Duration::ZERO).await?;
        let has_role = has(&documents, &user);
        Ok((user, has_role))
    }

    /// Whether the last listing has a role with this ID and, if one is given, this name.
    pub(super) fn is_listed(&self, role_id: &str, name: Option<&str>) -> bool {
        let same = |role: &RemoteRole| role.id == role_id && name.is_none_or(|name| role.name == name);
        self.target.connection.role_cache.last().is_some_and(|roles| roles.listed.iter().any(same))
    }

    /// The documents of the role. For a day after a change, the API can list several with one name.
    async fn documents(&self, name: &str, age: Duration) -> Result<Vec<RemoteRole>, Failure> {
        let client = &self.target.client;
        for age in [age, age.min(RECENT_LISTING)] {
            let roles = self.target.connection.role_cache.get(client, &self.context.clock, age).await;
            let roles = roles.map_err(|error| Failure::from(&error))?;
            let named: Vec<RemoteRole> = roles.listed.iter().filter(|role| role.name == name).cloned().collect();
            if !named.is_empty() {
                return Ok(named);
            }
        }
        let message = format!(
            "role {name} does not exist in {}, or the operator's user cannot see it. Correct the role's name, or grant that \
             user Role:GetRole",
            client.organization_id()
        );
        Err(Failure::new(reasons::NOT_FOUND, RetryClass::Persistent, message))
    }
}
