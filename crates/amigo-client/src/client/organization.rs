//! The organization itself and its API keys.

use serde::Deserialize;

use super::{ApiKey, Client, Endpoint, Error, OrganizationInfo, call::Request, wire};

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
