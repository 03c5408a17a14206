//! `Role`: a permanent role.

use amigo_permissions::{Action, Conditions, DescribedGrant, FrontendView, PermissionGrant};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DriftPolicy, ManagementPolicy, NameReference, rules};

/// A role of an Amigo organization. To give it to a user, create a RoleAssignment.
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
    doc = "A role of an Amigo organization. To give it to a user, create a RoleAssignment.",
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
#[x_kube(validation = Rule::new("has(self.isBaseRole) == has(oldSelf.isBaseRole) && (!has(self.isBaseRole) || self.isBaseRole == oldSelf.isBaseRole)")
    .message("isBaseRole is immutable: create another Role instead"))]
pub struct RoleSpec {
    /// The Organization the role belongs to.
    #[x_kube(validation = Rule::new("self == oldSelf").message("organizationRef is immutable: create another Role instead"))]
    pub organization_ref: NameReference,

    /// The role's name at Amigo. Default: the object's name. Amigo reserves names that start with `Default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::role_name())]
    #[x_kube(validation = Rule::new("!self.startsWith('Default')").message("roleName must not start with Default: Amigo reserves these names"))]
    pub role_name: Option<String>,

    /// The purpose of the role. Amigo displays it.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = rules::visible(1, "description must not be blank: say what the role is for"))]
    #[x_kube(validation = rules::no_turning("description"))]
    pub description: String,

    /// The web front end that users with this role see.
    #[serde(default)]
    pub frontend_view: FrontendView,

    /// Whether other roles may inherit from this one. Only for APIs that support Deny. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_base_role: Option<bool>,

    /// What the role allows and denies. Deny overrides Allow. If the API supports only Allow, the operator subtracts
    /// each Deny from the Allow grants. It rejects a role that Allow grants cannot express.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = rules::conditions_in_total("permissionGrants", 512))]
    pub permission_grants: Vec<RoleGrant>,

    /// Whether the operator changes the role at Amigo, or only reports whether it matches.
    #[serde(default)]
    pub management_policy: ManagementPolicy,

    /// What the operator does when a role with this name already exists.
    #[serde(default)]
    pub adoption: Adoption,

    /// What the operator does when somebody else changes the role. Default: the Organization's `roles.driftPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_policy: Option<DriftPolicy>,

    /// What the operator does with the role when the object is deleted. The API cannot delete roles.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Stops every change to this role.
    #[serde(default)]
    pub suspend: bool,
}

/// One grant of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleGrant {
    /// Allow grants the permission. Deny denies it, and overrides every Allow.
    #[serde(default)]
    pub action: Action,

    /// `Category:Action`, for example `Conversation:GetMessage`.
    #[schemars(length(min = 3, max = 128))]
    #[x_kube(validation = rules::permission_name())]
    pub permission_name: String,

    /// Conditions by attribute, for example `org_id`. The grant applies when all are met. Empty: it always applies.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = rules::attribute_names())]
    pub conditions: Conditions,

    /// Why the role contains this grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

/// What the operator does when a role with the name already exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// The operator adopts the role only if it already matches the spec.
    #[default]
    IfMatches,
    /// The operator adopts the role and changes it to match the spec.
    Override,
    /// The operator does not adopt the role.
    Never,
}

/// What the operator does with the role when its object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The operator keeps the role unchanged.
    #[default]
    Retain,
    /// The operator removes all grants first, so that the role allows nothing.
    Disable,
}

/// The observed state of a Role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// The generation of the spec that the operator last reconciled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The organization at Amigo that this status describes. When it changes, the operator discards the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,

    /// The scheme, host and port of the Amigo API that this status describes. When it changes, the operator discards the
    /// status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub api_origin: Option<String>,

    /// The digest of the spec that the role at Amigo last matched. A later difference is drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_digest: Option<String>,

    /// The role's name at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,

    /// The ID of the role's current document at Amigo. It changes when the grants or the front end change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,

    /// The role that the operator last sent. The operator records a creation before it sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<SentRole>,

    /// Deny grants that the operator sent and has not confirmed at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<DenyRecord>,

    /// Digests of the Deny grants that the operator last sent. If Amigo lists one without an action, it allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub denied_digests: Vec<String>,

    /// The last value of the annotation `permissions.amigo.ai/resync` that the operator handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_resync: Option<String>,

    /// Conditions: Ready, Stalled and LintPassed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A role that the operator sent to Amigo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentRole {
    /// The digest of the role's content. A role whose creation is not confirmed belongs to this object only if it has
    /// this content.
    pub digest: String,

    /// When the operator sent the role.
    pub at: Timestamp,

    /// The ID of the document that Amigo returned. Unset while the outcome of the creation is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,
}

/// Deny grants that the operator sent. A server without support for Deny turns them into Allow grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DenyRecord {
    /// The digest of the grants sent.
    pub digest: String,

    /// Amigo turned them into Allow grants. The operator removed all grants and does not send these again.
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
