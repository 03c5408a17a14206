//! The organization itself and its API keys.

use jiff::Timestamp;
use serde::Deserialize;

/// The organization's name (API document, get-organization).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OrganizationInfo {
    /// The id, as in paths.
    pub org_id: String,
    /// The name for people.
    pub org_name: String,
}

/// An API key (API document, get-api-keys).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiKey {
    /// The key's id, as used at sign-in.
    pub key_id: String,
    /// When the key was made.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When the key ends; it cannot be extended.
    pub expires_at: Timestamp,
    /// The name for people.
    #[serde(default)]
    pub name: Option<String>,
}
