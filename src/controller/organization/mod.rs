//! The Organization: observe → validate → connect → status, and the sweep on its side.

mod access;
mod secret;
mod status;
mod sweep;

use std::{sync::Arc, time::Duration};

use amigo_api::{Organization, OrganizationStatus, RoleCounts, conditions, reasons, reasons::condition};
use amigo_client::Client;
use amigo_lifecycle::{Failure, RetryClass};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};

use super::{
    connection::{Connection, Parts, rate_limiters::ApiEndpoint},
    context::{Announcement, Context, ReconcileError, SharedContext, is_status},
    jitter,
    ownership::older_owner,
};
pub use secret::SecretWatches;

use crate::telemetry::labels::Outcome;

/// How often the API keys are listed for the end of ours.
const KEYS_INTERVAL: Duration = Duration::from_hours(1);

/// When they are listed again after that failed, which it does for ever where the service user may not see them.
const KEYS_RETRY: Duration = Duration::from_mins(10);

/// One pass over one Organization.
///
/// # Errors
/// Those of the Kubernetes API; whatever Amigo says goes into the status.
pub async fn reconcile(
    organization: Arc<Organization>,
    context: SharedContext,
) -> Result<(Action, Outcome), ReconcileError> {
    let secret = observe_secret(&organization, &context).await;
    let unread = secret.as_ref().err().cloned();
    let (connection, renewed) = context.connections.renew(parts(&organization, &secret, &context));
    let outcome = look(&connection, &context).await;
    let (connection, judged) =
        context.connections.judge(&connection, outcome.as_ref().err().filter(|failure| closes(failure)).cloned());
    if renewed || judged {
        context.triggers.organization_changed();
    }
    let swept_in = start_sweep_if_due(&connection, &context);
    report(&organization, &connection, (&outcome, unread.as_ref()), &context).await?;
    let told = match &outcome {
        Ok(()) => Outcome::Done,
        Err(failure) if failure.class == RetryClass::Transient => Outcome::Failed,
        Err(_) => Outcome::Refused,
    };
    let mut rest = next_look(&connection, &outcome, &context).min(swept_in);
    if let Some(unread) = &unread {
        rest = rest.min(requeue_after(unread, &context));
    }
    Ok((Action::requeue(rest), told))
}

/// What the connection is to be made of.
fn parts(organization: &Organization, secret: &Result<Option<Secret>, Failure>, context: &Context) -> Parts {
    let (name, uid) = (organization.name_any(), organization.uid().unwrap_or_default());
    let secret_name = &organization.spec.credentials_secret_ref.name;
    let access = alone(organization, context).and_then(|()| {
        let address = access::address(&organization.spec, &context.settings)?;
        let credentials = match secret {
            Ok(secret) => access::credentials(secret.as_ref(), secret_name, &context.settings.namespace)?,
            // What was read before stands until the Secret can be read again.
            Err(unread) => {
                let known =
                    context.connections.get(&name).and_then(|connection| connection.credentials_for(&uid, secret_name));
                known.ok_or_else(|| unread.clone())?
            }
        };
        Ok((address, credentials))
    });
    Parts { name, uid, spec: Arc::new(organization.spec.clone()), access }
}

/// Wakes the objects that used a deleted Organization.
pub fn deleted(organization: &Organization, context: &Context) {
    forget(&organization.name_any(), &organization.uid().unwrap_or_default(), context);
}

/// Forgets connections that have no object, since a pass that was under way when its object went makes one last, and
/// budgets of places that nobody calls any more.
pub fn prune(context: &Context) {
    for connection in context.connections.all() {
        let object = context.stores.organizations.get(&ObjectRef::new(&connection.name));
        if object.is_none_or(|object| object.metadata.uid.as_ref() != Some(&connection.uid)) {
            forget(&connection.name, &connection.uid, context);
        }
    }
    context.connections.prune_budgets();
}

fn forget(name: &str, uid: &str, context: &Context) {
    context.connections.remove(name, uid);
    context.triggers.organizations.pull();
    context.triggers.organization_changed();
}

/// What must not be asked again by every object: the rest may pass by itself.
fn closes(failure: &Failure) -> bool {
    ![
        reasons::UNREACHABLE,
        reasons::UNAVAILABLE,
        reasons::RATE_LIMITED,
        reasons::QUEUED,
        reasons::INVALID_RESPONSE,
        reasons::FORBIDDEN,
    ]
    .contains(&failure.reason)
}

/// The rate limits are the remote organization's: two objects for one would use them twice.
fn alone(organization: &Organization, context: &Context) -> Result<(), Failure> {
    let Some(place) = ApiEndpoint::of(&organization.spec) else { return Ok(()) };
    let organizations = context.stores.organizations.state();
    let at_the_place = |rival: &&Organization| ApiEndpoint::of(&rival.spec).as_ref() == Some(&place);
    let rivals = organizations.iter().map(AsRef::as_ref).filter(at_the_place);
    match older_owner(organization, rivals) {
        None => Ok(()),
        Some(senior) => {
            let message = format!(
                "organization {} is connected by the older Organization {}: use that one, and admit your namespaces there",
                organization.spec.organization,
                senior.name_any()
            );
            Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
        }
    }
}

async fn observe_secret(organization: &Organization, context: &Context) -> Result<Option<Secret>, Failure> {
    let namespace = &context.settings.namespace;
    let secrets: Api<Secret> = Api::namespaced(context.client_no_retry.clone(), namespace);
    let name = &organization.spec.credentials_secret_ref.name;
    secrets.get_opt(name).await.map_err(|error| {
        tracing::warn!(%error, secret = name, organization = organization.name_any(), "a Secret cannot be read");
        let (class, remedy) = if is_status(&error, 403) {
            (RetryClass::Persistent, "permit the operator's service account to get it")
        } else {
            (RetryClass::Transient, "it is tried again")
        };
        let message = format!("Secret {namespace}/{name} cannot be read: {error}; {remedy}");
        Failure::new(reasons::SECRET_UNREADABLE, class, message)
    })
}

/// Asks Amigo, unless it is too early after a failure: whatever else makes a pass must not make a call.
async fn look(connection: &Arc<Connection>, context: &SharedContext) -> Result<(), Failure> {
    let now = context.clock.boot();
    if let Some((failure, _)) = connection.observed.snapshot().failure.filter(|(_, until)| now < *until) {
        return Err(failure);
    }
    let outcome = connect(connection, context).await;
    let asks_again_at = |failure: &Failure| context.clock.boot() + requeue_after(failure, context);
    let failure = outcome.as_ref().err().map(|failure| (failure.clone(), asks_again_at(failure)));
    connection.observed.update(|known| known.failure = failure);
    outcome
}

fn requeue_after(failure: &Failure, context: &Context) -> Duration {
    // Amigo is not asked again for that, and no watch shows when the Secret can be read.
    let costs_nothing = failure.reason == reasons::SECRET_UNREADABLE;
    let rest =
        if closes(failure) && !costs_nothing { context.settings.probe_interval } else { context.settings.tick * 2 };
    jitter(rest).max(failure.retry_after.unwrap_or_default())
}

/// Signs in and learns what is due: nothing, on most passes.
async fn connect(connection: &Arc<Connection>, context: &SharedContext) -> Result<(), Failure> {
    let Some(client) = &connection.client else {
        return Err(connection.closed.clone().unwrap_or_else(|| unreachable_without_client(connection)));
    };
    sign_in(connection, client).await.map_err(|failure| with_remedy(failure, connection, context))?;
    if connection.observed.snapshot().info.is_none() {
        let info = client.organization_info().await.map_err(|error| Failure::from(&error))?;
        connection.observed.update(|known| known.info = Some(info));
    }
    let age = connection.resync_interval().mul_f64(0.9);
    connection.role_cache.get(client, &context.clock, age).await.map_err(|error| Failure::from(&error))?;
    learn_key_end(connection, client, context).await;
    Ok(())
}

/// What to change, where it is the Organization or its Secret.
fn with_remedy(failure: Failure, connection: &Connection, context: &Context) -> Failure {
    // While calls are entry back the client only says so; the answer that was the cause says more.
    if let Some(closed) = connection.closed.as_ref().filter(|closed| closed.reason == failure.reason) {
        return closed.clone();
    }
    let spec = &connection.spec;
    let remedy = match failure.reason {
        reasons::CREDENTIALS_REJECTED => {
            format!("put a valid key into Secret {}/{}", context.settings.namespace, spec.credentials_secret_ref.name)
        }
        reasons::NOT_FOUND => format!("check apiUrl {} and organization {}", spec.api_url, spec.organization),
        _ => return failure,
    };
    Failure { message: format!("{}; {remedy}", failure.message.trim_end_matches('.')), ..failure }
}

fn unreachable_without_client(connection: &Connection) -> Failure {
    Failure::new(
        reasons::PENDING,
        RetryClass::Transient,
        format!("Organization {} has no connection yet", connection.name),
    )
}

/// A cached token costs no call. Credentials known to be refused are tried again: looks at them are far apart.
async fn sign_in(connection: &Connection, client: &Client) -> Result<(), Failure> {
    let refused = connection.closed.as_ref().is_some_and(|closed| closed.reason == reasons::CREDENTIALS_REJECTED);
    let signed_in = if refused { client.probe().await } else { client.sign_in().await };
    signed_in.map_err(|error| Failure::from(&error))
}

/// The key's end, where the operator's user may see it. Not seeing it is no fault.
async fn learn_key_end(connection: &Connection, client: &Client, context: &Context) {
    let now = context.clock.boot();
    if connection.observed.snapshot().keys_due.is_some_and(|due| now < due) {
        return;
    }
    // Until the answer is there: a pass that is cut off must not ask again at once.
    connection.observed.update(|known| known.keys_due = Some(now + KEYS_RETRY));
    match client.api_keys().await {
        Ok(keys) => {
            let own = keys.into_iter().find(|key| Some(&key.key_id) == connection.api_key_id());
            connection.observed.update(|known| {
                known.api_key = own;
                known.keys_due = Some(now + KEYS_INTERVAL);
            });
        }
        Err(error) => tracing::debug!(%error, organization = connection.name, "the API keys cannot be listed"),
    }
}

/// Starts the sweep when it is due and none is under way; says when the next one is.
fn start_sweep_if_due(connection: &Arc<Connection>, context: &SharedContext) -> Duration {
    let interval = context.settings.sweep_interval;
    if connection.client.is_none() || connection.closed.is_some() {
        return interval;
    }
    let now = context.clock.boot();
    let mut due = now;
    connection.observed.update(|known| due = *known.sweep_due.get_or_insert(now + interval / 10));
    if due > now {
        return due.saturating_sub(now);
    }
    // Of thousands of records a listing takes longer than the interval.
    let Some(alone) = connection.observed.begin_sweep() else { return interval };
    let (connection, context) = (Arc::clone(connection), Arc::clone(context));
    tokio::spawn(async move {
        sweep::run(&connection, &context).await;
        connection.observed.update(|known| known.sweep_due = Some(context.clock.boot() + interval));
        drop(alone);
    });
    interval
}

fn next_look(connection: &Connection, outcome: &Result<(), Failure>, context: &Context) -> Duration {
    let until = connection.observed.snapshot().failure.map(|(_, until)| until.saturating_sub(context.clock.boot()));
    match (outcome, until) {
        // A millisecond more: a timer that fires early would find it too early to ask.
        (Err(_), Some(wait)) => wait + Duration::from_millis(1),
        _ => jitter(connection.resync_interval()),
    }
}

/// Writes the status if it says anything new, and tells of a changed readiness.
async fn report(
    organization: &Organization,
    connection: &Connection,
    (outcome, unread): (&Result<(), Failure>, Option<&Failure>),
    context: &Context,
) -> Result<(), ReconcileError> {
    let before = organization.status.clone().unwrap_or_default();
    let mut after = before.clone();
    describe(connection, &mut after, context).await;
    status::set_ready(organization, &mut after, (outcome, unread), context.clock.now());
    if after == before {
        return Ok(());
    }
    let object = Organization { status: Some(after.clone()), ..organization.clone() };
    context.write_status(&Api::all(context.client_no_retry.clone()), &object).await?;
    let mut told = None;
    for kind in [condition::READY, condition::CREDENTIALS_VALID] {
        let (then, now) = (conditions::find(&before.conditions, kind), conditions::find(&after.conditions, kind));
        if let Some(now) = now.filter(|now| then.is_none_or(|then| then.reason != now.reason)) {
            let reason = reasons::known(&now.reason).unwrap_or(reasons::PENDING);
            let warning = now.status != "True" || reason == reasons::CREDENTIALS_EXPIRE_SOON;
            let announcement = Announcement { reason, message: now.message.clone(), warning };
            // Both conditions often have the same cause, which is told once.
            if told.as_ref() != Some(&announcement) {
                context.announce(organization, announcement.clone());
            }
            told = Some(announcement);
        }
    }
    Ok(())
}

async fn describe(connection: &Connection, status: &mut OrganizationStatus, context: &Context) {
    let known = connection.observed.snapshot();
    if let Some(info) = known.info {
        status.org_id = Some(info.org_id);
        status.org_name = Some(info.org_name);
    }
    status.service_user_id = connection.client.as_ref().map(|client| client.service_user_id().to_owned());
    status.api_key_expires_at = known.api_key.map(|key| key.expires_at);
    if let Some(sweep) = known.sweep {
        status.grants = Some(sweep.counts);
        status.last_sweep_time = Some(conditions::whole_second(sweep.at));
    }
    if let Some(roles) = connection.role_cache.last().await {
        status.permission_model = Some(roles.model(connection.spec.permission_model));
        let managed = context
            .stores
            .roles
            .state()
            .iter()
            .filter(|role| role.spec.organization_ref.name == connection.name)
            .count();
        status.roles = Some(RoleCounts {
            visible: u32::try_from(roles.listed.len()).unwrap_or(u32::MAX),
            managed: u32::try_from(managed).unwrap_or(u32::MAX),
        });
    }
}
