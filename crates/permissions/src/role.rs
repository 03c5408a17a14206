//! Attributes of roles and organizations that manifests and the API share.

use serde::{Deserialize, Serialize};

// The guide documents grants with `action` and `description`, and the API document has neither. A server that ignores an
// unknown `action` turns a Deny into an Allow.
/// Whether the organization's API supports Deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum PermissionModel {
    /// Grants have `action: Allow` or `action: Deny`.
    AllowDeny,
    /// Grants only allow. Requests contain no `action` and no `description`. The safe default.
    #[default]
    AllowOnly,
}

/// The web front end that users with a role see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FrontendView {
    /// The front end for those who talk to Amigo.
    #[default]
    Client,
    /// The front end for administrators.
    Admin,
}
