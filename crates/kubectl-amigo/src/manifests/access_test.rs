//! The file format of access tests.

use std::collections::BTreeMap;

use amigo_api::PermissionModel;
use amigo_permissions::{Conditions, Value};
use serde::{Deserialize, Serialize};

/// The kind of an access test, in the group and version of the other kinds.
pub const KIND: &str = "AccessTest";

/// Cases that share a role, a caller and attributes. Values of a case take precedence.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTest {
    pub metadata: Option<Metadata>,
    /// The role under test: the name of a Role object in the manifests, or of the role at Amigo.
    pub role: Option<String>,
    /// The permission model of the organization's API. With `AllowOnly`, a Deny does not limit temporary grants.
    /// Default: the model in the Organization's manifest, else `AllowDeny`.
    pub permission_model: Option<PermissionModel>,
    #[serde(default)]
    pub caller: CallerSpec,
    /// The active temporary grants.
    #[serde(default)]
    pub grants: Vec<GrantSpec>,
    /// The resource attributes of every case.
    #[serde(default)]
    pub attributes: AttributeSpec,
    pub cases: Vec<Case>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// The name of the test in reports.
    pub name: String,
}

/// One permission check and its expected result.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    pub name: String,
    /// Replaces the role of the document.
    pub role: Option<String>,
    /// Overrides the caller of the document, field by field.
    #[serde(default)]
    pub caller: CallerSpec,
    /// Added to the grants of the document.
    #[serde(default)]
    pub grants: Vec<GrantSpec>,
    /// `Category:Action`.
    pub permission: String,
    /// Overrides the attributes of the document, one by one.
    #[serde(default)]
    pub attributes: AttributeSpec,
    pub expect: Expectation,
    /// The expected reason.
    pub because: Option<Reason>,
    /// The expected decisive grant: its description, `permissionGrants[N]`, or the name of a temporary grant. For
    /// `ConditionFailed`, the attribute of the failed condition.
    pub by: Option<String>,
}

/// Attribute to value. `null` removes an attribute, also the default `org_id`.
pub type AttributeSpec = BTreeMap<String, Option<Value>>;

/// The caller of a check.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerSpec {
    /// The value of `{self}`.
    pub user_id: Option<String>,
    /// The value of `{self_org_id}`.
    pub org_id: Option<String>,
    /// The value of `{self_role_name}`. Default: the role's name at Amigo.
    pub role_name: Option<String>,
}

/// An active temporary grant: `name`, or `permissionName` with `conditions`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantSpec {
    /// The name of a `TemporaryPermissionGrant` object in the manifests.
    pub name: Option<String>,
    /// The owner of the conversation, if the object does not name it.
    pub owner_user_id: Option<String>,
    pub permission_name: Option<String>,
    #[serde(default)]
    pub conditions: Conditions,
}

/// The expected result of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expectation {
    Allowed,
    Denied,
}

/// Why a check allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// A grant of the role allows it.
    RoleGrant,
    /// A temporary grant allows it.
    TemporaryGrant,
    /// A Deny grant matches, and Deny takes precedence.
    DenyGrant,
    /// Every Allow grant of the permission has a condition that is not met.
    ConditionFailed,
    /// The permission has no Allow grant.
    NoGrant,
}

impl AccessTest {
    /// The document's name, else the role's.
    pub fn name(&self) -> &str {
        let name = self.metadata.as_ref().map(|metadata| metadata.name.as_str());
        name.or(self.role.as_deref()).unwrap_or("access")
    }
}
