//! The organization itself and its API keys.

use serde::Deserialize;

use super::{Client, request::ApiRequest, wire};
use crate::{ApiKey, Endpoint, Error, OrganizationInfo};

#[derive(Deserialize)]
struct ApiKeysBody {
    api_keys: Vec<ApiKey>,
}

impl Client {
    /// The organization's name. Needs no credentials, so it tells "unreachable" from "rejected".
    ///
    /// # Errors
    /// Any request error except those of credentials.
    pub async fn organization_info(&self) -> Result<OrganizationInfo, Error> {
        let response = self.send(ApiRequest::get(Endpoint::Organization, "organization/").without_token()).await?;
        wire::parse(&response)
    }

    /// The API keys that the service user may see; a missing key may be invisible.
    ///
    /// # Errors
    /// Any request error.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        let response = self.send(ApiRequest::get(Endpoint::ApiKeys, "organization/api_key/")).await?;
        wire::parse::<ApiKeysBody>(&response).map(|body| body.api_keys)
    }
}
