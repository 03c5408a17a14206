//! Creates the state from a seed and checks every reference.

use amigo_permissions::Action;
use jiff::{SignedDuration, Timestamp};

use super::{
    ids::{Ids, is_document_id},
    seed::{ApiKeySeed, ConversationSeed, GrantSeed, MessageSeed, OrganizationSeed, RoleSeed, SeedError, UserSeed},
    state::{ApiKey, Conversation, Message, Organization, PermissionModel, RoleDocument, User},
};

const DEFAULT_KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 90);

pub(super) fn seed_organization(
    seed: OrganizationSeed,
    ids: &mut Ids,
    now: Timestamp,
) -> Result<Organization, SeedError> {
    let mut organization = Organization {
        id: seed.id,
        name: seed.name,
        tenant_id: seed.tenant_id,
        default_preferences: seed.default_user_preferences,
        model: seed.model,
        behavior: seed.behavior,
        keys: Vec::new(),
        tokens: [].into(),
        roles: Vec::new(),
        users: Vec::new(),
        grants: Vec::new(),
        conversations: Vec::new(),
    };
    for role in seed.roles {
        organization.add_role(role, ids)?;
    }
    for user in seed.users {
        organization.add_user(user)?;
    }
    for key in seed.api_keys {
        organization.add_key(key, ids, now)?;
    }
    for conversation in seed.conversations {
        organization.add_conversation(conversation, ids, now)?;
    }
    Ok(organization)
}

impl Organization {
    pub(super) fn add_role(&mut self, seed: RoleSeed, ids: &mut Ids) -> Result<(), SeedError> {
        if self.role(&seed.name).is_some() {
            return Err(self.duplicate("role", seed.name));
        }
        let denies = seed.permission_grants.iter().any(|grant| grant.action == Action::Deny);
        if denies && self.model == PermissionModel::AllowOnly {
            return Err(SeedError::DenyInAllowOnly { organization: self.id.clone(), role: seed.name });
        }
        let id = self.document_id("role", seed.id, ids)?;
        self.roles.push(RoleDocument {
            id,
            name: seed.name,
            description: seed.description,
            frontend_view: seed.frontend_view,
            permission_grants: seed.permission_grants.iter().map(GrantSeed::grant).collect(),
            grant_descriptions: seed.permission_grants.into_iter().map(|grant| grant.description).collect(),
            is_base_role: false,
            replaced_at: None,
        });
        Ok(())
    }

    pub(super) fn add_user(&mut self, seed: UserSeed) -> Result<(), SeedError> {
        if self.user(&seed.id).is_some() {
            return Err(self.duplicate("user", seed.id));
        }
        if self.users.iter().any(|user| user.email.eq_ignore_ascii_case(&seed.email)) {
            return Err(self.duplicate("email", seed.email));
        }
        let role_id = self.role_id(&seed.role, &format!("user {}", seed.id))?;
        self.users.push(User {
            user_id: seed.id,
            first_name: seed.first_name,
            last_name: seed.last_name,
            email: seed.email,
            role_id,
            preferences: seed.preferences,
            nonsensitive_variables: [].into(),
            sensitive_variables: Vec::new(),
        });
        Ok(())
    }

    fn add_key(&mut self, seed: ApiKeySeed, ids: &mut Ids, now: Timestamp) -> Result<(), SeedError> {
        if self.keys.iter().any(|key| key.key_id == seed.id) {
            return Err(self.duplicate("API key", seed.id));
        }
        let holder = format!("API key {}", seed.id);
        let role_id = self.role_id(&seed.role, &holder)?;
        self.check_user(&seed.creator, &holder)?;
        self.keys.push(ApiKey {
            document_id: ids.document(),
            key_id: seed.id,
            secret: seed.secret,
            name: seed.name,
            role_id,
            creator: seed.creator,
            created_at: now,
            expires_at: seed.expires_at.unwrap_or_else(|| now.saturating_add(DEFAULT_KEY_LIFETIME).unwrap_or(now)),
        });
        Ok(())
    }

    pub(super) fn add_conversation(
        &mut self,
        seed: ConversationSeed,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Result<(), SeedError> {
        if self.conversation(&seed.id).is_some() {
            return Err(self.duplicate("conversation", seed.id));
        }
        self.check_user(&seed.user_id, &format!("conversation {}", seed.id))?;
        let created_at = seed.created_at.unwrap_or(now);
        let interaction = ids.document();
        let messages = seed.messages.into_iter();
        let messages: Result<Vec<_>, _> =
            messages.map(|message| self.message(message, &interaction, created_at, ids)).collect();
        let messages = messages?;
        let mut insights = seed.insights;
        for message in &messages {
            insights.entry(message.interaction_id.clone()).or_default();
        }
        let conversation = Conversation {
            id: self.document_id("conversation", Some(seed.id), ids)?,
            user_id: seed.user_id,
            created_at,
            is_finished: seed.is_finished,
            is_analyzed: seed.is_analyzed,
            completed_post_processings: seed.completed_post_processings,
            service_id: self.document_id("service", seed.service_id, ids)?,
            version_set_info: seed.version_set_info,
            tags: seed.tags,
            messages,
            insights,
        };
        self.conversations.push(conversation);
        Ok(())
    }

    fn message(
        &self,
        seed: MessageSeed,
        interaction: &str,
        created_at: Timestamp,
        ids: &mut Ids,
    ) -> Result<Message, SeedError> {
        let interaction = seed.interaction_id.unwrap_or_else(|| interaction.to_owned());
        Ok(Message {
            id: self.document_id("message", seed.id, ids)?,
            interaction_id: self.document_id("interaction", Some(interaction), ids)?,
            created_at: seed.created_at.unwrap_or(created_at),
            sender: seed.sender,
            message: seed.message,
            format: seed.format,
            message_type: seed.message_type,
        })
    }

    fn document_id(&self, kind: &'static str, id: Option<String>, ids: &mut Ids) -> Result<String, SeedError> {
        match id {
            None => Ok(ids.document()),
            Some(id) if is_document_id(&id) => Ok(id),
            Some(id) => Err(SeedError::BadId { organization: self.id.clone(), kind, id }),
        }
    }

    fn role_id(&self, name: &str, user: &str) -> Result<String, SeedError> {
        self.role(name).map(|role| role.id.clone()).ok_or_else(|| self.unknown(user, "role", name))
    }

    fn check_user(&self, id: &str, user: &str) -> Result<(), SeedError> {
        self.user(id).map(|_| ()).ok_or_else(|| self.unknown(user, "user", id))
    }

    fn unknown(&self, user: &str, kind: &'static str, name: &str) -> SeedError {
        let (organization, user, name) = (self.id.clone(), user.to_owned(), name.to_owned());
        SeedError::Unknown { organization, user, kind, name }
    }

    fn duplicate(&self, kind: &'static str, name: String) -> SeedError {
        SeedError::Duplicate { organization: self.id.clone(), kind, name }
    }
}
