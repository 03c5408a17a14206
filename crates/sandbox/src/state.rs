//! What the sandbox knows: organizations with their users, roles, grants, keys and conversations.

use std::collections::BTreeMap;

use amigo_permissions::{Action, Conditions, PermissionGrant};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::behavior::Behavior;

/// How long a replaced role document lives on.
const REPLACED_ROLE_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// Which permission model the organization's API speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionModel {
    /// Today's document: grants only allow; `action` is an unknown member.
    #[default]
    AllowOnly,
    /// The guide: every grant carries `action`, Allow or Deny.
    AllowDeny,
}

/// Which UI the users of a role see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrontendView {
    /// The client's UI.
    Client,
    /// The administrator's UI.
    Admin,
}

/// One role document. Several may share a name while replaced ones live on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleDocument {
    /// 24 hexadecimal digits; changes when the role is replaced.
    pub id: String,
    /// The name, the role's lasting key.
    pub name: String,
    /// What the role is for.
    pub description: String,
    /// Which UI its users see.
    pub frontend_view: FrontendView,
    /// What it allows and denies.
    #[serde(skip)]
    pub permission_grants: Vec<PermissionGrant>,
    /// The text of each grant, by the grant's index; only in the `AllowDeny` model.
    #[serde(skip)]
    pub(super) grant_descriptions: Vec<Option<String>>,
    /// Only in the `AllowDeny` model.
    pub is_base_role: bool,
    /// When a new document took over; this one expires a day later.
    pub replaced_at: Option<Timestamp>,
}

/// A user's preferences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the members are named as in the API")]
pub struct Preferences {
    pub enable_response_recommendation: bool,
    pub preferred_language: Option<String>,
    pub conversations_visible_to_admins: bool,
    pub user_model_visible_to_admins: bool,
    pub timezone: Option<String>,
    pub audio_keyterms: Vec<String>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the members are named as in the API")]
pub struct User {
    pub user_id: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub role_id: String,
    pub preferences: Preferences,
    pub nonsensitive_variables: BTreeMap<String, String>,
    /// The names only; the sandbox forgets the values.
    pub sensitive_variables: Vec<String>,
}

/// A temporary grant, live or expired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TemporaryGrant {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Who received it.
    pub user_id: String,
    /// What it gives.
    #[serde(skip)]
    pub permission_grant: PermissionGrant,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends: it gives nothing from this instant on.
    pub expires_at: Timestamp,
    /// Why.
    pub justification: String,
    /// Who made it.
    pub creator: String,
    /// Free tags.
    pub tags: BTreeMap<String, Option<String>>,
}

/// An API key.
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

/// Whom a token signs in, and until when.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) user_id: String,
    pub(super) expires_at: Timestamp,
}

/// A conversation with its messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the members are named as in the API")]
pub struct Conversation {
    pub id: String,
    /// The owner.
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

/// What ran after a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the values are named as in the API")]
pub enum PostProcessing {
    GenerateUserModels,
    ExtractMemories,
    ComputeMetrics,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the members are named as in the API")]
pub struct Message {
    pub id: String,
    pub interaction_id: String,
    pub created_at: Timestamp,
    pub sender: String,
    pub message: String,
    pub format: MessageFormat,
    pub message_type: MessageType,
}

/// How a message was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the values are named as in the API")]
pub enum MessageFormat {
    #[default]
    Text,
    Voice,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the values are named as in the API")]
pub enum MessageType {
    UserMessage,
    AgentMessage,
    AgentInnerThought,
    ExternalEvent,
}

/// What the agent went through in one interaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the members are named as in the API")]
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

/// One organization and everything in it.
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
    fn is_alive(&self, now: Timestamp) -> bool {
        self.replaced_at.is_none_or(|replaced_at| now.duration_since(replaced_at) < REPLACED_ROLE_LIFETIME)
    }
}

impl TemporaryGrant {
    /// What the grant gives, by its name.
    #[must_use]
    pub fn permission_name(&self) -> &str {
        &self.permission_grant.permission_name
    }

    /// Under which conditions the grant gives.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.permission_grant.conditions
    }

    /// Whether the grant allows, which a temporary grant always should.
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

    /// The document in force under the name.
    pub(super) fn role(&self, name: &str) -> Option<&RoleDocument> {
        self.roles.iter().find(|role| role.name == name && role.replaced_at.is_none())
    }

    pub(super) fn role_by_id(&self, id: &str) -> Option<&RoleDocument> {
        self.roles.iter().find(|role| role.id == id)
    }

    pub(super) fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversations.iter().find(|conversation| conversation.id == id)
    }

    /// The role documents a listing may show.
    pub(super) fn listed_roles(&self, now: Timestamp) -> impl Iterator<Item = &RoleDocument> {
        let replaced_too = self.behavior.old_role_visible;
        self.roles.iter().filter(move |role| role.is_alive(now) && (replaced_too || role.replaced_at.is_none()))
    }

    /// Puts `new` in the place of the document in force under its name; users and keys move along.
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

    /// Forgets what has expired and is no longer shown to anyone.
    pub(super) fn forget_expired(&mut self, now: Timestamp) {
        self.tokens.retain(|_, token| now < token.expires_at);
        self.roles.retain(|role| role.is_alive(now));
        if let Some(listed_for) = self.behavior.expired_grants_listed_for {
            self.grants.retain(|grant| now.duration_since(grant.expires_at) < listed_for);
        }
    }
}
