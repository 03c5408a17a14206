//! The address and the credentials of an organization.

use std::fmt;

use http::Uri;
use secrecy::SecretString;

/// An API key and the user to act as (API document, sign-in). `Debug` shows only the IDs.
#[derive(Clone)]
pub struct Credentials {
    /// The secret of the key.
    pub api_key: SecretString,
    /// The ID of the key.
    pub api_key_id: String,
    /// The service user, whose permissions apply.
    pub user_id: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("api_key_id", &self.api_key_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// The address of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddress {
    /// For example `https://api.amigo.ai`; its path becomes a prefix.
    pub base_url: Uri,
    /// The `{organization}` segment of every path.
    pub organization: String,
}
