//! Writes the status of an Organization, and emits Events about its conditions.

use std::time::Duration;

use amigo_api::{
    Organization, OrganizationStatus, RoleCounts,
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use amigo_lifecycle::{Failure, RetryClass};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, runtime::controller::Action};

use super::{apply::Applied, counts, plan::retry_after};
use crate::{
    controller::{
        connection::{Connection, api_endpoint::ApiEndpoint},
        context::{Announcement, Context, ReconcileError},
        jitter, resync,
    },
    telemetry::labels::Outcome,
};

/// Time before the expiry of an API key at which the operator starts to warn.
const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Writes the status if it changed, and returns when to reconcile next.
///
/// # Errors
/// Those of the Kubernetes API.
pub async fn report(
    organization: &Organization,
    applied: &Applied,
    secret_error: Option<&Failure>,
    context: &Context,
) -> Result<(Action, Outcome), ReconcileError> {
    let before = organization.status.clone().unwrap_or_default();
    let mut after = status_at(&applied.connection, &before);
    set_observed(&applied.connection, &mut after, context);
    after.last_handled_resync = resync::value(organization);
    set_conditions(
        organization,
        &mut after,
        &Findings { outcome: &applied.outcome, secret_error },
        context.clock.now(),
    );
    if after != before {
        let object = Organization { status: Some(after.clone()), ..organization.clone() };
        context.write_status(&Api::all(context.client_no_retry.clone()), &object).await?;
        for announcement in events(&before.conditions, &after.conditions) {
            context.announce(organization, announcement);
        }
    }
    let outcome = match &applied.outcome {
        Ok(()) => Outcome::Done,
        Err(failure) if failure.class == RetryClass::Transient => Outcome::Failed,
        Err(_) => Outcome::Refused,
    };
    let wait = next_reconcile(applied, context).min(applied.next_sweep_in);
    let wait = secret_error.map_or(wait, |failure| wait.min(retry_after(failure, 0, &context.settings)));
    Ok((Action::requeue(wait), outcome))
}

fn next_reconcile(applied: &Applied, context: &Context) -> Duration {
    let failure = applied.connection.observed.snapshot().failure;
    match (&applied.outcome, failure) {
        // One millisecond more: a timer that fires early would find that it is too early.
        (Err(_), Some((_, until))) => until.saturating_sub(context.clock.boot()) + Duration::from_millis(1),
        _ => jitter(applied.connection.resync_interval()),
    }
}

/// One Event per condition with a new reason; only one if both conditions have the same cause.
fn events(before: &[Condition], after: &[Condition]) -> Vec<Announcement> {
    let changed = [condition::READY, condition::CREDENTIALS_VALID].into_iter().filter_map(|type_| {
        let (then, now) = (conditions::find(before, type_), conditions::find(after, type_)?);
        if then.is_some_and(|then| then.reason == now.reason) {
            return None;
        }
        let reason = reasons::known(&now.reason).unwrap_or(reasons::PENDING);
        let warning = now.status != ConditionStatus::True.as_str() || reason == reasons::CREDENTIALS_EXPIRE_SOON;
        Some(Announcement { reason, message: now.message.clone(), warning })
    });
    let mut events: Vec<_> = changed.collect();
    events.dedup();
    events
}

/// The status at the API that the Organization names now: observations of another one are discarded.
fn status_at(connection: &Connection, before: &OrganizationStatus) -> OrganizationStatus {
    let origin = ApiEndpoint::from_spec(&connection.spec).map(|endpoint| endpoint.origin);
    if before.api_origin.is_none() || before.api_origin == origin {
        return before.clone();
    }
    OrganizationStatus { conditions: before.conditions.clone(), ..OrganizationStatus::default() }
}

fn set_observed(connection: &Connection, status: &mut OrganizationStatus, context: &Context) {
    let observed = connection.observed.snapshot();
    if let Some(info) = observed.info {
        status.api_origin = ApiEndpoint::from_spec(&connection.spec).map(|endpoint| endpoint.origin);
        status.org_id = Some(info.org_id);
        status.org_name = Some(info.org_name);
    }
    status.service_user_id = connection.client.as_ref().map(|client| client.service_user_id().to_owned());
    status.api_key_expires_at = observed.api_key.map(|key| key.expires_at);
    if let Some(sweep) = observed.sweep {
        status.grants = Some(sweep.counts);
        status.last_sweep_time = Some(conditions::whole_second(sweep.at));
    }
    status.grants = counts::current(status.grants, &connection.name, context);
    if let Some(roles) = connection.role_cache.last() {
        status.permission_model = Some(roles.model(connection.spec.permission_model));
        let objects = context.stores.roles.state();
        let managed = objects.iter().filter(|role| role.spec.organization_ref.name == connection.name).count();
        status.roles = Some(RoleCounts {
            visible: u32::try_from(roles.listed.len()).unwrap_or(u32::MAX),
            managed: u32::try_from(managed).unwrap_or(u32::MAX),
        });
    }
}

/// What the conditions depend on.
struct Findings<'a> {
    outcome: &'a Result<(), Failure>,
    /// Why the operator cannot read the Secret.
    secret_error: Option<&'a Failure>,
}

fn set_conditions(
    organization: &Organization,
    status: &mut OrganizationStatus,
    findings: &Findings<'_>,
    now: Timestamp,
) {
    let stamp = Stamp { generation: organization.metadata.generation.unwrap_or_default(), now };
    status.observed_generation = Some(stamp.generation);
    let credentials = credentials_valid(status, findings, now);
    conditions::set(&mut status.conditions, credentials, stamp);
    conditions::set(&mut status.conditions, ready(organization, findings), stamp);
    match findings.outcome {
        Err(failure) if failure.class != RetryClass::Transient => {
            let stalled = failed(condition::STALLED, ConditionStatus::True, failure);
            conditions::set(&mut status.conditions, stalled, stamp);
        }
        _ => conditions::remove(&mut status.conditions, condition::STALLED),
    }
}

fn failed(type_: &'static str, status: ConditionStatus, failure: &Failure) -> Change<'static> {
    Change { type_, status, reason: failure.reason, message: failure.message.clone() }
}

fn ready(organization: &Organization, findings: &Findings<'_>) -> Change<'static> {
    let type_ = condition::READY;
    match findings.outcome {
        Err(failure) => failed(type_, ConditionStatus::False, failure),
        Ok(()) if organization.spec.suspend => {
            let message = "suspended: the operator changes nothing at Amigo; it still reads, and expires grants";
            Change { type_, status: ConditionStatus::False, reason: reasons::SUSPENDED, message: message.to_owned() }
        }
        Ok(()) => {
            Change { type_, status: ConditionStatus::True, reason: reasons::READY, message: "connected".to_owned() }
        }
    }
}

fn credentials_valid(status: &OrganizationStatus, findings: &Findings<'_>, now: Timestamp) -> Change<'static> {
    let type_ = condition::CREDENTIALS_VALID;
    let invalid = [reasons::SECRET_NOT_FOUND, reasons::SECRET_INCOMPLETE, reasons::CREDENTIALS_REJECTED];
    if let Err(failure) = findings.outcome {
        let is_invalid = invalid.contains(&failure.reason);
        return failed(type_, if is_invalid { ConditionStatus::False } else { ConditionStatus::Unknown }, failure);
    }
    if let Some(Failure { reason, message, .. }) = findings.secret_error {
        let message = format!("still using the previous credentials; {message}");
        return Change { type_, status: ConditionStatus::Unknown, reason, message };
    }
    let user = status.service_user_id.as_deref().unwrap_or_default();
    let expiring = status.api_key_expires_at.filter(|expiry| now.duration_until(*expiry) < WARNING);
    let (reason, message) = match expiring {
        Some(expiry) => (
            reasons::CREDENTIALS_EXPIRE_SOON,
            format!("signed in as {user}, but the API key expires at {expiry}: put a new key into the Secret"),
        ),
        None => (reasons::CREDENTIALS_VALID, format!("signed in as {user}")),
    };
    Change { type_, status: ConditionStatus::True, reason, message }
}
