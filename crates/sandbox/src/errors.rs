//! Error responses, in each documented style.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    behavior::{Behavior, ErrorStyle, RangeError},
    context::ApiRequest,
    inputs,
    reply::Reply,
};

/// One entry of a 422's `detail` list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    /// `body`, `query`, `path` or `header`, then field names and indexes.
    pub(super) location: Vec<Value>,
    pub(super) message: String,
    /// The problem type of the server framework.
    pub(super) kind: &'static str,
    /// A value outside its range, whose status is configurable.
    pub(super) out_of_range: bool,
}

/// An error that the API returns to the client.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ApiError {
    BadRequest(&'static str),
    Unauthorized,
    /// The permission that is missing.
    Forbidden(&'static str),
    /// The caller's role does not outrank the affected role or grant.
    Outranked,
    NotFound(&'static str),
    Conflict(&'static str),
    Invalid(Vec<Problem>),
    TooManyRequests {
        limit: u32,
        retry_after_seconds: u64,
    },
}

impl ApiError {
    fn status(&self, behavior: &Behavior) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Outranked => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Invalid(problems)
                if behavior.range_error == RangeError::BadRequest && problems.iter().all(|p| p.out_of_range) =>
            {
                StatusCode::BAD_REQUEST
            }
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BadRequest(text) | Self::NotFound(text) | Self::Conflict(text) => (*text).to_owned(),
            Self::Unauthorized => "The credentials are not valid.".to_owned(),
            Self::Forbidden(permission) => format!("Missing required permission: {permission}"),
            Self::Outranked => "The caller's role does not have the privileges this needs.".to_owned(),
            Self::Invalid(_) => "The request is not valid.".to_owned(),
            Self::TooManyRequests { limit, .. } => format!("More than {limit} requests in a minute."),
        }
    }

    /// Renders the error in the organization's style.
    pub(super) fn render(&self, behavior: &Behavior, request: &ApiRequest) -> Reply {
        let status = self.status(behavior);
        let reply = match self.body(behavior.error_style, status, request) {
            Some(body) => Reply::json(status, body),
            None => Reply::text(status, self.message()),
        };
        match self {
            Self::TooManyRequests { retry_after_seconds, .. } => {
                reply.with_header("retry-after", retry_after_seconds.to_string())
            }
            _ => reply,
        }
    }

    fn body(&self, style: ErrorStyle, status: StatusCode, request: &ApiRequest) -> Option<Value> {
        if let Self::Invalid(problems) = self {
            return Some(
                json!({ "detail": problems.iter().map(|problem| problem.render(request)).collect::<Vec<_>>() }),
            );
        }
        let message = self.message();
        Some(match (style, self) {
            (ErrorStyle::PlainText, _) => return None,
            (ErrorStyle::Detail, _) => json!({ "detail": message }),
            (ErrorStyle::ErrorAndMessage, _) => {
                json!({ "error": status.canonical_reason().unwrap_or_default(), "message": message })
            }
            (ErrorStyle::MissingPermission, Self::Forbidden(permission)) => json!({ "missing_permission": permission }),
            (ErrorStyle::MissingPermission, _) => json!({ "message": message }),
        })
    }
}

impl Problem {
    fn render(&self, request: &ApiRequest) -> Value {
        let input = inputs::input(self, request);
        json!({ "loc": self.location, "msg": self.message, "type": self.kind, "input": input })
    }
}
