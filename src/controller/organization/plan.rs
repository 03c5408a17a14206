//! Decides which requests to send to Amigo, and when to reconcile next.

use std::time::Duration;

use amigo_api::reasons;
use amigo_lifecycle::{Failure, RetryClass};

use crate::controller::{connection::Connection, jitter, settings::Settings};

/// What to do about a connection.
pub enum Plan {
    /// Nothing: it is too early after this failure. No other trigger may cause a request.
    Wait(Failure),
    /// Nothing: there is no client.
    Fail(Failure),
    Connect(Requests),
}

/// The requests to send besides a sign-in and a list of roles, if these are due.
pub struct Requests {
    /// Sign in even with a token, because Amigo rejected the credentials.
    pub probe: bool,
    pub read_info: bool,
    pub list_api_keys: bool,
}

/// Most reconciles need no request: the token and the role cache are fresh.
pub fn plan(connection: &Connection, now: Duration) -> Plan {
    let observed = connection.observed.snapshot();
    if let Some((failure, _)) = observed.failure.filter(|(_, until)| now < *until) {
        return Plan::Wait(failure);
    }
    if connection.client.is_none() {
        return Plan::Fail(connection.closed.clone().unwrap_or_else(|| no_client(connection)));
    }
    let is_rejected = |closed: &Failure| closed.reason == reasons::CREDENTIALS_REJECTED;
    Plan::Connect(Requests {
        probe: connection.closed.as_ref().is_some_and(is_rejected),
        read_info: observed.info.is_none(),
        list_api_keys: observed.keys_due.is_none_or(|due| now >= due),
    })
}

fn no_client(connection: &Connection) -> Failure {
    let message = format!("Organization {} has no connection yet", connection.name);
    Failure::new(reasons::PENDING, RetryClass::Transient, message)
}

/// Whether other objects must not use the connection after this failure. Other failures may be temporary, or concern one
/// request only.
pub fn closes(failure: &Failure) -> bool {
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

/// The wait after a failure.
pub fn retry_after(failure: &Failure, settings: &Settings) -> Duration {
    // A retry costs Amigo nothing, and no watch shows that the Secret has become readable.
    let is_free = failure.reason == reasons::SECRET_UNREADABLE;
    let wait = if closes(failure) && !is_free { settings.probe_interval } else { settings.tick * 2 };
    jitter(wait).max(failure.retry_after.unwrap_or_default())
}
