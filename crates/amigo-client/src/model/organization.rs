//! The organization itself and its API keys.

use jiff::Timestamp;
use serde::Deserialize;

/// The organization's name (API document, get-organization).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OrganizationInfo {
    /// The ID, as in paths.
    pub org_id: String,
    /// The display name.
    pub org_name: String,
}

/// An API key (API document, get-api-keys).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiKey {
    /// The ID of the key, as in the sign-in.
    pub key_id: String,
    /// When the key was created.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When the key expires; the expiry cannot change.
    pub expires_at: Timestamp,
    /// The display name.
    #[serde(default)]
    pub name: Option<String>,
}
