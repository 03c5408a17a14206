//! One API request: its parsed parts, and the state that a route reads and changes.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::json;

use super::{
    access::Rights,
    errors::ApiError,
    ids::{Ids, is_document_id},
    journal::{Change, Journal},
    operation::Operation,
    query::Query,
    state::Organization,
    time,
    validation::Problems,
};

#[derive(Clone, Debug, Default)]
pub(super) struct ApiRequest {
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What a route works with. A route finishes all checks before its first change.
pub(super) struct RequestContext<'s> {
    pub(super) organization: &'s mut Organization,
    pub(super) ids: &'s mut Ids,
    pub(super) journal: &'s mut Journal,
    pub(super) request: &'s ApiRequest,
    pub(super) operation: Operation,
    pub(super) now: Timestamp,
}

impl ApiRequest {
    pub(super) fn path_parameter(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn bearer_token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Whether the content type is JSON, such as `application/json; charset=utf-8`.
    pub(super) fn is_json(&self) -> bool {
        let content_type = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
    }

    /// A path parameter that must be 24 lower-case hexadecimal digits.
    pub(super) fn document_id(&self, name: &str, problems: &mut Problems) -> &str {
        let value = self.path_parameter(name);
        if !is_document_id(value) {
            let location = vec![json!("path"), json!(name)];
            problems.add(location, "string_pattern_mismatch", "String should match pattern '^[a-f0-9]{24}$'");
        }
        value
    }
}

impl RequestContext<'_> {
    /// The user of the bearer token, if this organization issued the token and it has not expired.
    pub(super) fn signed_in_user(&self) -> Option<String> {
        let token = self.organization.tokens.get(self.request.bearer_token()?)?;
        (self.now < token.expires_at).then(|| token.user_id.clone())
    }

    pub(super) fn rights(&self, user_id: &str) -> Result<Rights<'_>, ApiError> {
        Rights::new(self.organization, user_id, self.now)
    }

    pub(super) fn commit(&mut self, actor: &str, change: Change) {
        self.journal.record(self.now, &self.organization.id, self.operation, actor, change);
    }

    pub(super) fn timestamp(&self, timestamp: Timestamp) -> String {
        time::render(timestamp, self.organization.behavior.timestamp_precision)
    }
}
