//! Observe: the roles of the organization, from the shared cache.

use std::time::Duration;

use amigo_lifecycle::Failure;

use crate::controller::{access::Target, connection::role_cache::Roles, context::Context};

/// The maximum age of a listing that proves that a Deny may be sent, or that a Deny arrived.
pub const EVIDENCE: Duration = Duration::from_secs(5);

/// The maximum age of a listing for a periodic comparison.
pub fn resync_age(target: &Target<'_>) -> Duration {
    target.connection.resync_interval().mul_f64(0.9)
}

/// The roles of the organization, listed at most `age` ago.
pub async fn observe(target: &Target<'_>, age: Duration, context: &Context) -> Result<Roles, Failure> {
    let roles = target.connection.role_cache.get(&target.client, &context.clock, age).await;
    roles.map_err(|error| Failure::from(&error))
}
