//! Roles as the API gives and takes them (API document: role operations; facts of the two permission models).

use serde::Serialize;
use serde_json::Value;

use super::{
    Client, Endpoint, Error,
    call::{Request, segment},
    excerpt::Excerpt,
    wire,
};
use crate::permission::{Action, Conditions, DescribedGrant};

/// What the server understands by a grant.
///
/// The guide teaches grants with `action` and `description`; today's API document knows neither. A member the
/// server does not know is presumably dropped, which would turn a Deny into an Allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PermissionModel {
    /// Grants carry `action`: a Deny can be sent.
    AllowDeny,
    /// Grants only allow: `action` and `description` are never sent. The safe guess.
    #[default]
    AllowOnly,
}

/// Which front end the users of a role get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FrontendView {
    /// The front end of those who talk to Amigo.
    Client,
    /// The front end of those who administer it.
    Admin,
}

/// A role as listed. Several may have one name for a day after a change (API document, modify-role).
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteRole {
    /// The id of this document of the role; it changes when the grants do.
    pub id: String,
    /// The name, which is the role's key.
    pub name: String,
    /// The description; empty if there is none.
    pub description: String,
    /// The front end; `None` if it is one this client does not know.
    pub frontend_view: Option<FrontendView>,
    /// What the role grants.
    pub grants: RemoteGrants,
}

/// The grants of a listed role.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteGrants {
    /// All of them were understood.
    Understood(Vec<RemotePermissionGrant>),
    /// At least one was not; the role can be neither compared nor judged.
    Raw {
        /// `permission_grants` as the server sent it.
        value: Value,
        /// What was not understood.
        reason: Excerpt,
    },
}

/// One grant of a listed role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePermissionGrant {
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies; empty means always.
    pub conditions: Conditions,
    /// Whether it gives or takes; `None` under the `AllowOnly` model, where every grant gives.
    pub action: Option<Action>,
    /// The text of the `AllowDeny` model.
    pub description: Option<String>,
}

/// A role to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRole {
    /// 1 to 256 characters, never to change.
    pub name: String,
    /// Must not be blank.
    pub description: String,
    /// The front end of its users.
    pub frontend_view: FrontendView,
    /// What it grants; descriptions are sent under `AllowDeny` only.
    pub permission_grants: Vec<DescribedGrant>,
    /// Whether others may inherit from it; only for a server of the `AllowDeny` model.
    pub is_base_role: Option<bool>,
    /// What the server understands.
    pub model: PermissionModel,
}

/// A change of a role. `None` keeps what is there. The grants and the front end are immutable on the server: sending one
/// makes a new document under the same name, so only what differs belongs here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleChange {
    /// The new description.
    pub description: Option<String>,
    /// The new grants, all of them.
    pub permission_grants: Option<Vec<DescribedGrant>>,
    /// The new front end.
    pub frontend_view: Option<FrontendView>,
    /// What the server understands.
    pub model: PermissionModel,
}

/// Which model the server follows, judged by a listing with grants: `AllowDeny` if any grant of any role shows
/// the `action` Allow or Deny, else `AllowOnly`, which sends nothing that could be misunderstood.
#[must_use]
pub fn permission_model(roles: &[RemoteRole]) -> PermissionModel {
    let shows_action = roles.iter().any(|role| match &role.grants {
        RemoteGrants::Understood(grants) => grants.iter().any(|grant| grant.action.is_some()),
        RemoteGrants::Raw { value, .. } => value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|grant| grant.get("action")?.as_str())
            // Whatever else it says may be another model, which a Deny is not sent to.
            .any(|action| matches!(action, "Allow" | "Deny")),
    });
    if shows_action { PermissionModel::AllowDeny } else { PermissionModel::AllowOnly }
}

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
    /// All roles the service user may see, with their grants. A role that is missing may merely be invisible.
    ///
    /// # Errors
    /// Any call error; `Malformed` if a role has no id or name.
    pub async fn roles(&self) -> Result<Vec<RemoteRole>, Error> {
        let request = Request::get(Endpoint::ListRoles, "role/").query("return_permission_grants", "true");
        let answer = self.call(request).await?;
        wire::roles(&answer)
    }

    /// Makes a role and returns its id.
    ///
    /// # Errors
    /// `Unsupported` before anything is sent if a Deny, or a base role, would go to a server of the `AllowOnly` model;
    /// `Conflict` if the name is taken; any call error.
    pub async fn create_role(&self, role: &NewRole) -> Result<String, Error> {
        let endpoint = Endpoint::CreateRole;
        if role.model == PermissionModel::AllowOnly && role.is_base_role == Some(true) {
            return Err(Error::Unsupported { endpoint, what: "a base role" });
        }
        let body = CreateRoleBody {
            role_name: &role.name,
            description: &role.description,
            permission_grants: grant_bodies(endpoint, role.model, &role.permission_grants)?,
            frontend_view: role.frontend_view,
            is_base_role: role.is_base_role.filter(|_| role.model == PermissionModel::AllowDeny),
        };
        let answer = self.call(Request::post(endpoint, "role/", &body)?).await?;
        wire::role_id(&answer)
    }

    /// Changes the role called `name` and returns its id, which is a new one if the server made a new document.
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
        let answer = self.call(Request::post(endpoint, path, &body)?).await?;
        wire::role_id(&answer)
    }

    /// Gives the user the role and returns the role's id.
    ///
    /// # Errors
    /// `Forbidden` unless the service user's role has more privileges than the role given; `NotFound` if role or user
    /// is not there; any call error.
    pub async fn assign_role(&self, role_name: &str, user_id: &str) -> Result<String, Error> {
        let endpoint = Endpoint::AssignRole;
        let path = format!("role/{}/assign", segment(endpoint, role_name)?);
        let answer = self.call(Request::post(endpoint, path, &AssignRoleBody { user_id })?).await?;
        wire::role_id(&answer)
    }
}

/// The grants in the words of the server's model; refuses what it has no words for.
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
                Err(Error::Unsupported { endpoint, what: "a Deny grant" })
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
