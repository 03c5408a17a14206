//! Organizations with their users, roles, grants, keys and conversations.

use std::collections::BTreeMap;

use amigo_permissions::{Action, Conditions, PermissionGrant};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::behavior::Behavior;

/// How long a replaced role document is kept.
const REPLACED_ROLE_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The permission model of an organization's API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionModel {
    /// The current API document: grants only allow, and `action` is an unknown field.
    #[default]
    AllowOnly,
    /// The guide: every grant has an `action`, Allow or Deny.
    AllowDeny,
}

/// The UI of a role's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrontendView {
    Client,
    Admin,
}

/// A role document. Replaced documents of the same name are kept for a day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleDocument {
    /// 24 hexadecimal digits. A new document has a new id.
    pub id: String,
    /// The stable key of the role.
    pub name: String,
    pub description: String,
    pub frontend_view: FrontendView,
    #[serde(skip)]
    pub permission_grants: Vec<PermissionGrant>,
    /// By the index of the grant. Only in the `AllowDeny` model.
    #[serde(skip)]
    pub(super) grant_descriptions: Vec<Option<String>>,
    /// Only in the `AllowDeny` model.
    pub is_base_role: bool,
    /// When a new document replaced this one, which expires a day later.
    pub replaced_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    pub enable_response_recommendation: bool,
    pub preferred_language: Option<String>,
    pub conversations_visible_to_admins: bool,
    pub user_model_visible_to_admins: bool,
    pub timezone: Option<String>,
    pub audio_keyterms: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct User {
    pub user_id: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub role_id: String,
    pub preferences: Preferences,
    pub nonsensitive_variables: BTreeMap<String, String>,
    /// Only the names; the sandbox discards the values.
    pub sensitive_variables: Vec<String>,
}

/// A temporary grant, active or expired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TemporaryGrant {
    /// 24 hexadecimal digits.
    pub id: String,
    pub user_id: String,
    #[serde(skip)]
    pub permission_grant: PermissionGrant,
    pub created_at: Timestamp,
    /// The first instant at which the grant is no longer effective.
    pub expires_at: Timestamp,
    pub justification: String,
    /// The id of the user who created it.
    pub creator: String,
    pub tags: BTreeMap<String, Option<String>>,
}

#[derive(Clone, Debug)]
pub(super) struct ApiKey {
    pub(super) document_id: String,
    pub(super) key_id: String,
    pub(super) secret: SecretString,
    pub(super) name: Option<String>,
    pub(super) role_id: String,
    pub(super) creator: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) user_id: String,
    pub(super) expires_at: Timestamp,
}

/// A conversation with its messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversation {
    pub id: String,
    /// The id of the owner.
    pub user_id: String,
    pub created_at: Timestamp,
    pub is_finished: bool,
    pub is_analyzed: bool,
    pub completed_post_processings: Vec<PostProcessing>,
    pub service_id: String,
    pub version_set_info: Option<Value>,
    pub tags: BTreeMap<String, Option<String>>,
    pub messages: Vec<Message>,
    /// By interaction id.
    pub insights: BTreeMap<String, Insights>,
}

/// A processing step after a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PostProcessing {
    GenerateUserModels,
    ExtractMemories,
    ComputeMetrics,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    pub id: String,
    pub interaction_id: String,
    pub created_at: Timestamp,
    pub sender: String,
    pub message: String,
    pub format: MessageFormat,
    pub message_type: MessageType,
}

/// The channel of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageFormat {
    #[default]
    Text,
    Voice,
}

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageType {
    UserMessage,
    AgentMessage,
    AgentInnerThought,
    ExternalEvent,
}

/// The agent's reasoning in one interaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Insights {
    pub current_state_name: String,
    pub current_state_action: String,
    pub current_state_objective: String,
    pub state_transition_logs: Vec<Value>,
    pub working_memory: Vec<Value>,
    pub reflections: Vec<String>,
    pub triggered_dynamic_behavior_set_version_info: Option<(String, i64)>,
    pub select_next_action_tool_call_logs: Vec<Vec<Value>>,
    pub engage_user_tool_call_logs: Vec<Vec<Value>>,
}

#[derive(Debug)]
pub(super) struct Organization {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) tenant_id: Option<String>,
    pub(super) default_preferences: Preferences,
    pub(super) model: PermissionModel,
    pub(super) behavior: Behavior,
    pub(super) keys: Vec<ApiKey>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) roles: Vec<RoleDocument>,
    pub(super) users: Vec<User>,
    pub(super) grants: Vec<TemporaryGrant>,
    pub(super) conversations: Vec<Conversation>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            enable_response_recommendation: false,
            preferred_language: None,
            conversations_visible_to_admins: true,
            user_model_visible_to_admins: true,
            timezone: None,
            audio_keyterms: Vec::new(),
        }
    }
}

impl RoleDocument {
    fn is_kept(&self, now: Timestamp) -> bool {
        self.replaced_at.is_none_or(|replaced_at| now.duration_since(replaced_at) < REPLACED_ROLE_LIFETIME)
    }
}

impl TemporaryGrant {
    #[must_use]
    pub fn permission_name(&self) -> &str {
        &self.permission_grant.permission_name
    }

    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.permission_grant.conditions
    }

    /// Always Allow in a correct request.
    #[must_use]
    pub fn action(&self) -> Action {
        self.permission_grant.action
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}

impl Organization {
    pub(super) fn user(&self, user_id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.user_id == user_id)
    }

    pub(super) fn user_mut(&mut self, user_id: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.user_id == user_id)
    }

    /// The current document of the name.
    pub(super) fn role(&self, name: &str) -> Option<&RoleDocument> {
        self.roles.iter().find(|role| role.name == name && role.replaced_at.is_none())
    }

    pub(super) fn role_by_id(&self, id: &str) -> Option<&RoleDocument> {
        self.roles.iter().find(|role| role.id == id)
    }

    pub(super) fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversations.iter().find(|conversation| conversation.id == id)
    }

    /// The role documents that listings contain.
    pub(super) fn listed_roles(&self, now: Timestamp) -> impl Iterator<Item = &RoleDocument> {
        let replaced_too = self.behavior.old_role_visible;
        self.roles.iter().filter(move |role| role.is_kept(now) && (replaced_too || role.replaced_at.is_none()))
    }

    /// Replaces the current document of the same name and moves its users and keys to `new`.
    pub(super) fn replace_role(&mut self, new: RoleDocument, now: Timestamp) {
        let Some(old) = self.roles.iter_mut().find(|role| role.name == new.name && role.replaced_at.is_none()) else {
            return self.roles.push(new);
        };
        old.replaced_at = Some(now);
        let old_id = old.id.clone();
        for user in self.users.iter_mut().filter(|user| user.role_id == old_id) {
            user.role_id.clone_from(&new.id);
        }
        for key in self.keys.iter_mut().filter(|key| key.role_id == old_id) {
            key.role_id.clone_from(&new.id);
        }
        self.roles.push(new);
    }

    /// Removes expired objects that no listing contains.
    pub(super) fn remove_expired(&mut self, now: Timestamp) {
        self.tokens.retain(|_, token| now < token.expires_at);
        self.roles.retain(|role| role.is_kept(now));
        if let Some(listed_for) = self.behavior.expired_grants_listed_for {
            self.grants.retain(|grant| now.duration_since(grant.expires_at) < listed_for);
        }
    }
}
