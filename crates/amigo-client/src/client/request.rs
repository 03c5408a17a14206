//! What a request says, apart from its token and its address.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::{Endpoint, Error};

/// Everything but the unreserved characters: `+` in a query would arrive as a space.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request of one operation.
#[derive(Clone, Debug)]
pub(super) struct ApiRequest {
    pub(super) endpoint: Endpoint,
    /// Below the organization; sent unchanged.
    pub(super) path: Cow<'static, str>,
    /// Empty, or with its question mark.
    pub(super) query: String,
    pub(super) body: Option<Bytes>,
    pub(super) needs_token: bool,
}

impl ApiRequest {
    pub(super) fn get(endpoint: Endpoint, path: impl Into<Cow<'static, str>>) -> Self {
        Self { endpoint, path: path.into(), query: String::new(), body: None, needs_token: true }
    }

    /// A change with a JSON body.
    pub(super) fn post<B: Serialize>(
        endpoint: Endpoint,
        path: impl Into<Cow<'static, str>>,
        body: &B,
    ) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::invalid_input(endpoint, &error.to_string()))?;
        Ok(Self { body: Some(body.into()), ..Self::get(endpoint, path) })
    }

    /// Adds a query parameter; arrays are repeated keys.
    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(key);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, RESERVED));
        self
    }

    /// Adds a query parameter for each value.
    pub(super) fn queries<'a>(self, key: &str, values: impl IntoIterator<Item = &'a String>) -> Self {
        values.into_iter().fold(self, |request, value| request.query(key, value))
    }

    pub(super) fn without_token(self) -> Self {
        Self { needs_token: false, ..self }
    }
}

/// A name as one segment of a path. On the way to the server a dot segment would turn into a different operation.
pub(super) fn segment(endpoint: Endpoint, name: &str) -> Result<String, Error> {
    if matches!(name, "" | "." | "..") {
        return Err(Error::invalid_input(endpoint, &format!("{name:?} cannot be part of a path")));
    }
    Ok(utf8_percent_encode(name, RESERVED).to_string())
}
