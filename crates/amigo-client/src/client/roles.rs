//! Roles as the API returns and accepts them (API document: role operations; facts of the two permission models).

use amigo_permissions::{Action, Conditions, DescribedGrant};
use serde::Serialize;

use super::{
    Client,
    request::{ApiRequest, segment},
    wire,
};
use crate::{Cause, Endpoint, Error, FrontendView, NewRole, PermissionModel, RemoteRole, RoleChange};

#[derive(Serialize)]
struct CreateRoleBody<'a> {
    role_name: &'a str,
    description: &'a str,
    permission_grants: Vec<GrantBody<'a>>,
    frontend_view: FrontendView,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_base_role: Option<bool>,
}

#[derive(Serialize)]
struct ModifyRoleBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_grants: Option<Vec<GrantBody<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frontend_view: Option<FrontendView>,
}

#[derive(Serialize)]
struct AssignRoleBody<'a> {
    user_id: &'a str,
}

#[derive(Serialize)]
struct GrantBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    permission_name: &'a str,
    conditions: &'a Conditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

impl Client {
    /// All roles the service user may see, with their grants. A missing role may be invisible.
    ///
    /// # Errors
    /// Any request error; `Malformed` if a role has no ID or name.
    pub async fn roles(&self) -> Result<Vec<RemoteRole>, Error> {
        let request = ApiRequest::get(Endpoint::ListRoles, "role/").query("return_permission_grants", "true");
        let response = self.send(request).await?;
        wire::roles(&response)
    }

    /// Creates a role and returns its ID.
    ///
    /// # Errors
    /// `Unsupported`, without a request, for a Deny grant or a base role under the `AllowOnly` model; `Conflict` if the
    /// name is taken; any request error.
    pub async fn create_role(&self, role: &NewRole) -> Result<String, Error> {
        let endpoint = Endpoint::CreateRole;
        if role.model == PermissionModel::AllowOnly && role.is_base_role == Some(true) {
            return Err(Error::new(endpoint, Cause::Unsupported { what: "a base role" }));
        }
        let body = CreateRoleBody {
            role_name: &role.name,
            description: &role.description,
            permission_grants: grant_bodies(endpoint, role.model, &role.permission_grants)?,
            frontend_view: role.frontend_view,
            is_base_role: role.is_base_role.filter(|_| role.model == PermissionModel::AllowDeny),
        };
        let response = self.send(ApiRequest::post(endpoint, "role/", &body)?).await?;
        wire::role_id(&response)
    }

    /// Changes the role `name` and returns its ID, which is a new one if the server created a new document.
    ///
    /// # Errors
    /// As for [`Client::create_role`]; `NotFound` if there is no such role.
    pub async fn modify_role(&self, name: &str, change: &RoleChange) -> Result<String, Error> {
        let endpoint = Endpoint::ModifyRole;
        let grants = change.permission_grants.as_deref();
        let body = ModifyRoleBody {
            description: change.description.as_deref(),
            permission_grants: grants.map(|grants| grant_bodies(endpoint, change.model, grants)).transpose()?,
            frontend_view: change.frontend_view,
        };
        let path = format!("role/{}", segment(endpoint, name)?);
        let response = self.send(ApiRequest::post(endpoint, path, &body)?).await?;
        wire::role_id(&response)
    }

    /// Assigns the role to the user and returns the role's ID.
    ///
    /// # Errors
    /// `Forbidden` unless the service user's role has more privileges than this role; `NotFound` if role or user
    /// does not exist; any request error.
    pub async fn assign_role(&self, role_name: &str, user_id: &str) -> Result<String, Error> {
        let endpoint = Endpoint::AssignRole;
        let path = format!("role/{}/assign", segment(endpoint, role_name)?);
        let response = self.send(ApiRequest::post(endpoint, path, &AssignRoleBody { user_id })?).await?;
        wire::role_id(&response)
    }
}

/// The grants in the server's model; an error for those that it does not support.
fn grant_bodies(
    endpoint: Endpoint,
    model: PermissionModel,
    grants: &[DescribedGrant],
) -> Result<Vec<GrantBody<'_>>, Error> {
    grants
        .iter()
        .map(|DescribedGrant { grant, description }| match model {
            PermissionModel::AllowDeny => Ok(GrantBody {
                action: Some(grant.action),
                permission_name: &grant.permission_name,
                conditions: &grant.conditions,
                description: description.as_deref(),
            }),
            // Without its action a Deny would be an Allow.
            PermissionModel::AllowOnly if grant.action == Action::Deny => {
                Err(Error::new(endpoint, Cause::Unsupported { what: "a Deny grant" }))
            }
            PermissionModel::AllowOnly => Ok(GrantBody {
                action: None,
                permission_name: &grant.permission_name,
                conditions: &grant.conditions,
                description: None,
            }),
        })
        .collect()
}
