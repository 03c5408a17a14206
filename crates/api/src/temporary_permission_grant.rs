//! `TemporaryPermissionGrant`: access for one user, for a time, with a reason.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NameReference, PermissionSpec, UserReference, duration, rules};

/// Access for one user, for a time, with a reason. The object is deleted when the time is over.
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
    doc = "Access for one user, for a time, with a reason. The object is deleted when the time is over.",
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user.email"),
    printcolumn(name = "User id", type_ = "string", json_path = ".status.userId", priority = 1),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Requested by", type_ = "string", json_path = ".spec.requestedBy", priority = 1),
    printcolumn(name = "Justification", type_ = "string", json_path = ".spec.justification", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("the spec of a grant is immutable: delete this object and create another"))]
#[x_kube(validation = Rule::new("has(self.conversation) != has(self.permissions)").message("set exactly one of conversation and permissions"))]
pub struct TemporaryPermissionGrantSpec {
    /// The Organization that issues the access.
    pub organization_ref: NameReference,

    /// Who gets the access.
    pub user: UserReference,

    /// Why; kept at Amigo as the audit record. At least 10 characters, a ticket number helps.
    #[schemars(length(min = 10, max = 1024))]
    #[x_kube(validation = Rule::new("self.trim().size() >= 10").message("justification must have at least 10 characters besides spaces at its ends"))]
    pub justification: String,

    /// How long, from the moment of issue: ISO 8601 from PT1M to P3D, such as PT30M, P1D, P1DT12H.
    /// Default: the Organization's `grants.defaultDuration`, PT2H.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("duration"))]
    #[x_kube(validation = duration::between("duration", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub duration: Option<String>,

    /// Access to read the conversations of one owner. Opens all conversations of that owner: the
    /// API has no condition on a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationReference>,

    /// 1 to 20 permissions under conditions, all issued or reported together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub permissions: Option<Vec<PermissionSpec>>,

    /// Deleting the object ends access within this time, at least PT5M. Unset: access that was
    /// issued goes on to its end, because the API cannot take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("revokeWithin"))]
    #[x_kube(validation = duration::between("revokeWithin", duration::SHORTEST_REVOKE_WITHIN, duration::LONGEST_GRANT))]
    pub revoke_within: Option<String>,

    /// Issued by creation plus this, or never. Default: the Organization's, PT1H.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("activationDeadline"))]
    #[x_kube(validation = duration::between("activationDeadline", duration::SHORTEST_GRANT, duration::LONGEST_GRANT))]
    pub activation_deadline: Option<String>,

    /// No access after this moment, whatever the duration says. A copy of the object that is
    /// created again later does not come alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,

    /// How long the ended object is kept. Default PT0S.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = duration::shaped("ttlAfterExpiry"))]
    #[x_kube(validation = duration::between("ttlAfterExpiry", jiff::SignedDuration::ZERO, jiff::SignedDuration::from_hours(8760)))]
    pub ttl_after_expiry: Option<String>,

    /// Who asked; the admission policy makes it the authenticated user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub requested_by: Option<String>,
}

/// A conversation, or its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.id), has(self.url), has(self.ownerUserId)].filter(set, set).size() == 1")
    .message("set exactly one of conversation.id, conversation.url and conversation.ownerUserId"))]
pub struct ConversationReference {
    /// The conversation's id, 24 hexadecimal digits. Its owner is looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = rules::conversation_id())]
    pub id: Option<String>,

    /// The conversation's page in the web console: `https://{organization}.amigo.ai/admin/conversation/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::conversation_url())]
    pub url: Option<String>,

    /// The owner's user id, where it is known: no look-up is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::opaque_id("ownerUserId"))]
    pub owner_user_id: Option<String>,
}

/// What is known of a grant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporaryPermissionGrantStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// For people: Pending, Issuing, Active, Expired or Failed. Programs read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// The remote organization that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,

    /// The id of the user who gets the access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,

    /// The id of the user whose conversations are opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_owner_user_id: Option<String>,

    /// When the first attempt began; the duration counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,

    /// When access ends at the latest. Never moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,

    /// Deleting the object ends access within this time: what the spec or its Organization said when
    /// the first attempt began. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub revoke_within: Option<String>,

    /// When the access that was issued ends, as Amigo said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,

    /// The number of the last attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,

    /// The records at Amigo that are live for this object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub grants: Vec<IssuedGrant>,

    /// The attempt whose outcome is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,

    /// Ready, Issued and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The phase of a grant, derived from its conditions for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing was issued yet.
    Pending,
    /// An attempt is under way.
    Issuing,
    /// Access is live.
    Active,
    /// The time is over.
    Expired,
    /// It was never issued and never will be.
    Failed,
}

/// One record at Amigo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedGrant {
    /// The permission.
    pub permission_name: String,

    /// The record's id at Amigo.
    pub id: String,

    /// When the attempt began that made it.
    pub issued_at: Timestamp,

    /// When the record ends, as Amigo said.
    pub expires_at: Timestamp,

    /// Which permission of the request it fills, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slot: u32,

    /// Which lease of the request it belongs to, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lease: u32,
}

/// An attempt written down before its first request leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The attempt's number, from 1.
    pub attempt: u32,

    /// Random, 16 hexadecimal digits; every record of the attempt carries it.
    #[schemars(length(max = 16))]
    pub nonce: String,

    /// The operator process that made the attempt.
    #[schemars(length(max = 253))]
    pub holder: String,

    /// When the attempt began.
    pub opened_at: Timestamp,

    /// The duration it asks for.
    #[schemars(length(max = 32))]
    pub duration: String,

    /// The lease the attempt is for, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lease: u32,

    /// The permissions whose outcome is open, counted from 0.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub slots: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
