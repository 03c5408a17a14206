//! The organization itself and its API keys.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Client, Endpoint, Error, call::Request, wire};

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

#[derive(Deserialize)]
struct ApiKeysBody {
    api_keys: Vec<ApiKey>,
}

impl Client {
    /// The organization's name. Needs no credentials, so it tells "unreachable" from "refused".
    ///
    /// # Errors
    /// Any call error except those of credentials.
    pub async fn organization_info(&self) -> Result<OrganizationInfo, Error> {
        let answer = self.call(Request::get(Endpoint::Organization, "organization/").unsigned()).await?;
        wire::parse(&answer)
    }

    /// The API keys the service user may see; a missing one may merely be invisible.
    ///
    /// # Errors
    /// Any call error.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        let answer = self.call(Request::get(Endpoint::ApiKeys, "organization/api_key/")).await?;
        wire::parse::<ApiKeysBody>(&answer).map(|body| body.api_keys)
    }
}
