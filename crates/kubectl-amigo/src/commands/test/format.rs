//! The file format of access tests: what a role must allow and deny.

use std::collections::BTreeMap;

use amigo_api::PermissionModel;
use amigo_permissions::{Conditions, Value};
use serde::{Deserialize, Serialize};

use crate::verdict::Reason;

/// The kind of a document that holds access tests, in the group and version of the other kinds.
pub const KIND: &str = "AccessTest";

/// One document: cases that share a role, a caller and attributes. What a case sets itself comes first.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTest {
    /// What the document is called.
    pub metadata: Option<Metadata>,
    /// The role under test: the name of a Role object of the manifests, or of the role at Amigo.
    pub role: Option<String>,
    /// What the organization's API knows. Under `AllowOnly` a Deny of the role takes nothing from temporary grants.
    /// Default: what the Organization's manifest says, else `AllowDeny`.
    pub permission_model: Option<PermissionModel>,
    /// Who asks.
    #[serde(default)]
    pub caller: CallerSpec,
    /// The temporary grants that are live.
    #[serde(default)]
    pub grants: Vec<GrantSpec>,
    /// What is asked about, in every case.
    #[serde(default)]
    pub attributes: AttributeSpec,
    /// The cases, in their order.
    pub cases: Vec<Case>,
}

/// What a document is called.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// Its name, for reports.
    pub name: String,
}

/// One question and the answer it must get.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// What the case shows, in words.
    pub name: String,
    /// In place of the document's role.
    pub role: Option<String>,
    /// Added to the document's caller.
    #[serde(default)]
    pub caller: CallerSpec,
    /// Live besides the document's grants.
    #[serde(default)]
    pub grants: Vec<GrantSpec>,
    /// `Category:Action`.
    pub permission: String,
    /// Added to the document's attributes.
    #[serde(default)]
    pub attributes: AttributeSpec,
    /// The answer.
    pub expect: Expectation,
    /// Why it must be so.
    pub because: Option<Reason>,
    /// By what it must be so: a grant's description, `permissionGrants[N]`, the name of a temporary grant, or the
    /// attribute whose condition failed.
    pub by: Option<String>,
}

/// Attribute to value. `null` takes one away, also `org_id`, which is else the caller's organization.
pub type AttributeSpec = BTreeMap<String, Option<Value>>;

/// Who asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerSpec {
    /// The value of `{self}`.
    pub user_id: Option<String>,
    /// The value of `{self_org_id}`.
    pub org_id: Option<String>,
    /// The value of `{self_role_name}`; the role's name at Amigo unless set.
    pub role_name: Option<String>,
}

/// A temporary grant that is live.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantSpec {
    /// The name of a `TemporaryPermissionGrant` object of the manifests.
    pub name: Option<String>,
    /// With `name`, for a conversation: who owns it.
    pub owner_user_id: Option<String>,
    /// Without `name`: the permission.
    pub permission_name: Option<String>,
    /// With `permissionName`: when it applies.
    #[serde(default)]
    pub conditions: Conditions,
}

/// The answer that a case wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expectation {
    /// The caller may.
    Allowed,
    /// The caller may not.
    Denied,
}

impl AccessTest {
    /// The document's name, or the role's.
    #[must_use]
    pub fn name(&self) -> &str {
        let named = self.metadata.as_ref().map(|metadata| metadata.name.as_str());
        named.or(self.role.as_deref()).unwrap_or("access")
    }
}
