//! The role to send to Amigo, and its differences from the role at Amigo.

use std::collections::{BTreeMap, BTreeSet};

use amigo_api::RoleSpec;
use amigo_client::{
    FrontendView, NewRole, PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole, RoleChange,
};
use amigo_permissions::{
    Action, Condition, Conditions, DescribedGrant, NoEquivalent, PermissionGrant, compile,
    lint::{self, Draft, Finding},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

/// The role to send to Amigo, without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredRole {
    /// The description of the role.
    pub description: String,
    /// The front end that users of the role see.
    pub frontend_view: FrontendView,
    /// The grants of the role.
    pub grants: Vec<DescribedGrant>,
    /// Whether other roles may build on it; only if the API supports Deny.
    pub is_base_role: Option<bool>,
    /// The permission model of the API.
    pub model: PermissionModel,
    /// How many Deny grants of the spec are not sent, because the Allow grants express them.
    pub compiled_away: usize,
}

/// Lints a role that is called `name` at Amigo.
#[must_use]
pub fn lint(name: &str, spec: &RoleSpec) -> Vec<Finding> {
    let grants: Vec<DescribedGrant> = spec.permission_grants.iter().map(DescribedGrant::from).collect();
    lint::lint(&Draft { name, description: &spec.description, grants: &grants })
}

impl DesiredRole {
    /// The role for an API with this permission model. With [`PermissionModel::AllowOnly`] it has only Allow grants, and
    /// they allow exactly what the spec allows.
    ///
    /// # Errors
    /// [`NoEquivalent`] if the API supports only Allow and a Deny of the spec cannot be compiled away.
    pub fn from_spec(spec: &RoleSpec, model: PermissionModel) -> Result<Self, NoEquivalent> {
        let uncompiled = Self::uncompiled(spec);
        if model == PermissionModel::AllowDeny {
            return Ok(uncompiled);
        }
        let grants: Vec<PermissionGrant> = spec.permission_grants.iter().map(PermissionGrant::from).collect();
        let compiled = compile(&grants)?;
        let undescribed = |grant| DescribedGrant { grant, description: None };
        Ok(Self {
            grants: compiled.grants.into_iter().map(undescribed).collect(),
            is_base_role: None,
            model,
            compiled_away: compiled.denies,
            ..uncompiled
        })
    }

    /// The role for an API that supports Deny: the spec as written.
    #[must_use]
    pub fn uncompiled(spec: &RoleSpec) -> Self {
        Self {
            description: spec.description.trim().to_owned(),
            frontend_view: spec.frontend_view,
            grants: spec.permission_grants.iter().map(DescribedGrant::from).collect(),
            is_base_role: spec.is_base_role,
            model: PermissionModel::AllowDeny,
            compiled_away: 0,
        }
    }

    /// Whether the role has a Deny grant.
    #[must_use]
    pub fn has_deny(&self) -> bool {
        self.grants.iter().any(|line| line.grant.action == Action::Deny)
    }

    /// A digest of each Deny grant.
    #[must_use]
    pub fn denied_digests(&self) -> Vec<String> {
        let denied = self.grants.iter().map(|line| &line.grant).filter(|grant| grant.action == Action::Deny);
        denied.map(|grant| grant_digest(&grant.permission_name, &grant.conditions)).collect()
    }

    /// A digest of the role with its descriptions, stable across versions of this program.
    #[must_use]
    pub fn digest(&self) -> String {
        let grants = normalized(self.grants.iter().cloned());
        encoded_digest(&format!("{}\u{0}{:?}\u{0}{grants:?}", self.description, self.frontend_view))
    }

    /// The digest of what the role does: that of the role at Amigo after this one was sent.
    #[must_use]
    pub fn content_digest(&self) -> String {
        content_digest(&self.to_remote_role("", String::new()), &[])
    }

    /// The request that creates the role.
    #[must_use]
    pub fn to_new_role(&self, name: &str) -> NewRole {
        NewRole {
            name: name.to_owned(),
            description: self.description.clone(),
            frontend_view: self.frontend_view,
            permission_grants: self.grants.clone(),
            is_base_role: self.is_base_role,
            model: self.model,
        }
    }

    /// The change that makes `observed` match, with the names of the changed spec fields.
    ///
    /// The change has only the fields that differ: sending an unchanged immutable field can create a new role document.
    #[must_use]
    pub fn diff(&self, observed: &RemoteRole) -> (RoleChange, Vec<&'static str>) {
        let mut change = RoleChange { model: self.model, ..RoleChange::default() };
        let mut differs = Vec::new();
        if observed.description.trim() != self.description {
            change.description = Some(self.description.clone());
            differs.push("description");
        }
        if observed.frontend_view != Some(self.frontend_view) {
            change.frontend_view = Some(self.frontend_view);
            differs.push("frontendView");
        }
        if !self.grants_match(observed) {
            change.permission_grants = Some(self.grants.clone());
            differs.push("permissionGrants");
        }
        (change, differs)
    }

    /// The role at Amigo after this one was sent.
    #[must_use]
    pub fn to_remote_role(&self, name: &str, id: String) -> RemoteRole {
        let with_action = self.model == PermissionModel::AllowDeny;
        let grant = |line: &DescribedGrant| RemotePermissionGrant {
            action: with_action.then_some(line.grant.action),
            permission_name: line.grant.permission_name.clone(),
            conditions: line.grant.conditions.clone(),
            description: line.description.clone(),
        };
        RemoteRole {
            id,
            name: name.to_owned(),
            description: self.description.clone(),
            frontend_view: Some(self.frontend_view),
            grants: RemoteGrants::Understood(self.grants.iter().map(grant).collect()),
        }
    }

    fn grants_match(&self, observed: &RemoteRole) -> bool {
        let RemoteGrants::Understood(grants) = &observed.grants else { return false };
        // A server that returns no action stores no descriptions either: comparing them would update it forever.
        let keeps_descriptions = grants.iter().any(|grant| grant.action.is_some());
        let comparable = |description: &Option<String>| description.clone().filter(|_| keeps_descriptions);
        let remote = grants.iter().map(|grant| {
            let action = grant.action.unwrap_or_default();
            let (permission_name, conditions) = (grant.permission_name.clone(), grant.conditions.clone());
            let description = comparable(&grant.description);
            DescribedGrant { grant: PermissionGrant { action, permission_name, conditions }, description }
        });
        let desired = self
            .grants
            .iter()
            .map(|line| DescribedGrant { grant: line.grant.clone(), description: comparable(&line.description) });
        normalized(remote) == normalized(desired)
    }
}

/// A digest of a role at Amigo: its description, front end and grants, without the descriptions of grants, which not
/// every API keeps. A grant without an action is a Deny if its [`grant_digest`] is in `denied`.
#[must_use]
pub fn content_digest(role: &RemoteRole, denied: &[String]) -> String {
    let action = |grant: &RemotePermissionGrant| {
        let is_denied = || denied.contains(&grant_digest(&grant.permission_name, &grant.conditions));
        grant.action.unwrap_or_else(|| if is_denied() { Action::Deny } else { Action::Allow })
    };
    let grants = match &role.grants {
        RemoteGrants::Understood(grants) => {
            let line = |grant: &RemotePermissionGrant| {
                format!("{:?}\u{0}{}\u{0}{}", action(grant), grant.permission_name, text_of(&grant.conditions))
            };
            grants.iter().map(line).collect::<BTreeSet<_>>()
        }
        RemoteGrants::Raw { value, .. } => [value.to_string()].into(),
    };
    encoded_digest(&format!("{}\u{0}{:?}\u{0}{grants:?}", role.description.trim(), role.frontend_view))
}

/// A digest of a grant without its action, stable across versions of this program.
#[must_use]
pub fn grant_digest(permission_name: &str, conditions: &Conditions) -> String {
    encoded_digest(&format!("{permission_name}\u{0}{}", text_of(conditions)))
}

fn encoded_digest(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

fn text_of(conditions: &Conditions) -> String {
    conditions
        .iter()
        .fold(String::new(), |text, (name, condition)| text + name + "\u{0}" + &text_of_condition(condition) + "\u{0}")
}

/// The values of an `In` are a set.
fn text_of_condition(condition: &Condition) -> String {
    match condition {
        Condition::In { values } => {
            let values: BTreeSet<String> =
                values.iter().map(|value| serde_json::to_string(value).unwrap_or_default()).collect();
            format!("In {values:?}")
        }
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// A list of grants without order and duplicates.
fn normalized(grants: impl Iterator<Item = DescribedGrant>) -> BTreeMap<(String, String), Option<String>> {
    let key = |grant: &PermissionGrant| {
        (grant.permission_name.clone(), format!("{:?}\u{0}{}", grant.action, text_of(&grant.conditions)))
    };
    let line = |line: DescribedGrant| (key(&line.grant), line.description.filter(|text| !text.trim().is_empty()));
    grants.map(line).collect()
}
