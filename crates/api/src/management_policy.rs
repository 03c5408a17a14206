//! Whether the operator may change what an object describes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the operator changes Amigo to match an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// The operator changes Amigo to match the object.
    #[default]
    Manage,
    /// The operator compares Amigo with the object, reports differences and changes nothing.
    Observe,
}
