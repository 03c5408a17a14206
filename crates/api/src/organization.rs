//! `Organization`: the connection to one Amigo organization.

use std::collections::BTreeMap;

use amigo_permissions::PermissionModel;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NameReference, duration, rules};

/// The connection to one Amigo organization: its API URL, its credentials, and the namespaces that may use it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "permissions.amigo.ai",
    version = "v1alpha1",
    kind = "Organization",
    plural = "organizations",
    shortname = "amorg",
    category = "amigo",
    status = "OrganizationStatus",
    derive = "PartialEq",
    derive = "Default",
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.apiOrigin) || self.spec.apiUrl == oldSelf.spec.apiUrl")
        .message("apiUrl is immutable once the Organization has connected: create another Organization instead")
        .field_path(".spec.apiUrl"),
    doc = "The connection to one Amigo organization: its API URL, its credentials, and the namespaces that may use it.",
    printcolumn(name = "Organization", type_ = "string", json_path = ".spec.organization"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Grants", type_ = "integer", json_path = ".status.grants.active"),
    printcolumn(name = "Orphaned", type_ = "integer", json_path = ".status.grants.orphaned", priority = 1),
    printcolumn(name = "Model", type_ = "string", json_path = ".status.permissionModel", priority = 1),
    printcolumn(name = "Key expires", type_ = "string", json_path = ".status.apiKeyExpiresAt", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSpec {
    /// The organization's ID, as in the path `/v1/{organization}/` of the Amigo API.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::organization())]
    #[x_kube(validation = Rule::new("self == oldSelf").message("organization is immutable: create another Organization instead"))]
    pub organization: String,

    /// Base URL of the Amigo API, without a path. The operator must allow its host and scheme; by default, only https.
    /// Immutable once the Organization has connected.
    #[serde(default = "default_api_url")]
    #[schemars(length(min = 8, max = 256))]
    #[x_kube(validation = rules::base_url("apiUrl"))]
    pub api_url: String,

    /// Base URL of the web console. Conversation URLs must have the same host. Default:
    /// `https://{organization}.amigo.ai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 256))]
    #[x_kube(validation = rules::base_url("consoleUrl"))]
    pub console_url: Option<String>,

    /// The Secret in the operator's namespace that contains `apiKey`, `apiKeyId` and `userId`.
    pub credentials_secret_ref: NameReference,

    /// Namespaces that may use this Organization: a list of names, or `*` alone for all. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rules::namespaces())]
    #[x_kube(validation = rules::star_alone())]
    pub allowed_namespaces: Vec<String>,

    /// Defaults and limits for temporary grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantRules>,

    /// Defaults for roles and role assignments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<RoleRules>,

    /// The part of Amigo's rate limits that the operator may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,

    /// Whether the organization's API supports Deny. Detect: the operator reads the roles to find out.
    #[serde(default)]
    pub permission_model: PermissionModelChoice,

    /// Stops every request that changes something at Amigo. The operator still reads, and access still expires.
    #[serde(default)]
    pub suspend: bool,
}

fn default_api_url() -> String {
    "https://api.amigo.ai".to_owned()
}

impl OrganizationSpec {
    /// Whether objects in this namespace may use the Organization.
    #[must_use]
    pub fn admits(&self, namespace: &str) -> bool {
        self.allowed_namespaces.iter().any(|allowed| allowed == "*" || allowed == namespace)
    }
}

/// How the operator chooses the permission model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PermissionModelChoice {
    /// The operator reads the organization's roles to find out.
    #[default]
    Detect,
    /// Grants only allow. The operator never sends a Deny.
    AllowOnly,
    /// Grants carry `action: Allow|Deny`.
    AllowDeny,
}

impl PermissionModelChoice {
    /// The chosen model, or the detected one if the choice is [`Detect`](Self::Detect).
    #[must_use]
    pub fn or_detected<M: From<PermissionModel>>(self, detected: M) -> M {
        match self {
            Self::Detect => detected,
            Self::AllowOnly => PermissionModel::AllowOnly.into(),
            Self::AllowDeny => PermissionModel::AllowDeny.into(),
        }
    }
}

/// Defaults and limits for the temporary grants of an Organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantRules {
    /// Duration of grants that set none. Default: PT2H.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("defaultDuration"))]
    #[x_kube(validation = duration::between("defaultDuration", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub default_duration: Option<String>,

    /// Maximum duration. The operator shortens longer grants to it. Default: P3D.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("maxDuration"))]
    #[x_kube(validation = duration::between("maxDuration", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub max_duration: Option<String>,

    /// `revokeWithin` of grants that set none. Default: unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("revokeWithin"))]
    #[x_kube(validation = duration::between("revokeWithin", duration::SHORTEST_REVOKE_WITHIN, duration::LONGEST_GRANT))]
    pub revoke_within: Option<String>,

    /// `activationDeadline` of grants that set none. Default: PT1H.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("activationDeadline"))]
    #[x_kube(validation = duration::between("activationDeadline", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub activation_deadline: Option<String>,
}

/// Defaults for the roles and role assignments of an Organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRules {
    /// How often the operator compares roles and assignments at Amigo with their objects. Default: PT10M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("resyncInterval"))]
    #[x_kube(validation = duration::between("resyncInterval", jiff::SignedDuration::from_secs(5), jiff::SignedDuration::from_hours(24)))]
    pub resync_interval: Option<String>,

    /// What the operator does when somebody else changes a role at Amigo.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
}

/// What the operator does when somebody else changes a role at Amigo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// The operator restores the spec.
    #[default]
    Correct,
    /// The operator reports the change in the Ready condition and keeps it.
    Report,
}

/// The part of Amigo's documented rate limits that the operator may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Percentage of every documented limit. Default: 80. The rest is for users and for a restart of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub share: Option<u8>,

    /// Requests per minute by endpoint, instead of the share of the documented limit. Endpoints: `sign_in`,
    /// `organization`, `api_keys`, `list_roles`, `create_role`, `modify_role`, `assign_role`, `create_grant`,
    /// `list_grants`, `conversations`, `users`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::endpoints())]
    #[x_kube(validation = rules::requests_per_minute())]
    pub limits: BTreeMap<String, u32>,
}

/// The observed state of an Organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationStatus {
    /// The generation of the spec that the operator last reconciled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The scheme, host and port of the Amigo API that the operator connected to. It fixes `spec.apiUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub api_origin: Option<String>,

    /// The organization's ID, as reported by Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,

    /// The organization's name, as reported by Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_name: Option<String>,

    /// The ID of the user that the operator signs in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_user_id: Option<String>,

    /// Whether the API supports Deny: `AllowDeny` or `AllowOnly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_model: Option<PermissionModel>,

    /// When the API key expires. Unset if the operator's user cannot see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_expires_at: Option<Timestamp>,

    /// The number of roles at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<RoleCounts>,

    /// The number of live temporary grants at Amigo: those of objects now, the others at the last sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantCounts>,

    /// When the operator last completed a sweep of all temporary grants at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sweep_time: Option<Timestamp>,

    /// The last value of the annotation `permissions.amigo.ai/resync` that the operator handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_resync: Option<String>,

    /// Conditions: Ready, CredentialsValid and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The number of roles at Amigo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleCounts {
    /// Roles that the operator's user can see.
    pub visible: u32,
    /// Roles with a Role object in this cluster.
    pub managed: u32,
}

/// The number of live temporary grants at Amigo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantCounts {
    /// All live grants that the operator's user can see.
    pub active: u32,
    /// Live grants that belong to an object in this cluster.
    pub managed: u32,
    /// Live grants of this cluster's operator that belong to no object.
    pub orphaned: u32,
    /// Live grants that this cluster's operator did not issue.
    pub unmanaged: u32,
}
