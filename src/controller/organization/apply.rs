//! Connects to Amigo, and starts the sweep.

use std::{sync::Arc, time::Duration};

use amigo_api::reasons;
use amigo_client::{Client, Endpoint};
use amigo_lifecycle::Failure;

use super::{
    plan::{Plan, Requests, closes, retry_after},
    sweep,
};
use crate::controller::{
    connection::{Connection, throttle::fail_if_throttled},
    context::{Context, SharedContext},
};

/// Interval at which the operator lists the API keys for the expiry of its own.
const KEYS_INTERVAL: Duration = Duration::from_hours(1);

/// The same after a failure, which is permanent if the service user may not list keys.
const KEYS_RETRY: Duration = Duration::from_mins(10);

/// A connection after its reconcile.
pub struct Applied {
    pub connection: Arc<Connection>,
    /// Whether other objects may use it now, or may no longer.
    pub changed: bool,
    pub outcome: Result<(), Failure>,
    pub next_sweep_in: Duration,
}

pub async fn apply(connection: Arc<Connection>, plan: Plan, context: &SharedContext) -> Applied {
    let had_failed = connection.observed.snapshot().failure.is_some();
    let outcome = match plan {
        Plan::Wait(failure) => Err(failure),
        Plan::Fail(failure) => remember(Err(failure), &connection, context),
        Plan::Connect(requests) => remember(connect(&connection, &requests, context).await, &connection, context),
    };
    let closed = outcome.as_ref().err().filter(|failure| closes(failure)).cloned();
    let (connection, changed) = context.connections.set_closed(&connection, closed);
    // Objects that waited for the end of a failure must not wait for their own next try.
    let changed = changed || (had_failed && outcome.is_ok());
    let next_sweep_in = start_sweep_if_due(&connection, context);
    Applied { connection, changed, outcome, next_sweep_in }
}

/// Remembers a failure until its retry, so that no other trigger causes a request before.
fn remember(outcome: Result<(), Failure>, connection: &Connection, context: &Context) -> Result<(), Failure> {
    let retry_at =
        |failure: &Failure, failures: u32| context.clock.boot() + retry_after(failure, failures, &context.settings);
    connection.observed.update(|observed| {
        observed.failure =
            outcome.as_ref().err().map(|failure| (failure.clone(), retry_at(failure, observed.failures)));
        observed.failures = if outcome.is_ok() { 0 } else { observed.failures.saturating_add(1) };
    });
    outcome
}

async fn connect(connection: &Connection, requests: &Requests, context: &Context) -> Result<(), Failure> {
    let Some(client) = &connection.client else { return Ok(()) };
    let signed_in = if requests.probe { client.probe().await } else { client.sign_in().await };
    signed_in.map_err(|error| with_remedy(Failure::from(&error), connection, context))?;
    if requests.read_info {
        fail_if_throttled(client, Endpoint::Organization).map_err(|error| Failure::from(&error))?;
        let info = client.organization_info().await.map_err(|error| Failure::from(&error))?;
        connection.observed.update(|observed| observed.info = Some(info));
    }
    let age = if requests.look_again { Duration::ZERO } else { connection.resync_interval().mul_f64(0.9) };
    connection.role_cache.get(client, &context.clock, age).await.map_err(|error| Failure::from(&error))?;
    if requests.look_again {
        connection.observed.update(|observed| observed.sweep_due = Some(context.clock.boot()));
    }
    if requests.list_api_keys {
        observe_api_key(connection, client, context).await;
    }
    Ok(())
}

/// Adds what to change in the Organization or its Secret.
fn with_remedy(failure: Failure, connection: &Connection, context: &Context) -> Failure {
    // While the client holds requests back, its error is generic. The original failure says more.
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

/// Reads the expiry of the API key. A service user that may not list keys is no failure.
async fn observe_api_key(connection: &Connection, client: &Client, context: &Context) {
    let now = context.clock.boot();
    // Before the request: a reconcile that is cut off must not repeat it at once.
    connection.observed.update(|observed| observed.keys_due = Some(now + KEYS_RETRY));
    if fail_if_throttled(client, Endpoint::ApiKeys).is_err() {
        return;
    }
    match client.api_keys().await {
        Ok(keys) => {
            let own = keys.into_iter().find(|key| Some(&key.key_id) == connection.api_key_id());
            connection.observed.update(|observed| {
                observed.api_key = own;
                observed.keys_due = Some(now + KEYS_INTERVAL);
            });
        }
        Err(error) => tracing::debug!(%error, organization = connection.name, "cannot list the API keys"),
    }
}

/// Starts the sweep if it is due and none is in progress. Returns the time until the next one.
fn start_sweep_if_due(connection: &Arc<Connection>, context: &SharedContext) -> Duration {
    let interval = context.settings.sweep_interval;
    if connection.client.is_none() || connection.closed.is_some() {
        return interval;
    }
    let now = context.clock.boot();
    let mut due = now;
    connection.observed.update(|observed| due = *observed.sweep_due.get_or_insert(now + interval / 10));
    if due > now {
        return due.saturating_sub(now);
    }
    // A list of thousands of records takes longer than the interval.
    let Some(lock) = connection.observed.begin_sweep() else { return interval };
    let (connection, context) = (Arc::clone(connection), Arc::clone(context));
    tokio::spawn(async move {
        sweep::run(&connection, &context).await;
        connection.observed.update(|observed| observed.sweep_due = Some(context.clock.boot() + interval));
        drop(lock);
    });
    interval
}
