//! Maps errors of the Amigo API to failures.

use amigo_api::reasons;
use amigo_client::{Error, ErrorKind};

use crate::{Failure, RetryClass};

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let (reason, class) = classify(error.kind());
        // Without the time, which would change the condition with every reconcile.
        let mut message = match error.kind() {
            ErrorKind::Throttled => format!("Amigo: {}: waits for the rate limit", error.endpoint),
            _ => format!("Amigo: {error}"),
        };
        if let Some(advice) = advice(error.kind()) {
            message = format!("{}; {advice}", message.trim_end_matches('.'));
        }
        Self { reason, message, class, retry_after: error.retry_after() }
    }
}

fn advice(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unavailable | ErrorKind::ServerError | ErrorKind::RateLimited => Some("retrying"),
        _ => kind.advice(),
    }
}

fn classify(kind: ErrorKind) -> (&'static str, RetryClass) {
    use RetryClass::{Permanent, Persistent, Transient};
    match kind {
        ErrorKind::Connect | ErrorKind::Tls => (reasons::UNREACHABLE, Transient),
        ErrorKind::Timeout | ErrorKind::Interrupted | ErrorKind::Unavailable | ErrorKind::ServerError => {
            (reasons::UNAVAILABLE, Transient)
        }
        ErrorKind::RateLimited => (reasons::RATE_LIMITED, Transient),
        ErrorKind::Throttled | ErrorKind::TooLate => (reasons::QUEUED, Transient),
        ErrorKind::Unauthorized | ErrorKind::CredentialsRejected => (reasons::CREDENTIALS_REJECTED, Persistent),
        ErrorKind::Forbidden => (reasons::FORBIDDEN, Persistent),
        ErrorKind::NotFound => (reasons::NOT_FOUND, Persistent),
        ErrorKind::Conflict => (reasons::CONFLICT, Transient),
        ErrorKind::NotUnique => (reasons::USER_NOT_FOUND, Persistent),
        ErrorKind::Redirect | ErrorKind::UnexpectedStatus | ErrorKind::BodyTooLarge | ErrorKind::Malformed => {
            (reasons::INVALID_RESPONSE, Persistent)
        }
        ErrorKind::Unsupported => (reasons::DENY_NOT_SUPPORTED, Permanent),
        ErrorKind::BadRequest | ErrorKind::Invalid => (reasons::INVALID_REQUEST, Permanent),
    }
}
