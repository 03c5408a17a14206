//! How objects name each other and Amigo's users. No reference crosses a namespace.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Names an object: an Organization, a Role of the same namespace, or a Secret of the operator's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameReference {
    /// The object's `metadata.name`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
}

/// A user of the Organization, by e-mail or by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.email) != has(self.userId)").message("set exactly one of user.email and user.userId"))]
pub struct UserReference {
    /// The user's e-mail address; looked up once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = rules::email())]
    pub email: Option<String>,

    /// The user's id in Amigo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::opaque_id("userId"))]
    pub user_id: Option<String>,
}

impl UserReference {
    /// The e-mail or the id, for messages.
    #[must_use]
    pub fn label(&self) -> &str {
        self.email.as_deref().or(self.user_id.as_deref()).unwrap_or("(nobody)")
    }
}
