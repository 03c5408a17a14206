//! A successful response.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

use super::secrets::Secrets;
use crate::Endpoint;

pub(super) struct ApiResponse {
    pub(super) endpoint: Endpoint,
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// The server's time.
    pub(super) date: Option<Timestamp>,
    /// What must not appear in an error about it.
    pub(super) secrets: Secrets,
}

impl fmt::Debug for ApiResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body of a sign-in is a token.
        let Self { endpoint, status, body: _, date: _, secrets: _ } = self;
        let mut debug = formatter.debug_struct("ApiResponse");
        debug.field("endpoint", endpoint).field("status", status).finish_non_exhaustive()
    }
}
