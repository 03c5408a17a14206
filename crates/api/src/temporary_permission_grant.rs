//! `TemporaryPermissionGrant`: time-boxed access for one user, with a justification.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NameReference, PermissionSpec, UserReference, duration, rules};

/// Time-boxed access for one user, with a justification. The operator deletes the object after expiry.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "permissions.amigo.ai",
    version = "v1alpha1",
    kind = "TemporaryPermissionGrant",
    plural = "temporarypermissiongrants",
    namespaced,
    shortname = "tpg",
    category = "amigo",
    status = "TemporaryPermissionGrantStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Time-boxed access for one user, with a justification. The operator deletes the object after expiry.",
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user.email"),
    printcolumn(name = "User ID", type_ = "string", json_path = ".status.userId", priority = 1),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Requested by", type_ = "string", json_path = ".spec.requestedBy", priority = 1),
    printcolumn(name = "Justification", type_ = "string", json_path = ".spec.justification", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("the spec of a grant is immutable: delete the grant and create another"))]
#[x_kube(validation = Rule::new("has(self.conversation) != has(self.permissions)").message("set exactly one of conversation and permissions"))]
pub struct TemporaryPermissionGrantSpec {
    /// The Organization that issues the access.
    pub organization_ref: NameReference,

    /// The user who gets the access.
    pub user: UserReference,

    /// The reason for the access, at least 10 characters, ideally with a ticket number. Amigo keeps it for audits.
    #[schemars(length(min = 10, max = 1024))]
    #[x_kube(validation = rules::visible(10, "justification must be at least 10 visible characters after trimming"))]
    #[x_kube(validation = rules::no_turning("justification"))]
    pub justification: String,

    /// How long the access lasts, from the moment of issue: ISO 8601 from PT1M to P3D, such as PT30M, P1D or P1DT12H.
    /// Default: the Organization's `grants.defaultDuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("duration"))]
    #[x_kube(validation = duration::between("duration", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub duration: Option<String>,

    /// Access to read the conversations of one owner. It covers all conversations of that owner, because the API cannot
    /// restrict access to a single conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationReference>,

    /// 1 to 20 permissions with conditions. The operator issues them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = rules::conditions_in_total("permissions", 32))]
    pub permissions: Option<Vec<PermissionSpec>>,

    /// The access ends at most this long after the object is deleted, at least PT5M. Default: the Organization's
    /// `grants.revokeWithin`. Unset: the access lasts until it expires, because the API cannot revoke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("revokeWithin"))]
    #[x_kube(validation = duration::between("revokeWithin", duration::SHORTEST_REVOKE_WITHIN, duration::LONGEST_GRANT))]
    pub revoke_within: Option<String>,

    /// How long after its creation the operator may issue the grant. Default: the Organization's
    /// `grants.activationDeadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("activationDeadline"))]
    #[x_kube(validation = duration::between("activationDeadline", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub activation_deadline: Option<String>,

    /// No access after this time, regardless of the duration. A backup of the object restored later grants no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 35))]
    #[x_kube(validation = rules::time("notAfter"))]
    pub not_after: Option<Timestamp>,

    /// How long the operator keeps the object after the access expires. Default: PT0S.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("ttlAfterExpiry"))]
    #[x_kube(validation = duration::between("ttlAfterExpiry", jiff::SignedDuration::ZERO, jiff::SignedDuration::from_hours(8760)))]
    pub ttl_after_expiry: Option<String>,

    /// The user who requested the access. The admission policy requires the authenticated user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub requested_by: Option<String>,
}

/// A conversation or its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.id), has(self.url), has(self.ownerUserId)].filter(set, set).size() == 1")
    .message("set exactly one of conversation.id, conversation.url and conversation.ownerUserId"))]
pub struct ConversationReference {
    /// The conversation's ID, 24 hexadecimal digits. The operator looks up its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = rules::conversation_id())]
    pub id: Option<String>,

    /// The URL of the conversation in the web console: `https://{organization}.amigo.ai/admin/conversation/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::conversation_url())]
    pub url: Option<String>,

    /// The owner's user ID. The operator looks up no conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::opaque_id("ownerUserId"))]
    pub owner_user_id: Option<String>,
}

/// The observed state of a TemporaryPermissionGrant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporaryPermissionGrantStatus {
    /// The generation of the spec that the operator last reconciled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// A summary for users: Pending, Issuing, Active, Expired or Failed. Programs should read the conditions instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// The ID of the organization at Amigo that the operator requested the access from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,

    /// The scheme, host and port of the Amigo API that the operator requested the access from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub api_origin: Option<String>,

    /// The ID of the user who gets the access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,

    /// The ID of the user whose conversations the access covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_owner_user_id: Option<String>,

    /// When the first attempt started. The duration starts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,

    /// The latest end of the access. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,

    /// The access ends at most this long after the object is deleted. The operator copies it from the spec or the
    /// Organization at the first attempt. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub revoke_within: Option<String>,

    /// When the issued access expires, as reported by Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,

    /// The number of attempts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,

    /// The live records at Amigo for this object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub grants: Vec<IssuedGrant>,

    /// The attempt whose outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,

    /// Conditions: Ready, Issued and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A summary of the conditions for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Amigo has not issued the access yet.
    Pending,
    /// An attempt is in progress.
    Issuing,
    /// The access is live.
    Active,
    /// The access expired.
    Expired,
    /// The operator gave up before Amigo issued any access.
    Failed,
}

/// One record at Amigo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedGrant {
    /// `Category:Action`, for example `Conversation:GetMessage`.
    pub permission_name: String,

    /// The record's ID at Amigo.
    pub id: String,

    /// When the attempt that created the record started.
    pub issued_at: Timestamp,

    /// When the record expires, as reported by Amigo.
    pub expires_at: Timestamp,

    /// The index of the permission in the request, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slot: u32,

    /// The number of the lease that the record belongs to, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lease: u32,
}

/// An attempt. The operator writes it to the status before it sends the first request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The attempt's number, from 1.
    pub attempt: u32,

    /// 16 random hexadecimal digits. Every record of the attempt contains them.
    #[schemars(length(max = 16))]
    pub nonce: String,

    /// The identity of the operator process that makes the attempt.
    #[schemars(length(max = 253))]
    pub holder: String,

    /// The ID of the user that the operator signs in as: the creator of the attempt's records at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub creator_user_id: Option<String>,

    /// When the attempt started.
    pub opened_at: Timestamp,

    /// The requested duration.
    #[schemars(length(max = 32))]
    pub duration: String,

    /// The number of the lease that the attempt is for, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lease: u32,

    /// The indexes of the permissions with an unknown outcome, from 0.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub slots: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
