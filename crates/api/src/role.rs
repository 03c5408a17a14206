//! `Role`: a permanent role as reviewed YAML.

use amigo_permissions::{Action, Conditions, DescribedGrant, PermissionGrant};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DriftPolicy, NameReference, rules};

/// A role of an Amigo organization. Users get it by a RoleAssignment.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "permissions.amigo.ai",
    version = "v1alpha1",
    kind = "Role",
    plural = "roles",
    namespaced,
    shortname = "amrole",
    category = "amigo",
    status = "RoleStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A role of an Amigo organization. Users get it by a RoleAssignment.",
    printcolumn(name = "Organization", type_ = "string", json_path = ".spec.organizationRef.name"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.roleName"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName)")
    .message("roleName is immutable: create another Role instead"))]
pub struct RoleSpec {
    /// The Organization the role belongs to.
    #[x_kube(validation = Rule::new("self == oldSelf").message("organizationRef is immutable: create another Role instead"))]
    pub organization_ref: NameReference,

    /// The role's name at Amigo. Default: the object's name. Names that start with `Default` are Amigo's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::role_name())]
    #[x_kube(validation = Rule::new("!self.startsWith('Default')").message("roles named Default* are Amigo's own: choose another roleName"))]
    pub role_name: Option<String>,

    /// What the role is for; shown at Amigo.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.trim().size() > 0").message("description must not be blank: say what the role is for"))]
    pub description: String,

    /// Which web front end users of this role see.
    #[serde(default)]
    pub frontend_view: FrontendView,

    /// Whether other roles may build on this one; sent only where the API knows Deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_base_role: Option<bool>,

    /// What the role allows and denies. Deny always wins. Where the API knows only Allow, what a Deny takes is cut out of
    /// the Allows, and a role for which no condition says the rest is refused.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub permission_grants: Vec<RoleGrant>,

    /// What happens when a role of this name exists before the object.
    #[serde(default)]
    pub adoption: Adoption,

    /// What happens when somebody else changes the role. Default: the Organization's `roles.driftPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_policy: Option<DriftPolicy>,

    /// What becomes of the role when the object is deleted; the API cannot delete roles.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Stops every change to this role.
    #[serde(default)]
    pub suspend: bool,
}

/// One line of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleGrant {
    /// Allow gives the permission, Deny takes it whatever else allows it.
    #[serde(default)]
    pub action: Action,

    /// `Category:Action`, for example `Conversation:GetMessage`.
    #[schemars(length(min = 3, max = 128))]
    #[x_kube(validation = rules::permission_name())]
    pub permission_name: String,

    /// Attribute to the condition it must meet, for example `org_id`. Empty means: everywhere.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub conditions: Conditions,

    /// Why this line is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

/// Which web front end users of a role see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FrontendView {
    /// The client's view.
    #[default]
    Client,
    /// The administrator's view.
    Admin,
}

/// What happens when a role of the name exists before the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// It is taken over only if it already is what the spec says.
    #[default]
    IfMatches,
    /// It is taken over and set to what the spec says.
    Override,
    /// It is not taken over.
    Never,
}

/// What becomes of the role when its object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays as it is.
    #[default]
    Retain,
    /// Its grants are emptied first, so that it allows nothing any more.
    Disable,
}

/// What is known of a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The organization at Amigo that the rest speaks of. In another one nothing of it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,

    /// The digest of what the role at Amigo last was as wanted; what differs since is drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_digest: Option<String>,

    /// The role's name at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,

    /// The id of the role's present document at Amigo; it changes when grants or the view change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,

    /// A creation was begun and its end was not seen: a role of this name is this object's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub creating: bool,

    /// Deny grants that were sent and not seen to have come through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<DenyRecord>,

    /// Digests of the Deny grants that the role was last sent. Where Amigo shows them without an action, they allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub denied_digests: Vec<String>,

    /// Ready, Stalled and LintPassed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Deny grants that were sent. A server that does not know them would have made Allows of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DenyRecord {
    /// The digest of what was sent.
    pub digest: String,

    /// They came back as Allows, the role was emptied, and the same is not sent again.
    #[serde(default)]
    pub dropped: bool,
}

impl Role {
    /// The role's name at Amigo.
    #[must_use]
    pub fn remote_name(&self) -> String {
        self.spec.role_name.clone().unwrap_or_else(|| self.name_any())
    }
}

impl From<&RoleGrant> for PermissionGrant {
    fn from(grant: &RoleGrant) -> Self {
        Self {
            action: grant.action,
            permission_name: grant.permission_name.clone(),
            conditions: grant.conditions.clone(),
        }
    }
}

impl From<&RoleGrant> for DescribedGrant {
    fn from(grant: &RoleGrant) -> Self {
        Self { grant: grant.into(), description: grant.description.clone() }
    }
}
