//! Permissions as manifests write them.

use amigo_permissions::Conditions;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// One requested permission and its conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionSpec {
    /// `Category:Action`, for example `Conversation:GetMessage`.
    #[schemars(length(min = 3, max = 128))]
    #[x_kube(validation = rules::permission_name())]
    pub permission_name: String,

    /// Conditions by attribute, for example `org_id`. The permission applies when all are met. Empty: it always
    /// applies.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = rules::attribute_names())]
    pub conditions: Conditions,
}
