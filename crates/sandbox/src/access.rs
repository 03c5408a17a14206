//! Authorization: the permission check and the role hierarchy.

use std::borrow::Cow;

use amigo_permissions::{Attributes, Caller, Condition, PermissionGrant, Privilege, Value, bind, compare, evaluate};
use jiff::Timestamp;

use super::{
    behavior::Hierarchy,
    errors::ApiError,
    state::{Conversation, Organization, RoleDocument, User},
};

/// A caller's role and active temporary grants.
pub(super) struct Rights<'a> {
    organization: &'a Organization,
    pub(super) role: &'a RoleDocument,
    user_id: &'a str,
    temporary: Vec<Cow<'a, PermissionGrant>>,
}

impl<'a> Rights<'a> {
    /// The caller's rights at `now`, if the user and its role exist.
    pub(super) fn new(organization: &'a Organization, user_id: &str, now: Timestamp) -> Result<Self, ApiError> {
        let user = organization.user(user_id).ok_or(ApiError::Unauthorized)?;
        let role = organization.role_by_id(&user.role_id).ok_or(ApiError::Unauthorized)?;
        let behavior = &organization.behavior;
        let active = organization.grants.iter().filter(|grant| {
            let effective = now.duration_since(grant.created_at) >= behavior.grant_propagation;
            grant.user_id == user_id && effective && !grant.is_expired(now)
        });
        let temporary = active
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

    pub(super) fn require(&self, permission_name: &'static str, attributes: &Attributes) -> Result<(), ApiError> {
        if self.allow(permission_name, attributes) { Ok(()) } else { Err(ApiError::Forbidden(permission_name)) }
    }

    /// Requires that the caller's role outranks a role named `name` with these grants. The caller's temporary grants
    /// do not count.
    pub(super) fn require_rank(
        &self,
        hierarchy: Hierarchy,
        grants: &[PermissionGrant],
        name: &str,
    ) -> Result<(), ApiError> {
        let organization = &self.organization.id;
        let own = Ranked { grants: &self.role.permission_grants, name: &self.role.name };
        if outranks(hierarchy, organization, own, Ranked { grants, name }) { Ok(()) } else { Err(ApiError::Outranked) }
    }
}

/// One side of a privilege comparison.
#[derive(Clone, Copy)]
pub(super) struct Ranked<'a> {
    pub(super) grants: &'a [PermissionGrant],
    /// The role name, the value of `{self_role_name}`.
    pub(super) name: &'a str,
}

impl<'a> From<&'a RoleDocument> for Ranked<'a> {
    fn from(role: &'a RoleDocument) -> Self {
        Self { grants: &role.permission_grants, name: &role.name }
    }
}

/// Whether `above` outranks `below` as `hierarchy` requires.
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

pub(super) fn organization_attributes(organization: &Organization) -> Attributes {
    [("org_id".to_owned(), Value::from(organization.id.as_str()))].into()
}

/// The documented attributes of a conversation and its contents.
pub(super) fn conversation_attributes(organization: &Organization, conversation: &Conversation) -> Attributes {
    let visible =
        organization.user(&conversation.user_id).is_none_or(|owner| owner.preferences.conversations_visible_to_admins);
    let mut attributes = organization_attributes(organization);
    attributes.insert("conversation_user_id".to_owned(), conversation.user_id.as_str().into());
    attributes.insert("conversation_visible_to_admin".to_owned(), visible.into());
    attributes
}

/// The API document names only `org_id`; `user_id` is an assumption.
pub(super) fn user_attributes(organization: &Organization, user: &User) -> Attributes {
    user_id_attributes(organization, &user.user_id)
}

pub(super) fn user_id_attributes(organization: &Organization, user_id: &str) -> Attributes {
    let mut attributes = organization_attributes(organization);
    attributes.insert("user_id".to_owned(), user_id.into());
    attributes
}

/// The API document names only `org_id`; `role_name` is an assumption that follows `{self_role_name}`.
pub(super) fn role_attributes(organization: &Organization, role_name: &str) -> Attributes {
    let mut attributes = organization_attributes(organization);
    attributes.insert("role_name".to_owned(), role_name.into());
    attributes
}

/// Replaces the variables of a grant with text that equals no attribute.
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
