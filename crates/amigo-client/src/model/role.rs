//! Roles as the API returns and accepts them (API document: role operations).

use amigo_permissions::{Action, Conditions, DescribedGrant, FrontendView, PermissionModel};
use serde_json::Value;

use crate::Excerpt;

/// A role as listed. For a day after a change, several roles may have one name (API document, modify-role).
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteRole {
    /// The ID of this document of the role; it changes with the grants.
    pub id: String,
    /// The name, which is the role's key.
    pub name: String,
    /// The description; empty if there is none.
    pub description: String,
    /// The front end; `None` if this client does not know it.
    pub frontend_view: Option<FrontendView>,
    /// The grants of the role.
    pub grants: RemoteGrants,
}

/// The grants of a listed role.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteGrants {
    /// The client parsed all of them.
    Understood(Vec<RemotePermissionGrant>),
    /// The client could not parse at least one; the role can be neither compared nor evaluated.
    Raw {
        /// `permission_grants` as the server sent it.
        value: Value,
        /// The parse error.
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
    /// Allow or Deny; `None` under the `AllowOnly` model, where every grant allows.
    pub action: Option<Action>,
    /// The text of the `AllowDeny` model.
    pub description: Option<String>,
}

/// A role to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRole {
    /// 1 to 256 characters; immutable.
    pub name: String,
    /// Must not be blank.
    pub description: String,
    /// The front end of its users.
    pub frontend_view: FrontendView,
    /// Its grants; the client sends their descriptions under `AllowDeny` only.
    pub permission_grants: Vec<DescribedGrant>,
    /// Whether other roles may inherit from it; only under the `AllowDeny` model.
    pub is_base_role: Option<bool>,
    /// The permission model of the server.
    pub model: PermissionModel,
}

/// A change of a role. `None` keeps the present value. Grants and front end are immutable on the server: to send one
/// creates a new document under the same name, so set only what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleChange {
    /// The new description.
    pub description: Option<String>,
    /// The new grants, all of them.
    pub permission_grants: Option<Vec<DescribedGrant>>,
    /// The new front end.
    pub frontend_view: Option<FrontendView>,
    /// The permission model of the server.
    pub model: PermissionModel,
}

/// Detects the permission model from a listing with grants: `AllowDeny` if any grant of any role has the `action` Allow
/// or Deny, else `AllowOnly`, which is safe under both models.
#[must_use]
pub fn permission_model(roles: &[RemoteRole]) -> PermissionModel {
    let shows_action = roles.iter().any(|role| match &role.grants {
        RemoteGrants::Understood(grants) => grants.iter().any(|grant| grant.action.is_some()),
        RemoteGrants::Raw { value, .. } => value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|grant| grant.get("action")?.as_str())
            // Another action may mean another model, to which the client must not send a Deny grant.
            .any(|action| matches!(action, "Allow" | "Deny")),
    });
    if shows_action { PermissionModel::AllowDeny } else { PermissionModel::AllowOnly }
}
