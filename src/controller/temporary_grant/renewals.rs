//! Whether the rate limit has room for the renewals of one more grant. Pure, apart from the store.

use amigo_api::{Phase, TemporaryPermissionGrant, duration, reasons};
use amigo_client::{Client, Endpoint};
use amigo_lifecycle::{
    Failure, RetryClass,
    grant::{Request, Timing},
};
use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::validate::revoke_within;
use crate::controller::{connection::Connection, context::Context};

/// Renewals that do not fit let live access of other grants lapse. So the operator issues a grant with `revokeWithin`
/// only if its renewals fit beside those of the issued grants, and of older grants that still wait.
///
/// # Errors
/// If they do not fit.
pub fn check(object: &TemporaryPermissionGrant, connection: &Connection, context: &Context) -> Result<(), Failure> {
    let timing = context.settings.timing();
    if object.status.as_ref().is_some_and(|status| status.attempts > 0) {
        return Ok(());
    }
    let own = per_hour(object, connection, &timing);
    let Some(limiter) = connection.client.as_ref().map(Client::rate_limiter).filter(|_| own > 0) else {
        return Ok(());
    };
    let allowed = u64::try_from(limiter.usage(Endpoint::CreateGrant).allowed).unwrap_or(u64::MAX);
    let capacity = allowed.saturating_mul(60) / 4 * 3;
    let precedes = |other: &&TemporaryPermissionGrant| {
        other.spec.organization_ref == object.spec.organization_ref && precedes(other, object)
    };
    let others = context.stores.grants.state();
    let load: u64 =
        others.iter().map(AsRef::as_ref).filter(precedes).map(|other| per_hour(other, connection, &timing)).sum();
    if load + own <= capacity {
        return Ok(());
    }
    let message = format!(
        "the renewals of grants with revokeWithin need {load} of {capacity} requests an hour; this grant needs {own} more. Use \
         a longer revokeWithin, or none"
    );
    Err(Failure::new(reasons::TOO_MANY_RENEWALS, RetryClass::Persistent, message))
}

/// Whether the renewals of `other` come first: it is issued, or waits and is older.
fn precedes(other: &TemporaryPermissionGrant, object: &TemporaryPermissionGrant) -> bool {
    let status = other.status.as_ref();
    if other.uid() == object.uid()
        || status.is_some_and(|status| matches!(status.phase, Some(Phase::Expired | Phase::Failed)))
    {
        return false;
    }
    let age = |object: &TemporaryPermissionGrant| (object.creation_timestamp(), object.uid());
    status.is_some_and(|status| status.attempts > 0) || age(other) < age(object)
}

/// The requests per hour for the renewals of a grant.
fn per_hour(object: &TemporaryPermissionGrant, connection: &Connection, timing: &Timing) -> u64 {
    let committed = object.status.as_ref().filter(|status| status.attempts > 0);
    let within = match committed {
        Some(status) => status.revoke_within.as_deref(),
        None => revoke_within(object, Some(connection)),
    };
    let parse = |text: Option<&str>| text.and_then(|text| duration::parse(text).ok());
    let lasts = parse(object.spec.duration.as_deref()).unwrap_or(SignedDuration::MAX);
    let needs_leases = |within: &SignedDuration| within.saturating_sub(timing.margin()) < lasts;
    let within = parse(within).filter(|within| committed.is_some() || needs_leases(within));
    let permissions = Request::from_spec(&object.spec).map_or(0, |request| request.slots());
    within.map_or(0, |within| timing.renewals_per_hour(permissions, within))
}
