//! What can go wrong in a call, sorted by what the caller must conclude from it.

use std::{fmt, time::Duration};

use super::{Endpoint, excerpt::Excerpt};

/// Why a call gave no result. No variant ever holds a header, a key or a token.
///
/// # Expected flow
/// Ask [`Error::never_sent`] first, then [`Error::refused`]; what is left is [`Error::ambiguous`].
///
/// # Guarantees
/// For a call that changes something exactly one of the three holds. `never_sent` is claimed only when the
/// request cannot have been complete at the server: the connection was never made, or not a byte of its body
/// was handed to the connection and none will be.
///
/// # Assumptions
/// A server that answers 400, 401, 403, 404, 422 or 429 has changed nothing; nor one that answers 409, where the
/// document knows that answer. The creation of a grant has no 409, so what says it there may not be Amigo.
///
/// # Caveats
/// Texts from the server are excerpts: at most 300 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name did not resolve, or no connection was made in time.
    #[error("{endpoint}: cannot connect: {detail}")]
    Connect {
        /// The operation.
        endpoint: Endpoint,
        /// The cause, as told by the operating system.
        detail: Excerpt,
    },
    /// The connection was made, but the server did not prove who it is.
    #[error("{endpoint}: no secure connection: {detail}")]
    Tls {
        /// The operation.
        endpoint: Endpoint,
        /// The cause, as told by the TLS library.
        detail: Excerpt,
    },
    /// No complete answer within the total deadline.
    #[error("{endpoint}: no complete answer within {deadline:?}")]
    Timeout {
        /// The operation.
        endpoint: Endpoint,
        /// The deadline of the whole call.
        deadline: Duration,
        /// Whether the request may have reached the server.
        begun: bool,
    },
    /// The connection ended before the answer did.
    #[error("{endpoint}: the connection broke: {detail}")]
    Interrupted {
        /// The operation.
        endpoint: Endpoint,
        /// The cause.
        detail: Excerpt,
        /// Whether the request may have reached the server.
        begun: bool,
    },
    /// The server answered with a status that is no success.
    #[error("{endpoint}: the server answered {status}: {message}{}", hint(*endpoint, *status))]
    Answered {
        /// The operation.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// What the server said, read leniently.
        message: Excerpt,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// A success whose body is larger than this client reads.
    #[error("{endpoint}: the answer ({status}) is larger than {cap} bytes")]
    BodyTooLarge {
        /// The operation.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// The most bytes that are read.
        cap: usize,
    },
    /// A success whose body is not what the document says.
    #[error("{endpoint}: the answer ({status}) cannot be understood: {detail}")]
    Malformed {
        /// The operation.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        detail: Excerpt,
    },
    /// The pages of a listing do not fit together; nothing may be concluded from what was read.
    #[error("{endpoint}: the listing is torn: {detail}")]
    InconsistentPages {
        /// The operation.
        endpoint: Endpoint,
        /// What does not fit.
        detail: &'static str,
    },
    /// The rate budget does not allow the call yet. Nothing was sent.
    #[error("{endpoint}: the rate budget allows the call in {wait:?}")]
    Budget {
        /// The operation.
        endpoint: Endpoint,
        /// How long until its turn.
        wait: Duration,
    },
    /// The moment after which the call must not start had passed. Nothing was sent.
    #[error("{endpoint}: too late to send")]
    TooLate {
        /// The operation.
        endpoint: Endpoint,
    },
    /// The server refused the credentials before, and they have not changed: no call is made.
    #[error("{endpoint}: not called, because the credentials were refused: {message}")]
    CredentialsRejected {
        /// The operation.
        endpoint: Endpoint,
        /// What the server said when it refused.
        message: Excerpt,
    },
    /// No token could be had, so the call was not made.
    #[error("{endpoint}: not called: {cause}")]
    SignIn {
        /// The operation that was not called.
        endpoint: Endpoint,
        /// Why there is no token.
        cause: Box<Error>,
    },
    /// More than one user has the address, so it names nobody.
    #[error("{endpoint}: {count} users have the same e-mail address")]
    NotUnique {
        /// The operation.
        endpoint: Endpoint,
        /// How many users were found.
        count: usize,
    },
    /// The request makes no sense to the API, so it was not sent.
    #[error("{endpoint}: not sent: {detail}")]
    InvalidInput {
        /// The operation.
        endpoint: Endpoint,
        /// What is wrong with it.
        detail: Excerpt,
    },
    /// The request needs the `AllowDeny` model. Sent to a server of the other model it could widen access.
    #[error("{endpoint}: not sent: {what} is not understood by a server of the AllowOnly permission model")]
    Unsupported {
        /// The operation.
        endpoint: Endpoint,
        /// What the server would not understand.
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
    /// No complete answer in time.
    Timeout,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 422, or input this client refuses to send.
    Invalid,
    /// 400.
    BadRequest,
    /// 429.
    RateLimited,
    /// 503.
    Unavailable,
    /// Any other 5xx.
    ServerError,
    /// A redirect, which is never followed.
    Redirect,
    /// A status the document does not know.
    UnexpectedStatus,
    /// The answer is too large.
    BodyTooLarge,
    /// The answer cannot be understood, or a listing is torn.
    Malformed,
    /// The connection broke.
    Interrupted,
    /// No call is made until the credentials change.
    CredentialsRejected,
    /// The rate budget does not allow the call yet.
    Budget,
    /// Too late to send.
    TooLate,
    /// An e-mail address that names several users.
    NotUnique,
    /// The server's permission model has no word for it.
    Unsupported,
}

impl Error {
    /// The kind, for metrics and conditions. A failed sign-in has the kind of its cause.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } => ErrorKind::Connect,
            Self::Tls { .. } => ErrorKind::Tls,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Interrupted { .. } => ErrorKind::Interrupted,
            Self::Answered { status, .. } => status_kind(*status),
            Self::BodyTooLarge { .. } => ErrorKind::BodyTooLarge,
            Self::Malformed { .. } | Self::InconsistentPages { .. } => ErrorKind::Malformed,
            Self::Budget { .. } => ErrorKind::Budget,
            Self::TooLate { .. } => ErrorKind::TooLate,
            Self::CredentialsRejected { .. } => ErrorKind::CredentialsRejected,
            Self::SignIn { cause, .. } => cause.kind(),
            Self::NotUnique { .. } => ErrorKind::NotUnique,
            Self::InvalidInput { .. } => ErrorKind::Invalid,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }

    /// The operation that failed; for a failed sign-in, the one that needed it.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Connect { endpoint, .. }
            | Self::Tls { endpoint, .. }
            | Self::Timeout { endpoint, .. }
            | Self::Interrupted { endpoint, .. }
            | Self::Answered { endpoint, .. }
            | Self::BodyTooLarge { endpoint, .. }
            | Self::Malformed { endpoint, .. }
            | Self::InconsistentPages { endpoint, .. }
            | Self::Budget { endpoint, .. }
            | Self::TooLate { endpoint }
            | Self::CredentialsRejected { endpoint, .. }
            | Self::SignIn { endpoint, .. }
            | Self::NotUnique { endpoint, .. }
            | Self::InvalidInput { endpoint, .. }
            | Self::Unsupported { endpoint, .. } => *endpoint,
        }
    }

    /// How long to wait before trying again, where the server or the budget said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            Self::Budget { wait, .. } => Some(*wait),
            Self::SignIn { cause, .. } => cause.retry_after(),
            _ => None,
        }
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } | Self::BodyTooLarge { status, .. } | Self::Malformed { status, .. } => {
                Some(*status)
            }
            Self::SignIn { cause, .. } => cause.status(),
            _ => None,
        }
    }

    /// Whether it is certain that the server never got the whole request.
    #[must_use]
    pub fn never_sent(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Budget { .. }
            | Self::TooLate { .. }
            | Self::CredentialsRejected { .. }
            | Self::SignIn { .. }
            | Self::InvalidInput { .. }
            | Self::Unsupported { .. } => true,
            Self::Timeout { begun, .. } | Self::Interrupted { begun, .. } => !begun,
            Self::Answered { .. }
            | Self::BodyTooLarge { .. }
            | Self::Malformed { .. }
            | Self::InconsistentPages { .. }
            | Self::NotUnique { .. } => false,
        }
    }

    /// Whether the server got the request and said no: 400, 401, 403, 404, 422, 429, and 409 but for a new grant.
    #[must_use]
    pub fn refused(&self) -> bool {
        match self {
            Self::Answered { status: 400 | 401 | 403 | 404 | 422 | 429, .. } => true,
            Self::Answered { endpoint, status: 409, .. } => *endpoint != Endpoint::CreateGrant,
            _ => false,
        }
    }

    /// Whether the server may have done what was asked, although there is no good answer.
    #[must_use]
    pub fn ambiguous(&self) -> bool {
        !self.never_sent() && !self.refused()
    }

    /// Whether a read may be repeated at once: no answer was read, or the server says it is a passing trouble.
    #[must_use]
    pub fn passing(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Interrupted { .. } | Self::Answered { status: 502..=504, .. })
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
            Self::Budget => "budget",
            Self::TooLate => "too_late",
            Self::NotUnique => "not_unique",
            Self::Unsupported => "unsupported",
        }
    }
}

impl ErrorKind {
    /// What a person can do about it, where that is not plain.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Connect => "check the Organization's apiUrl and the network to Amigo",
            Self::Tls => {
                "check that the Organization's apiUrl is an https address and that its certificate is trusted here"
            }
            Self::Forbidden => {
                "the role of the operator's user at Amigo needs the permission for this call, and must stand above whatever it hands out"
            }
            Self::Redirect => "redirects are not followed: check the Organization's apiUrl",
            Self::BodyTooLarge | Self::UnexpectedStatus => {
                "check that the Organization's apiUrl leads to the Amigo API and not to something in between"
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

/// What the two unclear answers of the sign-in usually mean (API document, sign-in; regions page).
const fn hint(endpoint: Endpoint, status: u16) -> &'static str {
    match (endpoint, status) {
        (Endpoint::SignIn, 404) => " (wrong region or organization?)",
        (Endpoint::SignIn, 401) => {
            " (key unknown or wrong, user unknown, or the user's role is not below the role of the key)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Error {
        Error::Answered { endpoint: Endpoint::CreateGrant, status, message: Excerpt::default(), retry_after: None }
    }

    #[test]
    fn every_answer_is_exactly_one_of_refused_and_ambiguous() {
        for status in 200..=599 {
            let refused = matches!(status, 400 | 401 | 403 | 404 | 422 | 429);
            let error = answered(status);
            assert_eq!((error.never_sent(), error.refused(), error.ambiguous()), (false, refused, !refused));
        }
    }

    #[test]
    fn a_conflict_is_a_refusal_where_the_document_knows_it() {
        let conflict =
            |endpoint| Error::Answered { endpoint, status: 409, message: Excerpt::default(), retry_after: None };
        assert!(conflict(Endpoint::CreateRole).refused());
        assert!(conflict(Endpoint::CreateGrant).ambiguous());
    }

    #[test]
    fn a_timeout_is_ambiguous_only_once_begun() {
        let timeout =
            |begun| Error::Timeout { endpoint: Endpoint::CreateGrant, deadline: Duration::from_secs(1), begun };
        assert!(timeout(true).ambiguous());
        assert!(timeout(false).never_sent());
    }

    #[test]
    fn a_failed_sign_in_leaves_the_call_unsent() {
        let error = Error::SignIn { endpoint: Endpoint::CreateGrant, cause: Box::new(answered(500)) };
        assert!(error.never_sent() && !error.ambiguous());
        assert_eq!(error.kind(), ErrorKind::ServerError);
    }
}
