//! One list of an organization's roles, shared by all objects.

use std::{sync::Arc, time::Duration};

use amigo_api::PermissionModelChoice;
use amigo_client::{Client, Error, PermissionModel, RemoteRole, permission_model};
use amigo_runtime::clock::SharedClock;
use tokio::sync::Mutex;

/// The roles of an organization at one moment.
#[derive(Clone, Debug)]
pub struct Roles {
    /// As listed, with the operator's own later changes.
    pub listed: Arc<Vec<RemoteRole>>,
    /// The permission model that the list shows.
    pub detected: PermissionModel,
    listed_at: Duration,
}

impl Roles {
    /// The model that the spec sets, or else the detected one.
    #[must_use]
    pub fn model(&self, choice: PermissionModelChoice) -> PermissionModel {
        choice.or_detected(self.detected)
    }
}

/// Time during which a failed list is not retried.
const FAILURE_TTL: Duration = Duration::from_secs(5);

/// Lists at most once per interval: the API allows only 20 lists per minute.
#[derive(Debug, Default)]
pub struct RoleCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    roles: Option<Roles>,
    failure: Option<(Error, Duration)>,
}

impl RoleCache {
    /// The list, not older than `age`. Simultaneous callers share one request.
    ///
    /// # Errors
    /// Those of the request.
    pub async fn get(&self, client: &Client, clock: &SharedClock, age: Duration) -> Result<Roles, Error> {
        let mut cached = self.0.lock().await;
        let listed_at = clock.boot();
        if let Some(roles) = cached.roles.as_ref().filter(|roles| listed_at.saturating_sub(roles.listed_at) < age) {
            return Ok(roles.clone());
        }
        if let Some((error, _)) = cached.failure.as_ref().filter(|(_, until)| listed_at < *until) {
            return Err(error.clone());
        }
        let roles = match client.roles().await {
            Ok(roles) => roles,
            Err(error) => {
                cached.failure = Some((error.clone(), clock.boot() + FAILURE_TTL));
                return Err(error);
            }
        };
        let detected = permission_model(&roles);
        let roles = Roles { listed: Arc::new(roles), detected, listed_at };
        *cached = Cached { roles: Some(roles.clone()), failure: None };
        Ok(roles)
    }

    /// The last list, of any age.
    pub async fn last(&self) -> Option<Roles> {
        self.0.lock().await.roles.clone()
    }

    /// Adds a role that the operator just wrote, which saves a list.
    pub async fn put(&self, role: RemoteRole) {
        if let Some(roles) = self.0.lock().await.roles.as_mut() {
            let roles = Arc::make_mut(&mut roles.listed);
            roles.retain(|other| other.name != role.name);
            roles.push(role);
        }
    }

    /// Drops a list that a later response contradicts.
    pub async fn forget(&self) {
        self.0.lock().await.roles = None;
    }
}
