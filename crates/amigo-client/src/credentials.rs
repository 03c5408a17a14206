//! Where an organization is, and who asks.

use std::fmt;

use http::Uri;
use secrecy::SecretString;

/// An API key and the user to act as (API document, sign-in). `Debug` shows the ids only.
#[derive(Clone)]
pub struct Credentials {
    /// The secret of the key.
    pub api_key: SecretString,
    /// The id of the key.
    pub api_key_id: String,
    /// The user whose rights apply: the service user.
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

/// Where the organization is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddress {
    /// For example `https://api.amigo.ai`; a path in it is kept as a prefix.
    pub base_url: Uri,
    /// The `{organization}` segment of every path.
    pub organization: String,
}
