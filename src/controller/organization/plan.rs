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
#[expect(clippy::struct_excessive_bools, reason = "each request is independent")]
pub struct Requests {
    /// Sign in even with a token, because Amigo rejected the credentials.
    pub probe: bool,
    pub read_info: bool,
    pub list_api_keys: bool,
    /// List the roles again, however recent the list is, and sweep.
    pub look_again: bool,
}

/// Most reconciles need no request: the token and the role cache are fresh. A user can ask for a fresh look.
pub fn plan(connection: &Connection, resync: bool, now: Duration) -> Plan {
    let observed = connection.observed.snapshot();
    if let Some((failure, _)) = observed.failure.filter(|(_, until)| now < *until && !resync) {
        return Plan::Wait(failure);
    }
    if connection.client.is_none() {
        return Plan::Fail(connection.closed.clone().unwrap_or_else(|| no_client(connection)));
    }
    let is_rejected = |closed: &Failure| closed.reason == reasons::CREDENTIALS_REJECTED;
    Plan::Connect(Requests {
        probe: connection.closed.as_ref().is_some_and(is_rejected),
        read_info: observed.info.is_none() || resync,
        list_api_keys: observed.keys_due.is_none_or(|due| now >= due) || resync,
        look_again: resync,
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

/// The first wait after a failure to connect, a little longer than the client's own.
const FIRST_RECONNECT: Duration = Duration::from_millis(1100);

/// The wait after a failure that follows `failures` others.
pub fn retry_after(failure: &Failure, failures: u32, settings: &Settings) -> Duration {
    if failure.reason == reasons::UNREACHABLE {
        // The server counts no request, and a new pod's first connection often fails.
        return (FIRST_RECONNECT * 2_u32.saturating_pow(failures.min(6))).min(settings.tick.max(FIRST_RECONNECT));
    }
    // A retry costs Amigo nothing, and no watch shows that the Secret has become readable.
    let is_free = failure.reason == reasons::SECRET_UNREADABLE;
    let wait = if closes(failure) && !is_free { settings.probe_interval } else { settings.tick * 2 };
    jitter(wait).max(failure.retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(reason: &'static str, failures: u32) -> Duration {
        let failure = Failure::new(reason, RetryClass::Transient, "it failed");
        retry_after(&failure, failures, &Settings::new("amigo-system", "me"))
    }

    #[test]
    fn refused_connection_is_tried_again_within_2_seconds() {
        assert!(waits(reasons::UNREACHABLE, 0) < Duration::from_secs(2));
        assert!(waits(reasons::UNREACHABLE, 1) > waits(reasons::UNREACHABLE, 0));
        assert_eq!(waits(reasons::UNREACHABLE, 99), Duration::from_secs(10));
    }

    #[test]
    fn rejected_credentials_rest_for_minutes() {
        assert!(waits(reasons::CREDENTIALS_REJECTED, 0) > Duration::from_mins(8));
        assert!(waits(reasons::UNAVAILABLE, 0) > Duration::from_secs(15));
    }
}
