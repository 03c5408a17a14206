//! What a Role object asks for at Amigo, in the words of the API it goes to, and how that differs from what is there.
//! Pure: the controller sends by it, the plugin shows it.
//!
//! # Guarantees
//! Under [`PermissionModel::AllowOnly`] what is wanted has Allow grants only, and means what the spec says: Deny grants
//! are compiled away, or there is nothing that may be sent.

pub mod plan;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use amigo_api::RoleSpec;
use amigo_client::{
    FrontendView, NewRole, PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole, RoleChange,
};
use amigo_permissions::{
    Action, Conditions, DescribedGrant, NoEquivalent, PermissionGrant, compile,
    lint::{self, Draft, Finding},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

/// What is wanted of a role, but for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the role is for.
    pub description: String,
    /// Which front end its users see.
    pub frontend_view: FrontendView,
    /// What it grants.
    pub grants: Vec<DescribedGrant>,
    /// Whether others may build on it; only where the API knows Deny.
    pub is_base_role: Option<bool>,
    /// What the API understands.
    pub model: PermissionModel,
    /// How many Deny grants of the spec are not sent, since the Allow grants say it all without them.
    pub compiled_away: usize,
}

/// What the spec wants of an API that understands `model`.
///
/// # Errors
/// [`NoEquivalent`] if the API knows only Allow and a Deny of the spec cannot be compiled away.
pub fn wanted(spec: &RoleSpec, model: PermissionModel) -> Result<Wanted, NoEquivalent> {
    let as_written = as_written(spec);
    if model == PermissionModel::AllowDeny {
        return Ok(as_written);
    }
    let grants: Vec<PermissionGrant> = spec.permission_grants.iter().map(PermissionGrant::from).collect();
    let compiled = compile(&grants)?;
    let plain = |grant| DescribedGrant { grant, description: None };
    Ok(Wanted {
        grants: compiled.grants.into_iter().map(plain).collect(),
        is_base_role: None,
        model,
        compiled_away: compiled.denies,
        ..as_written
    })
}

/// What the spec wants of an API that knows Deny: all of it, as it is written.
#[must_use]
pub fn as_written(spec: &RoleSpec) -> Wanted {
    Wanted {
        description: spec.description.trim().to_owned(),
        frontend_view: spec.frontend_view,
        grants: spec.permission_grants.iter().map(DescribedGrant::from).collect(),
        is_base_role: spec.is_base_role,
        model: PermissionModel::AllowDeny,
        compiled_away: 0,
    }
}

/// What lint finds in a role that is called `name` at Amigo.
#[must_use]
pub fn lint(name: &str, spec: &RoleSpec) -> Vec<Finding> {
    let grants: Vec<DescribedGrant> = spec.permission_grants.iter().map(DescribedGrant::from).collect();
    lint::lint(&Draft { name, description: &spec.description, grants: &grants })
}

impl Wanted {
    /// Whether any grant denies.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.grants.iter().any(|line| line.grant.action == Action::Deny)
    }

    /// The Deny grants, each in few characters.
    #[must_use]
    pub fn denied_digests(&self) -> Vec<String> {
        let denied = self.grants.iter().map(|line| &line.grant).filter(|grant| grant.action == Action::Deny);
        denied.map(|grant| line_digest(&grant.permission_name, &grant.conditions)).collect()
    }

    /// What is sent, in few characters that are the same in every version of this program.
    #[must_use]
    pub fn digest(&self) -> String {
        let Self { description, frontend_view, grants, is_base_role: _, model, compiled_away: _ } = self;
        let grants = normal(grants.iter().cloned());
        let text = format!("{description}\u{0}{frontend_view:?}\u{0}{model:?}\u{0}{grants:?}");
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }

    /// The role called `name`, to be made.
    #[must_use]
    pub fn creation(&self, name: &str) -> NewRole {
        NewRole {
            name: name.to_owned(),
            description: self.description.clone(),
            frontend_view: self.frontend_view,
            permission_grants: self.grants.clone(),
            is_base_role: self.is_base_role,
            model: self.model,
        }
    }

    /// The members in which `observed` differs, and only those: sending an unchanged immutable one can make a new role
    /// document. With them their names in the spec, for people.
    #[must_use]
    pub fn difference(&self, observed: &RemoteRole) -> (RoleChange, Vec<&'static str>) {
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
        if !self.has_grants_of(observed) {
            change.permission_grants = Some(self.grants.clone());
            differs.push("permissionGrants");
        }
        (change, differs)
    }

    /// The role as it is once it was sent.
    #[must_use]
    pub fn applied(&self, name: &str, id: String) -> RemoteRole {
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

    fn has_grants_of(&self, observed: &RemoteRole) -> bool {
        let RemoteGrants::Understood(grants) = &observed.grants else { return false };
        // A server that shows no action keeps no descriptions either: to compare them would change it for ever.
        let keeps_descriptions = grants.iter().any(|grant| grant.action.is_some());
        let told = |description: &Option<String>| description.clone().filter(|_| keeps_descriptions);
        let there = grants.iter().map(|grant| {
            let action = grant.action.unwrap_or_default();
            let (permission_name, conditions) = (grant.permission_name.clone(), grant.conditions.clone());
            let description = told(&grant.description);
            DescribedGrant { grant: PermissionGrant { action, permission_name, conditions }, description }
        });
        let own = self
            .grants
            .iter()
            .map(|line| DescribedGrant { grant: line.grant.clone(), description: told(&line.description) });
        normal(there) == normal(own)
    }
}

/// What a grant speaks of, whether it gives or takes, in few characters that are the same in every version.
#[must_use]
pub fn line_digest(permission_name: &str, conditions: &Conditions) -> String {
    let text = format!("{permission_name}\u{0}{}", text_of(conditions));
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

fn text_of(conditions: &Conditions) -> String {
    conditions.iter().fold(String::new(), |text, (name, condition)| {
        text + name + "\u{0}" + &serde_json::to_string(condition).unwrap_or_default() + "\u{0}"
    })
}

/// The normal form of a list of grants: order and repetition mean nothing.
fn normal(grants: impl Iterator<Item = DescribedGrant>) -> BTreeMap<(String, String), Option<String>> {
    let key = |grant: &PermissionGrant| {
        (grant.permission_name.clone(), format!("{:?}\u{0}{}", grant.action, text_of(&grant.conditions)))
    };
    let line = |line: DescribedGrant| (key(&line.grant), line.description.filter(|text| !text.trim().is_empty()));
    grants.map(line).collect()
}
