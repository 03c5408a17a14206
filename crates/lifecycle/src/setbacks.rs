//! What an error of the Amigo API means for an object: reason, and whether trying again can help.

use amigo_api::reasons;
use amigo_client::{Error, ErrorKind};

use crate::grant::{Setback, SetbackClass};

/// The setback that an error of a call is.
#[must_use]
pub fn of(error: &Error) -> Setback {
    let (reason, class) = classify(error.kind());
    let mut message = format!("Amigo: {error}");
    if let Some(advice) = advice(error.kind()) {
        message = format!("{}; {advice}", message.trim_end_matches('.'));
    }
    Setback { reason, message, class, retry_after: error.retry_after() }
}

/// A setback of our own finding.
#[must_use]
pub fn found(reason: &'static str, class: SetbackClass, message: impl Into<String>) -> Setback {
    Setback { reason, message: message.into(), class, retry_after: None }
}

fn advice(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unavailable | ErrorKind::ServerError | ErrorKind::RateLimited => Some("it is tried again"),
        _ => kind.advice(),
    }
}

fn classify(kind: ErrorKind) -> (&'static str, SetbackClass) {
    use SetbackClass::{Permanent, Persistent, Transient};
    match kind {
        ErrorKind::Connect | ErrorKind::Tls => (reasons::UNREACHABLE, Transient),
        ErrorKind::Timeout | ErrorKind::Interrupted | ErrorKind::Unavailable | ErrorKind::ServerError => {
            (reasons::UNAVAILABLE, Transient)
        }
        ErrorKind::RateLimited => (reasons::RATE_LIMITED, Transient),
        ErrorKind::Budget | ErrorKind::TooLate => (reasons::QUEUED, Transient),
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
