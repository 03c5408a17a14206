//! What a caller may do: the permission check and the role hierarchy.

use std::borrow::Cow;

use amigo_permissions::{Attributes, Caller, Condition, PermissionGrant, Privilege, Value, bind, compare, evaluate};
use jiff::Timestamp;

use super::{
    behavior::Hierarchy,
    errors::Refusal,
    state::{Conversation, Organization, RoleDocument, User},
};

/// One caller's role and live temporary grants.
pub(super) struct Rights<'a> {
    organization: &'a Organization,
    pub(super) role: &'a RoleDocument,
    user_id: &'a str,
    temporary: Vec<Cow<'a, PermissionGrant>>,
}

impl<'a> Rights<'a> {
    /// The caller's rights at `now`; refused if the user or its role is gone.
    pub(super) fn of(organization: &'a Organization, user_id: &str, now: Timestamp) -> Result<Self, Refusal> {
        let user = organization.user(user_id).ok_or(Refusal::Unauthorized)?;
        let role = organization.role_by_id(&user.role_id).ok_or(Refusal::Unauthorized)?;
        let behavior = &organization.behavior;
        let live = organization.grants.iter().filter(|grant| {
            let effective = now.duration_since(grant.created_at) >= behavior.grant_propagation;
            grant.user_id == user_id && effective && !grant.is_expired(now)
        });
        let temporary = live
            .map(|grant| {
                if behavior.variables_in_temporary_grants {
                    Cow::Borrowed(&grant.permission_grant)
                } else {
                    Cow::Owned(with_plain_text(&grant.permission_grant))
                }
            })
            .collect();
        Ok(Self { organization, role, user_id: &user.user_id, temporary })
    }

    pub(super) fn allow(&self, permission_name: &str, attributes: &Attributes) -> bool {
        let caller = Caller { user_id: self.user_id, org_id: &self.organization.id, role_name: &self.role.name };
        let temporary: Vec<&PermissionGrant> = self.temporary.iter().map(AsRef::as_ref).collect();
        evaluate(&self.role.permission_grants, &temporary, caller, permission_name, attributes).is_allowed()
    }

    pub(super) fn require(&self, permission_name: &'static str, attributes: &Attributes) -> Result<(), Refusal> {
        if self.allow(permission_name, attributes) { Ok(()) } else { Err(Refusal::Forbidden(permission_name)) }
    }

    /// Whether the caller's role stands to these grants of a role named `name` as `hierarchy` demands. Temporary
    /// grants never count here.
    pub(super) fn require_rank(
        &self,
        hierarchy: Hierarchy,
        grants: &[PermissionGrant],
        name: &str,
    ) -> Result<(), Refusal> {
        let organization = &self.organization.id;
        let own = Ranked { grants: &self.role.permission_grants, name: &self.role.name };
        if outranks(hierarchy, organization, own, Ranked { grants, name }) { Ok(()) } else { Err(Refusal::Outranked) }
    }
}

/// One side of a comparison of privileges.
#[derive(Clone, Copy)]
pub(super) struct Ranked<'a> {
    pub(super) grants: &'a [PermissionGrant],
    /// The role's name, for `{self_role_name}`.
    pub(super) name: &'a str,
}

impl<'a> From<&'a RoleDocument> for Ranked<'a> {
    fn from(role: &'a RoleDocument) -> Self {
        Self { grants: &role.permission_grants, name: &role.name }
    }
}

/// Whether `above` stands to `below` as `hierarchy` demands.
pub(super) fn outranks(hierarchy: Hierarchy, organization: &str, above: Ranked<'_>, below: Ranked<'_>) -> bool {
    if hierarchy == Hierarchy::Off {
        return true;
    }
    let bound = |side: Ranked<'_>| bind(side.grants, organization, side.name);
    match compare(&bound(above), &bound(below)).privilege {
        Privilege::Greater => true,
        Privilege::Equal => hierarchy == Hierarchy::EqualAllowed,
        Privilege::Less | Privilege::Incomparable => false,
    }
}

/// Attributes of anything that only has an organization.
pub(super) fn organization_attributes(organization: &Organization) -> Attributes {
    [("org_id".to_owned(), Value::from(organization.id.as_str()))].into()
}

/// The three public attributes of a conversation and all that is in it.
pub(super) fn conversation_attributes(organization: &Organization, conversation: &Conversation) -> Attributes {
    let visible =
        organization.user(&conversation.user_id).is_none_or(|owner| owner.preferences.conversations_visible_to_admins);
    let mut attributes = organization_attributes(organization);
    attributes.insert("conversation_user_id".to_owned(), conversation.user_id.as_str().into());
    attributes.insert("conversation_visible_to_admin".to_owned(), visible.into());
    attributes
}

/// Attributes of a user; `user_id` is the sandbox's assumption, the documents name none but `org_id`.
pub(super) fn user_attributes(organization: &Organization, user: &User) -> Attributes {
    user_id_attributes(organization, &user.user_id)
}

pub(super) fn user_id_attributes(organization: &Organization, user_id: &str) -> Attributes {
    let mut attributes = organization_attributes(organization);
    attributes.insert("user_id".to_owned(), user_id.into());
    attributes
}

/// Attributes of a role; `role_name` is the sandbox's assumption, after the variable `{self_role_name}`.
pub(super) fn role_attributes(organization: &Organization, role_name: &str) -> Attributes {
    let mut attributes = organization_attributes(organization);
    attributes.insert("role_name".to_owned(), role_name.into());
    attributes
}

/// The grant with its variables replaced by text that no attribute ever equals.
fn with_plain_text(grant: &PermissionGrant) -> PermissionGrant {
    let mut plain = grant.clone();
    let escape = |value: &mut Value| {
        if let Value::String(text) = value
            && text.starts_with('{')
        {
            text.insert_str(0, "plain text ");
        }
    };
    for condition in plain.conditions.values_mut() {
        match condition {
            Condition::Equals { value } | Condition::NotEquals { value } => escape(value),
            Condition::In { values } => values.iter_mut().for_each(escape),
        }
    }
    plain
}
