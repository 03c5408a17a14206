//! References to objects and to Amigo users. No reference crosses a namespace.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// A reference by name to an Organization, a Role in the same namespace, or a Secret in the operator's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameReference {
    /// The `metadata.name` of the object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
}

/// A user of the organization, by email address or ID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.email) != has(self.userId)").message("set exactly one of user.email and user.userId"))]
pub struct UserReference {
    /// The user's email address. The operator looks up the user once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = rules::email())]
    pub email: Option<String>,

    /// The user's ID at Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::opaque_id("userId"))]
    pub user_id: Option<String>,
}

impl UserReference {
    /// The email address or the ID, for messages.
    #[must_use]
    pub fn label(&self) -> &str {
        self.email.as_deref().or(self.user_id.as_deref()).unwrap_or("(nobody)")
    }
}
