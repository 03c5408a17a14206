//! What can go wrong in a request, sorted by what the caller must conclude from it.

use std::{fmt, time::Duration};

use super::{Endpoint, excerpt::Excerpt};

/// A request that failed. No error ever contains a header, a key or a token.
///
/// # Expected flow
/// Check [`Error::never_sent`] first, then [`Error::refused`]; every other error is [`Error::ambiguous`].
///
/// # Guarantees
/// For a request that changes something exactly one of the three is true. `never_sent` is true only when the
/// request cannot have been complete at the server: the connection was never made, or the connection got no byte of
/// the body and will get none.
///
/// # Assumptions
/// A server that responds with 400, 401, 403, 404, 422 or 429 has changed nothing; nor one that responds with 409, where
/// the document lists that status. The creation of a grant has no 409, so it may not be Amigo that sends it.
///
/// # Caveats
/// Texts from the server are excerpts: at most 300 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint}: {cause}{}", hint(*endpoint, cause))]
pub struct Error {
    /// The operation that failed; for a failed sign-in, the one that needed it.
    pub endpoint: Endpoint,
    /// Why it failed.
    pub cause: Cause,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The name did not resolve, or the client could not connect in time.
    #[error("cannot connect: {detail}")]
    Connect {
        /// The error of the operating system.
        detail: Excerpt,
    },
    /// The client connected, but the server did not prove its identity.
    #[error("TLS handshake failed: {detail}")]
    Tls {
        /// The error of the TLS library.
        detail: Excerpt,
    },
    /// No complete response within the total deadline.
    #[error("no complete response within {deadline:?}")]
    Timeout {
        /// The total deadline of the request.
        deadline: Duration,
        /// Whether the request may have reached the server.
        begun: bool,
    },
    /// The connection closed before the response was complete.
    #[error("connection lost: {detail}")]
    Interrupted {
        /// The cause.
        detail: Excerpt,
        /// Whether the request may have reached the server.
        begun: bool,
    },
    /// The server responded with a status that is no success.
    #[error("the server responded with {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The message of the response.
        message: Excerpt,
        /// The wait that the server requests.
        retry_after: Option<Duration>,
    },
    /// The body of a success is larger than this client reads.
    #[error("the response ({status}) is larger than {cap} bytes")]
    BodyTooLarge {
        /// The HTTP status.
        status: u16,
        /// The limit in bytes.
        cap: usize,
    },
    /// The body of a success does not match the document.
    #[error("cannot parse the response ({status}): {detail}")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// The problem.
        detail: Excerpt,
    },
    /// The pages of a listing contradict each other; conclude nothing from them.
    #[error("inconsistent pages: {detail}")]
    InconsistentPages {
        /// The contradiction.
        detail: &'static str,
    },
    /// The client's own rate limit does not allow the request yet. Nothing was sent.
    #[error("not sent: the rate limit of this client allows the request in {wait:?}")]
    Throttled {
        /// How long until its turn.
        wait: Duration,
    },
    /// The time to send had passed, or the change was no longer wanted. Nothing was sent.
    #[error("not sent: the request is no longer due")]
    TooLate,
    /// The server rejected the credentials before, and they have not changed. Nothing was sent.
    #[error("not sent, because the server rejected the credentials: {message}")]
    CredentialsRejected {
        /// The message of the rejection.
        message: Excerpt,
    },
    /// The sign-in failed, so the request was not sent.
    #[error("not sent: {0}")]
    SignIn(Box<Error>),
    /// More than one user has the address, so it identifies none.
    #[error("{count} users have the same email address")]
    NotUnique {
        /// The number of users.
        count: usize,
    },
    /// The API would reject the request, so it was not sent.
    #[error("not sent: {detail}")]
    InvalidInput {
        /// The problem.
        detail: Excerpt,
    },
    /// The request needs the `AllowDeny` model. Sent to a server of the other model it could widen access.
    #[error("not sent: a server of the AllowOnly permission model does not support {what}")]
    Unsupported {
        /// The unsupported feature.
        what: &'static str,
    },
}

/// The kinds of error: metric labels and condition reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// No connection: name, network, refused, or too slow.
    Connect,
    /// No secure connection.
    Tls,
    /// No complete response in time.
    Timeout,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 422, or input that this client does not send.
    Invalid,
    /// 400.
    BadRequest,
    /// 429.
    RateLimited,
    /// 503.
    Unavailable,
    /// Any other 5xx.
    ServerError,
    /// A redirect, which the client never follows.
    Redirect,
    /// A status that is not in the document.
    UnexpectedStatus,
    /// The response is too large.
    BodyTooLarge,
    /// The client cannot parse the response, or pages contradict each other.
    Malformed,
    /// The connection closed early.
    Interrupted,
    /// The client sends nothing until the credentials change.
    CredentialsRejected,
    /// The client's own rate limit does not allow the request yet.
    Throttled,
    /// The request is no longer due.
    TooLate,
    /// Several users have one email address.
    NotUnique,
    /// The server's permission model does not support the request.
    Unsupported,
}

impl Error {
    /// An error of `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, cause: Cause) -> Self {
        Self { endpoint, cause }
    }

    #[cfg(feature = "http")]
    pub(crate) fn invalid_input(endpoint: Endpoint, detail: &str) -> Self {
        Self::new(endpoint, Cause::InvalidInput { detail: Excerpt::new(detail) })
    }

    /// The kind, for metrics and conditions. A failed sign-in has the kind of its cause.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.cause {
            Cause::Connect { .. } => ErrorKind::Connect,
            Cause::Tls { .. } => ErrorKind::Tls,
            Cause::Timeout { .. } => ErrorKind::Timeout,
            Cause::Interrupted { .. } => ErrorKind::Interrupted,
            Cause::Status { status, .. } => status_kind(*status),
            Cause::BodyTooLarge { .. } => ErrorKind::BodyTooLarge,
            Cause::Malformed { .. } | Cause::InconsistentPages { .. } => ErrorKind::Malformed,
            Cause::Throttled { .. } => ErrorKind::Throttled,
            Cause::TooLate => ErrorKind::TooLate,
            Cause::CredentialsRejected { .. } => ErrorKind::CredentialsRejected,
            Cause::SignIn(error) => error.kind(),
            Cause::NotUnique { .. } => ErrorKind::NotUnique,
            Cause::InvalidInput { .. } => ErrorKind::Invalid,
            Cause::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }

    /// How long to wait before a retry, if the server or the rate limit says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.cause {
            Cause::Status { retry_after, .. } => *retry_after,
            Cause::Throttled { wait, .. } => Some(*wait),
            Cause::SignIn(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The HTTP status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Status { status, .. } | Cause::BodyTooLarge { status, .. } | Cause::Malformed { status, .. } => {
                Some(*status)
            }
            Cause::SignIn(error) => error.status(),
            _ => None,
        }
    }

    /// Whether no connection was made, so that the server counts no request.
    #[must_use]
    pub fn never_connected(&self) -> bool {
        matches!(&self.cause, Cause::Connect { .. } | Cause::Tls { .. })
    }

    /// Whether the server certainly never got the complete request.
    #[must_use]
    pub fn never_sent(&self) -> bool {
        match &self.cause {
            Cause::Connect { .. }
            | Cause::Tls { .. }
            | Cause::Throttled { .. }
            | Cause::TooLate
            | Cause::CredentialsRejected { .. }
            | Cause::SignIn(_)
            | Cause::InvalidInput { .. }
            | Cause::Unsupported { .. } => true,
            Cause::Timeout { begun, .. } | Cause::Interrupted { begun, .. } => !begun,
            Cause::Status { .. }
            | Cause::BodyTooLarge { .. }
            | Cause::Malformed { .. }
            | Cause::InconsistentPages { .. }
            | Cause::NotUnique { .. } => false,
        }
    }

    /// Whether the server rejected the request: 400, 401, 403, 404, 422, 429, and 409 except for a new grant.
    #[must_use]
    pub fn refused(&self) -> bool {
        match &self.cause {
            Cause::Status { status: 400 | 401 | 403 | 404 | 422 | 429, .. } => true,
            Cause::Status { status: 409, .. } => self.endpoint != Endpoint::CreateGrant,
            _ => false,
        }
    }

    /// Whether the server may have made the change.
    #[must_use]
    pub fn ambiguous(&self) -> bool {
        !self.never_sent() && !self.refused()
    }

    /// Whether an immediate repeat of a read may succeed: no response, or 502, 503, 504.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            &self.cause,
            Cause::Connect { .. } | Cause::Interrupted { .. } | Cause::Status { status: 502..=504, .. }
        )
    }
}

impl ErrorKind {
    /// The label in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::BadRequest => "bad_request",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Redirect => "redirect",
            Self::UnexpectedStatus => "unexpected_status",
            Self::BodyTooLarge => "body_too_large",
            Self::Malformed => "malformed",
            Self::Interrupted => "interrupted",
            Self::CredentialsRejected => "credentials_rejected",
            Self::Throttled => "throttled",
            Self::TooLate => "too_late",
            Self::NotUnique => "not_unique",
            Self::Unsupported => "unsupported",
        }
    }
}

impl ErrorKind {
    /// How to fix it, where the message does not say.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Connect => "check the Organization's apiUrl and the network connection to Amigo",
            Self::Tls => "check that the Organization's apiUrl is an https URL with a trusted certificate",
            Self::Forbidden => {
                "give the operator's Amigo user a role that has the permission for this request and more privileges than it grants"
            }
            Self::Redirect => "the client does not follow redirects; check the Organization's apiUrl",
            Self::BodyTooLarge | Self::UnexpectedStatus => {
                "check that the Organization's apiUrl is the Amigo API and not a proxy"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const fn status_kind(status: u16) -> ErrorKind {
    match status {
        300..=399 => ErrorKind::Redirect,
        400 => ErrorKind::BadRequest,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        422 => ErrorKind::Invalid,
        429 => ErrorKind::RateLimited,
        503 => ErrorKind::Unavailable,
        500..=599 => ErrorKind::ServerError,
        _ => ErrorKind::UnexpectedStatus,
    }
}

/// The usual reasons for two statuses of the sign-in (API document, sign-in; regions page).
const fn hint(endpoint: Endpoint, cause: &Cause) -> &'static str {
    match (endpoint, cause) {
        (Endpoint::SignIn, Cause::Status { status: 404, .. }) => " (wrong region or organization?)",
        (Endpoint::SignIn, Cause::Status { status: 401, .. }) => {
            " (the key is unknown or wrong, the user is unknown, or the user's role is not below the key's role)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed_grant(status: u16) -> Error {
        failed(Endpoint::CreateGrant, status)
    }

    fn failed(endpoint: Endpoint, status: u16) -> Error {
        Error::new(endpoint, Cause::Status { status, message: Excerpt::default(), retry_after: None })
    }

    #[test]
    fn every_status_is_either_refused_or_ambiguous() {
        for status in 200..=599 {
            let refused = matches!(status, 400 | 401 | 403 | 404 | 422 | 429);
            let error = failed_grant(status);
            assert_eq!((error.never_sent(), error.refused(), error.ambiguous()), (false, refused, !refused));
        }
    }

    #[test]
    fn conflict_of_new_grant_is_ambiguous() {
        assert!(failed(Endpoint::CreateRole, 409).refused());
        assert!(failed(Endpoint::CreateGrant, 409).ambiguous());
    }

    #[test]
    fn timeout_is_ambiguous_only_once_begun() {
        let timeout =
            |begun| Error::new(Endpoint::CreateGrant, Cause::Timeout { deadline: Duration::from_secs(1), begun });
        assert!(timeout(true).ambiguous());
        assert!(timeout(false).never_sent());
    }

    #[test]
    fn failed_sign_in_leaves_request_unsent() {
        let error = Error::new(Endpoint::CreateGrant, Cause::SignIn(Box::new(failed_grant(500))));
        assert!(error.never_sent() && !error.ambiguous());
        assert_eq!(error.kind(), ErrorKind::ServerError);
    }
}
