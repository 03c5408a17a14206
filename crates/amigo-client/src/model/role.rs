//! Roles as the API lists and takes them (API document: role operations).

use amigo_permissions::{Action, Conditions, DescribedGrant};
use serde::Serialize;
use serde_json::Value;

use crate::Excerpt;

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
