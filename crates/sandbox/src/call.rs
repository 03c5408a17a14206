//! One call to one operation: what a route sees and may change.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::json;

use super::{
    access::Rights,
    errors::Refusal,
    ids::{Ids, is_document_id},
    journal::{Change, Journal},
    operation::Operation,
    query::Query,
    state::Organization,
    time,
    validation::Problems,
};

/// A request, taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// One call in progress. Nothing is changed before everything is checked.
pub(super) struct Call<'w> {
    pub(super) organization: &'w mut Organization,
    pub(super) ids: &'w mut Ids,
    pub(super) journal: &'w mut Journal,
    pub(super) input: &'w Input,
    pub(super) operation: Operation,
    pub(super) now: Timestamp,
}

impl Input {
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token of the request.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// A path parameter that must be 24 lower-case hexadecimal digits.
    pub(super) fn document_id(&self, name: &str, problems: &mut Problems) -> &str {
        let value = self.parameter(name);
        if !is_document_id(value) {
            let location = vec![json!("path"), json!(name)];
            problems.add(location, "string_pattern_mismatch", "String should match pattern '^[a-f0-9]{24}$'");
        }
        value
    }
}

impl Call<'_> {
    /// The user the token signs in, if the token is of this organization and alive.
    pub(super) fn signed_in(&self) -> Option<String> {
        let token = self.organization.tokens.get(self.input.bearer()?)?;
        (self.now < token.expires_at).then(|| token.user_id.clone())
    }

    pub(super) fn rights(&self, user_id: &str) -> Result<Rights<'_>, Refusal> {
        Rights::of(self.organization, user_id, self.now)
    }

    pub(super) fn commit(&mut self, actor: &str, change: Change) {
        self.journal.record(self.now, &self.organization.id, self.operation, actor, change);
    }

    pub(super) fn timestamp(&self, timestamp: Timestamp) -> String {
        time::render(timestamp, self.organization.behavior.timestamp_precision)
    }
}
