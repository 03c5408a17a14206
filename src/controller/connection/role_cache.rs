//! One list of an organization's roles, shared by all objects.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_api::PermissionModelChoice;
use amigo_client::{Client, Endpoint, Error, PermissionModel, RemoteRole, permission_model};
use amigo_runtime::clock::SharedClock;

use super::throttle::fail_if_throttled;

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

/// Time during which a failed list is not retried, if the server requests no longer pause.
const FAILURE_TTL: Duration = Duration::from_secs(5);

/// Lists at most once per interval: the API allows only 20 lists per minute.
///
/// Nobody holds the roles while a request is in progress: a reader of the last list never waits for Amigo.
#[derive(Debug, Default)]
pub struct RoleCache {
    cached: Mutex<Cached>,
    /// Held during a list. The last failure, and until when it counts.
    listing: tokio::sync::Mutex<Option<(Error, Duration)>>,
}

#[derive(Debug, Default)]
struct Cached {
    roles: Option<Roles>,
    /// Changes with each write of the operator, which a list in progress may not show.
    version: u64,
}

impl RoleCache {
    /// The list, not older than `age`. Simultaneous callers share one request.
    ///
    /// # Errors
    /// Those of the request; `Throttled` if the rate limit delays it for longer than a reconcile may wait.
    pub async fn get(&self, client: &Client, clock: &SharedClock, age: Duration) -> Result<Roles, Error> {
        // Before the wait for the lock: a list that began meanwhile is recent enough for any age.
        let oldest = clock.boot().saturating_sub(age);
        let recent = || self.last().filter(|roles| roles.listed_at >= oldest);
        if let Some(roles) = recent() {
            return Ok(roles);
        }
        let mut failure = self.listing.lock().await;
        if let Some(roles) = recent() {
            return Ok(roles);
        }
        if let Some((error, _)) = failure.as_ref().filter(|(_, until)| clock.boot() < *until) {
            return Err(error.clone());
        }
        let result = self.list(client, clock, failure.as_ref().map(|(error, _)| error)).await;
        let ttl = |error: &Error| error.retry_after().unwrap_or_default().max(FAILURE_TTL);
        *failure = result.as_ref().err().map(|error| (error.clone(), clock.boot() + ttl(error)));
        result
    }

    async fn list(&self, client: &Client, clock: &SharedClock, last_failure: Option<&Error>) -> Result<Roles, Error> {
        if let Err(throttled) = fail_if_throttled(client, Endpoint::ListRoles) {
            // While the server asks for a pause, that is the reason.
            return Err(last_failure.filter(|error| error.status() == Some(429)).cloned().unwrap_or(throttled));
        }
        let (listed_at, version) = (clock.boot(), self.lock().version);
        let roles = client.roles().await?;
        let detected = permission_model(&roles);
        let roles = Roles { listed: Arc::new(roles), detected, listed_at };
        let mut cached = self.lock();
        if cached.version == version {
            cached.roles = Some(roles.clone());
        }
        Ok(roles)
    }

    /// The last list, of any age.
    pub fn last(&self) -> Option<Roles> {
        self.lock().roles.clone()
    }

    /// Adds a role that the operator just wrote, which saves a list.
    pub fn put(&self, role: RemoteRole) {
        let mut cached = self.lock();
        cached.version += 1;
        if let Some(roles) = cached.roles.as_mut() {
            let roles = Arc::make_mut(&mut roles.listed);
            roles.retain(|other| other.name != role.name);
            roles.push(role);
        }
    }

    /// Drops a list that a later response contradicts.
    pub fn forget(&self) {
        let mut cached = self.lock();
        *cached = Cached { roles: None, version: cached.version + 1 };
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
