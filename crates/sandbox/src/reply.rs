//! A response before its conversion to HTTP.

use http::StatusCode;
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: ReplyBody,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ReplyBody {
    Empty,
    Json(Value),
    Text(String),
}

impl Reply {
    pub(super) fn json(status: StatusCode, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: ReplyBody::Json(body) }
    }

    pub(super) fn text(status: StatusCode, text: String) -> Self {
        Self { status, headers: Vec::new(), body: ReplyBody::Text(text) }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(super) fn created(body: Value) -> Self {
        Self::json(StatusCode::CREATED, body)
    }

    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: ReplyBody::Empty }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
