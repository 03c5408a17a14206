//! The initial data of the sandbox, as YAML. See `examples/sandbox.yaml`.

use std::collections::BTreeMap;

use amigo_permissions::{Action, Conditions, PermissionGrant};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use thiserror::Error;

use super::{
    behavior::Behavior,
    state::{FrontendView, Insights, MessageFormat, MessageType, PermissionModel, PostProcessing, Preferences},
};

const EXAMPLE: &str = include_str!("../../../examples/sandbox.yaml");

/// The initial data of the sandbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub organizations: Vec<OrganizationSeed>,
}

/// An organization with its users, roles and conversations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationSeed {
    /// The `{organization}` path segment.
    pub id: String,
    /// The display name.
    pub name: String,
    /// Only visible with `Organization:GetOrganizationDetails`.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The preferences of invited users who set none.
    #[serde(default)]
    pub default_user_preferences: Preferences,
    /// The permission model. Default: `AllowOnly`.
    #[serde(default)]
    pub model: PermissionModel,
    /// API behavior that Amigo does not document.
    #[serde(default)]
    pub behavior: Behavior,
    #[serde(default)]
    pub api_keys: Vec<ApiKeySeed>,
    pub roles: Vec<RoleSeed>,
    pub users: Vec<UserSeed>,
    #[serde(default)]
    pub conversations: Vec<ConversationSeed>,
}

/// An API key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySeed {
    /// The value of the header `x-api-key-id`.
    pub id: String,
    /// The value of the header `x-api-key`.
    #[serde(deserialize_with = "secret")]
    pub secret: SecretString,
    /// The display name.
    #[serde(default)]
    pub name: Option<String>,
    /// The name of a role. The key signs in users whose role does not exceed this one.
    pub role: String,
    /// The id of the user who created the key.
    pub creator: String,
    /// Default: 90 days after the sandbox starts.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSeed {
    pub name: String,
    /// Default: random.
    #[serde(default)]
    pub id: Option<String>,
    pub description: String,
    /// Default: `admin`.
    #[serde(default = "admin")]
    pub frontend_view: FrontendView,
    /// Default: none.
    #[serde(default)]
    pub permission_grants: Vec<GrantSeed>,
}

/// A permission grant of a role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantSeed {
    /// `Category:Action`.
    pub permission_name: String,
    /// Default: no conditions.
    #[serde(default)]
    pub conditions: Conditions,
    /// Default: Allow. Deny requires the model `AllowDeny`.
    #[serde(default)]
    pub action: Action,
    /// Only visible in the model `AllowDeny`.
    #[serde(default)]
    pub description: Option<String>,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSeed {
    pub id: String,
    /// Must be unique in the organization.
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    /// The name of a role.
    pub role: String,
    /// Default: administrators see everything.
    #[serde(default)]
    pub preferences: Preferences,
}

/// A conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationSeed {
    /// 24 lower-case hexadecimal digits.
    pub id: String,
    /// The id of the user who owns the conversation.
    pub user_id: String,
    /// Default: when the sandbox starts.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Default: true.
    #[serde(default = "yes")]
    pub is_finished: bool,
    /// Default: true.
    #[serde(default = "yes")]
    pub is_analyzed: bool,
    /// Default: none.
    #[serde(default)]
    pub completed_post_processings: Vec<PostProcessing>,
    /// Default: random.
    #[serde(default)]
    pub service_id: Option<String>,
    /// Default: null.
    #[serde(default)]
    pub version_set_info: Option<Value>,
    /// Default: none.
    #[serde(default)]
    pub tags: BTreeMap<String, Option<String>>,
    /// The messages, in order.
    #[serde(default)]
    pub messages: Vec<MessageSeed>,
    /// By interaction id. Interactions without an entry have empty insights.
    #[serde(default)]
    pub insights: BTreeMap<String, Insights>,
}

/// A message of a conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSeed {
    /// Default: random.
    #[serde(default)]
    pub id: Option<String>,
    /// Default: a random id, shared by all messages of the conversation that set none.
    #[serde(default)]
    pub interaction_id: Option<String>,
    /// Default: the time of the conversation.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    pub sender: String,
    pub message: String,
    /// Default: text.
    #[serde(default)]
    pub format: MessageFormat,
    pub message_type: MessageType,
}

/// A seed that the sandbox cannot use.
#[derive(Debug, Error)]
pub enum SeedError {
    #[error("cannot parse the seed: {0}")]
    Syntax(String),
    #[error("organization {organization}: duplicate {kind} {name}")]
    Duplicate { organization: String, kind: &'static str, name: String },
    #[error("organization {organization}: {user} refers to {kind} {name}, which does not exist")]
    Unknown { organization: String, user: String, kind: &'static str, name: String },
    #[error("organization {organization}: {kind} id {id:?} must be 24 lower-case hexadecimal digits")]
    BadId { organization: String, kind: &'static str, id: String },
    #[error(
        "organization {organization}: role {role} has a deny grant, which the model AllowOnly does not support; use AllowDeny"
    )]
    DenyInAllowOnly { organization: String, role: String },
    #[error("organization {0} does not exist")]
    OrganizationNotFound(String),
    #[error("organization {organization}: {kind} {name} does not exist")]
    NotFound { organization: String, kind: &'static str, name: String },
}

impl Seed {
    /// Parses a seed. [`crate::Sandbox::new`] checks the references in it.
    ///
    /// # Errors
    /// [`SeedError::Syntax`] if the text is not YAML or contains an unknown field.
    pub fn from_yaml(text: &str) -> Result<Self, SeedError> {
        serde_saphyr::from_str(text).map_err(|error| SeedError::Syntax(error.to_string()))
    }

    /// The built-in seed, `examples/sandbox.yaml`.
    ///
    /// # Errors
    /// See [`Seed::from_yaml`]; the tests prove that the example parses.
    pub fn example() -> Result<Self, SeedError> {
        Self::from_yaml(EXAMPLE)
    }
}

impl GrantSeed {
    pub(super) fn grant(&self) -> PermissionGrant {
        PermissionGrant {
            action: self.action,
            permission_name: self.permission_name.clone(),
            conditions: self.conditions.clone(),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn admin() -> FrontendView {
    FrontendView::Admin
}

fn yes() -> bool {
    true
}
