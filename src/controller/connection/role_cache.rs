//! One listing of an organization's roles for all objects that need it.

use std::{sync::Arc, time::Duration};

use amigo_api::PermissionModelChoice;
use amigo_client::{Client, Error, PermissionModel, RemoteRole, permission_model};
use amigo_runtime::clock::SharedClock;
use tokio::sync::Mutex;

/// The roles of an organization at one moment.
#[derive(Clone, Debug)]
pub struct Roles {
    /// As listed, with this program's own later changes put in.
    pub listed: Arc<Vec<RemoteRole>>,
    /// What the listing shows of the permission model.
    pub detected: PermissionModel,
    taken_at: Duration,
}

impl Roles {
    /// The model that holds: the one forced by the spec, or the one detected.
    #[must_use]
    pub fn model(&self, choice: PermissionModelChoice) -> PermissionModel {
        choice.or_detected(self.detected)
    }
}

/// How long a listing that failed stands for those who ask next.
const FAILURE_STANDS: Duration = Duration::from_secs(5);

/// The listing, taken at most once an interval (20 calls a minute is all the API allows).
#[derive(Debug, Default)]
pub struct RoleCache(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    roles: Option<Roles>,
    failure: Option<(Error, Duration)>,
}

impl RoleCache {
    /// The listing, not older than `age`; everybody who asks at once waits for one call.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn get(&self, client: &Client, clock: &SharedClock, age: Duration) -> Result<Roles, Error> {
        let mut taken = self.0.lock().await;
        let taken_at = clock.boot();
        if let Some(roles) = taken.roles.as_ref().filter(|roles| taken_at.saturating_sub(roles.taken_at) < age) {
            return Ok(roles.clone());
        }
        if let Some((error, _)) = taken.failure.as_ref().filter(|(_, until)| taken_at < *until) {
            return Err(error.clone());
        }
        let roles = match client.roles().await {
            Ok(roles) => roles,
            Err(error) => {
                taken.failure = Some((error.clone(), clock.boot() + FAILURE_STANDS));
                return Err(error);
            }
        };
        let detected = permission_model(&roles);
        let roles = Roles { listed: Arc::new(roles), detected, taken_at };
        *taken = Taken { roles: Some(roles.clone()), failure: None };
        Ok(roles)
    }

    /// What was last listed, whatever its age.
    pub async fn last(&self) -> Option<Roles> {
        self.0.lock().await.roles.clone()
    }

    /// Puts in what this program just wrote, so that nobody has to list to see it.
    pub async fn put(&self, role: RemoteRole) {
        if let Some(listing) = self.0.lock().await.roles.as_mut() {
            let roles = Arc::make_mut(&mut listing.listed);
            roles.retain(|other| other.name != role.name);
            roles.push(role);
        }
    }

    /// The listing contradicts what the API said since: the next one who asks lists anew.
    pub async fn forget(&self) {
        self.0.lock().await.roles = None;
    }
}
