//! `Organization`: the connection to one Amigo organization.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NameReference, duration, rules};

/// The connection to one Amigo organization: where it is, who signs in, and which namespaces may use it.
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
    doc = "The connection to one Amigo organization: where it is, who signs in, and which namespaces may use it.",
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
    /// The organization's id, as in the path `/v1/{organization}/` of the Amigo API.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::organization())]
    #[x_kube(validation = Rule::new("self == oldSelf").message("organization is immutable: create another Organization instead"))]
    pub organization: String,

    /// Base URL of the Amigo API, without a path. https only, and a host the operator allows.
    #[serde(default = "default_api_url")]
    #[schemars(length(min = 8, max = 256))]
    #[x_kube(validation = rules::base_url("apiUrl"))]
    pub api_url: String,

    /// Base URL of the web console, whose host conversation URLs must have. Default: `https://{organization}.amigo.ai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 256))]
    #[x_kube(validation = rules::base_url("consoleUrl"))]
    pub console_url: Option<String>,

    /// The Secret in the operator's namespace that holds `apiKey`, `apiKeyId` and `userId`.
    pub credentials_secret_ref: NameReference,

    /// Namespaces that may use this Organization: names, or `*` alone for all. Empty means none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rules::namespaces())]
    #[x_kube(validation = rules::star_alone())]
    pub allowed_namespaces: Vec<String>,

    /// Rules for temporary grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantRules>,

    /// Rules for roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<RoleRules>,

    /// How much of Amigo's rate limits the operator may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,

    /// Whether the organization's API knows Deny. Detect finds out by reading the roles.
    #[serde(default)]
    pub permission_model: PermissionModelChoice,

    /// Stops every call that changes anything at Amigo. Reading and expiry go on.
    #[serde(default)]
    pub suspend: bool,
}

fn default_api_url() -> String {
    "https://api.amigo.ai".to_owned()
}

impl OrganizationSpec {
    /// Whether objects of this namespace may use the Organization.
    #[must_use]
    pub fn admits(&self, namespace: &str) -> bool {
        self.allowed_namespaces.iter().any(|allowed| allowed == "*" || allowed == namespace)
    }
}

/// How the permission model is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PermissionModelChoice {
    /// Found out by reading the organization's roles.
    #[default]
    Detect,
    /// Grants only allow; a Deny is never sent.
    AllowOnly,
    /// Grants carry `action: Allow|Deny`.
    AllowDeny,
}

/// Rules for the temporary grants of an Organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantRules {
    /// Duration of a request that names none. Default PT2H.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("defaultDuration"))]
    #[x_kube(validation = duration::between("defaultDuration", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub default_duration: Option<String>,

    /// Longest access; a longer request is cut to it. Default P3D.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("maxDuration"))]
    #[x_kube(validation = duration::between("maxDuration", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub max_duration: Option<String>,

    /// `revokeWithin` of requests that name none. Default: unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("revokeWithin"))]
    #[x_kube(validation = duration::between("revokeWithin", duration::SHORTEST_REVOKE_WITHIN, duration::LONGEST_GRANT))]
    pub revoke_within: Option<String>,

    /// A request not issued by its creation plus this is given up. Default PT1H.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("activationDeadline"))]
    #[x_kube(validation = duration::between("activationDeadline", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub activation_deadline: Option<String>,
}

/// Rules for the roles of an Organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRules {
    /// How often remote roles and assignments are compared with their objects. Default PT10M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("resyncInterval"))]
    #[x_kube(validation = duration::between("resyncInterval", jiff::SignedDuration::from_secs(5), jiff::SignedDuration::from_hours(24)))]
    pub resync_interval: Option<String>,

    /// What happens when a remote role was changed by somebody else.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
}

/// What happens when the remote side was changed by somebody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// It is set back to the spec.
    #[default]
    Correct,
    /// It is reported in the Ready condition and left.
    Report,
}

/// How much of Amigo's documented rate limits the operator may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Percent of every documented limit. Default 80; the rest is for people and for a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub share: Option<u8>,

    /// Calls a minute for single endpoints, in place of the share of the documented limit. Endpoints: `sign_in`,
    /// `organization`, `api_keys`, `list_roles`, `create_role`, `modify_role`, `assign_role`, `create_grant`,
    /// `list_grants`, `conversations`, `users`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::endpoints())]
    #[x_kube(validation = rules::calls_a_minute())]
    pub limits: BTreeMap<String, u32>,
}

/// What is known of an organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The organization's id as Amigo gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,

    /// The organization's name as Amigo gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_name: Option<String>,

    /// The user the operator signs in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_user_id: Option<String>,

    /// Whether the API knows Deny: `AllowDeny` or `AllowOnly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_model: Option<PermissionModelStatus>,

    /// When the API key ends, where the operator's user may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_expires_at: Option<Timestamp>,

    /// Roles at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<RoleCounts>,

    /// Live temporary grants at Amigo, as the last sweep counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantCounts>,

    /// When the last complete sweep ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sweep_time: Option<Timestamp>,

    /// Ready and CredentialsValid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Whether the organization's API knows Deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PermissionModelStatus {
    /// Grants carry `action: Allow|Deny`.
    AllowDeny,
    /// Grants only allow.
    AllowOnly,
}

/// Roles at Amigo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleCounts {
    /// Roles visible to the operator's user.
    pub visible: u32,
    /// Roles with a Role object in this cluster.
    pub managed: u32,
}

/// Live temporary grants at Amigo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantCounts {
    /// All live grants visible to the operator's user.
    pub active: u32,
    /// Live grants that an object of this cluster explains.
    pub managed: u32,
    /// Live grants of this cluster's operator without an object.
    pub orphaned: u32,
    /// Live grants that this cluster's operator did not issue.
    pub unmanaged: u32,
}
