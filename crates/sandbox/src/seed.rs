//! What the sandbox starts with, read from YAML. See `examples/sandbox.yaml`.

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

/// The seed that is built in: a copy of `examples/sandbox.yaml`.
const EXAMPLE: &str = include_str!("../../../examples/sandbox.yaml");

/// Everything the sandbox starts with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The organizations, each with its own users, roles and conversations.
    pub organizations: Vec<OrganizationSeed>,
}

/// One organization.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationSeed {
    /// The `{organization}` path segment.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Shown to callers with `Organization:GetOrganizationDetails`.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// For invited users without their own.
    #[serde(default)]
    pub default_user_preferences: Preferences,
    /// Which permission model the API speaks. Default `AllowOnly`.
    #[serde(default)]
    pub model: PermissionModel,
    /// The answers to open questions.
    #[serde(default)]
    pub behavior: Behavior,
    /// The API keys.
    #[serde(default)]
    pub api_keys: Vec<ApiKeySeed>,
    /// The roles.
    pub roles: Vec<RoleSeed>,
    /// The users.
    pub users: Vec<UserSeed>,
    /// The conversations.
    #[serde(default)]
    pub conversations: Vec<ConversationSeed>,
}

/// One API key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySeed {
    /// The `x-api-key-id`.
    pub id: String,
    /// The `x-api-key`.
    #[serde(deserialize_with = "secret")]
    pub secret: SecretString,
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The role's name: the key signs in users up to this role.
    pub role: String,
    /// The user who made the key.
    pub creator: String,
    /// Default 90 days after the start.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// One role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSeed {
    /// The role's name.
    pub name: String,
    /// Default random.
    #[serde(default)]
    pub id: Option<String>,
    /// What it is for.
    pub description: String,
    /// Default `admin`.
    #[serde(default = "admin")]
    pub frontend_view: FrontendView,
    /// What it allows and denies.
    #[serde(default)]
    pub permission_grants: Vec<GrantSeed>,
}

/// One grant of a role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantSeed {
    /// `Category:Action`.
    pub permission_name: String,
    /// Default none, which means always.
    #[serde(default)]
    pub conditions: Conditions,
    /// Default Allow; Deny needs the model `AllowDeny`.
    #[serde(default)]
    pub action: Action,
    /// Only shown in the model `AllowDeny`.
    #[serde(default)]
    pub description: Option<String>,
}

/// One user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSeed {
    /// The user id.
    pub id: String,
    /// Unique in the organization.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// The role's name.
    pub role: String,
    /// Default: all visible to admins.
    #[serde(default)]
    pub preferences: Preferences,
}

/// One conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationSeed {
    /// 24 lower-case hexadecimal digits.
    pub id: String,
    /// The owner's user id.
    pub user_id: String,
    /// Default the start of the sandbox.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Default true.
    #[serde(default = "yes")]
    pub is_finished: bool,
    /// Default true.
    #[serde(default = "yes")]
    pub is_analyzed: bool,
    /// Default none.
    #[serde(default)]
    pub completed_post_processings: Vec<PostProcessing>,
    /// Default random.
    #[serde(default)]
    pub service_id: Option<String>,
    /// Default null.
    #[serde(default)]
    pub version_set_info: Option<Value>,
    /// Default none.
    #[serde(default)]
    pub tags: BTreeMap<String, Option<String>>,
    /// In order.
    #[serde(default)]
    pub messages: Vec<MessageSeed>,
    /// By interaction id; an interaction of a message without an entry has empty insights.
    #[serde(default)]
    pub insights: BTreeMap<String, Insights>,
}

/// One message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSeed {
    /// Default random.
    #[serde(default)]
    pub id: Option<String>,
    /// Default: a random one, shared by the conversation's messages that name none.
    #[serde(default)]
    pub interaction_id: Option<String>,
    /// Default the conversation's.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Who speaks.
    pub sender: String,
    /// What is said.
    pub message: String,
    /// Default text.
    #[serde(default)]
    pub format: MessageFormat,
    /// What kind of message it is.
    pub message_type: MessageType,
}

/// Why a seed cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SeedError {
    #[error("the seed is not readable: {0}")]
    Syntax(String),
    #[error("organization {organization}: {kind} {name} appears twice")]
    Duplicate { organization: String, kind: &'static str, name: String },
    #[error("organization {organization}: {user} names {kind} {name}, which does not exist")]
    Unknown { organization: String, user: String, kind: &'static str, name: String },
    #[error("organization {organization}: {kind} id {id:?} is not 24 lower-case hexadecimal digits")]
    BadId { organization: String, kind: &'static str, id: String },
    #[error("organization {organization}: role {role} denies, which the model AllowOnly cannot express")]
    DenyInAllowOnly { organization: String, role: String },
    #[error("there is no organization {0}")]
    NoOrganization(String),
    #[error("organization {organization}: there is no {kind} {name}")]
    NotThere { organization: String, kind: &'static str, name: String },
}

impl Seed {
    /// Reads a seed.
    ///
    /// # Errors
    /// [`SeedError::Syntax`] if the text is not YAML, or has a member that no seed has. References between the
    /// parts are checked when the sandbox is built.
    pub fn from_yaml(text: &str) -> Result<Self, SeedError> {
        serde_saphyr::from_str(text).map_err(|error| SeedError::Syntax(error.to_string()))
    }

    /// The built-in seed, `examples/sandbox.yaml`.
    ///
    /// # Errors
    /// None in a build whose tests passed; see [`Seed::from_yaml`].
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
