//! `RoleAssignment`: the role of a user.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{ManagementPolicy, NameReference, UserReference, rules};

/// The role of one Amigo user. Every user has exactly one role.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "permissions.amigo.ai",
    version = "v1alpha1",
    kind = "RoleAssignment",
    plural = "roleassignments",
    namespaced,
    shortname = "amra",
    category = "amigo",
    status = "RoleAssignmentStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "The role of one Amigo user. Every user has exactly one role.",
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user.email"),
    printcolumn(name = "User ID", type_ = "string", json_path = ".status.userId", priority = 1),
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
#[x_kube(validation = Rule::new("has(self.roleRef) != has(self.roleName)").message("set exactly one of roleRef (a Role object) and roleName (a role at Amigo)"))]
pub struct RoleAssignmentSpec {
    /// The Organization the user belongs to.
    #[x_kube(validation = Rule::new("self == oldSelf").message("organizationRef is immutable: create another RoleAssignment instead"))]
    pub organization_ref: NameReference,

    /// The Role in this namespace to assign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_ref: Option<NameReference>,

    /// The name of a role at Amigo that no Role object manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::role_name())]
    pub role_name: Option<String>,

    /// The user who gets the role.
    #[x_kube(validation = Rule::new("self == oldSelf").message("user is immutable: create another RoleAssignment instead"))]
    pub user: UserReference,

    /// The role that the operator assigns when the object is deleted. Unset: the user keeps the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::role_name())]
    pub fallback_role_name: Option<String>,

    /// Whether the operator assigns the role, or only reports whether the user has it.
    #[serde(default)]
    pub management_policy: ManagementPolicy,

    /// Stops every change to the role of this user.
    #[serde(default)]
    pub suspend: bool,
}

/// The observed state of a RoleAssignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignmentStatus {
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

    /// The user's ID at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,

    /// The role that the user last had because of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,

    /// The role that the operator is assigning. Until Amigo responds, the user may already have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigning: Option<String>,

    /// The last value of the annotation `permissions.amigo.ai/resync` that the operator handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_resync: Option<String>,

    /// Conditions: Ready and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
