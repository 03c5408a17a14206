//! A listed role as a Role that adopts it.

use std::collections::BTreeSet;

use amigo_api::{NameReference, Role, RoleGrant, RoleSpec};
use amigo_client::{PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole};
use serde_json::Value;

use super::Place;

/// The longest name this gives to an object; the API server takes more, people do not.
const LONGEST_NAME: usize = 63;

/// The most grants, and the most conditions of a grant, that a Role may have.
const MOST: (usize, usize) = (256, 16);

/// Stands where Amigo has no description: a Role must have one.
const NO_DESCRIPTION: &str = "Has no description at Amigo: say here what the role is for";

/// A manifest, and what to say of it.
#[derive(Debug)]
pub struct Exported {
    /// The Role.
    pub manifest: Value,
    /// What its reader must know.
    pub remarks: Vec<String>,
}

/// Why there is no manifest.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The role is one of Amigo's own.
    Own,
    /// No Role can say what it is.
    Unmanageable(String),
}

/// The names of objects given so far.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// An object's name after a role's: what Kubernetes does not take becomes `-`, and a second of one name is numbered.
    pub fn after(&mut self, role: &str) -> String {
        let mut base = words(role).join("-");
        base.truncate(LONGEST_NAME - 4);
        let base = if base.is_empty() { "role" } else { base.trim_end_matches('-') };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = std::iter::once(base.to_owned()).chain(numbered).find(|name| !self.0.contains(name));
        let name = free.unwrap_or_default();
        self.0.insert(name.clone());
        name
    }
}

/// The words of a name in lower case: a capital after a small letter begins one.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && spaced.ends_with(|before: char| before.is_ascii_lowercase()) {
            spaced.push(' ');
        }
        spaced.push(if letter.is_ascii_alphanumeric() { letter } else { ' ' });
    }
    spaced.split_whitespace().map(str::to_ascii_lowercase).collect()
}

/// The manifest of a role.
pub fn export(role: &RemoteRole, place: &Place, names: &mut Names) -> Result<Exported, Refusal> {
    if role.name.starts_with("Default") {
        return Err(Refusal::Own);
    }
    let grants = grants(role, place.model)?;
    let Some(frontend_view) = role.frontend_view else {
        return unmanageable("its front end is one that this version does not know");
    };
    if !is_usable(&role.name) {
        return unmanageable("its name has a slash, blanks at its ends, or more than 256 characters");
    }
    let (description, mut remarks) = (role.description.trim(), Vec::new());
    if description.chars().count() > 1024 {
        return unmanageable("its description has more than 1024 characters: shorten it at Amigo");
    }
    if description.is_empty() {
        remarks.push(format!(
            "role {} has no description at Amigo, and a Role must have one: write it into the manifest, and set \
             adoption to Override for Amigo to get it",
            role.name
        ));
    }
    let object = names.after(&role.name);
    let spec = RoleSpec {
        organization_ref: NameReference { name: place.organization.clone() },
        role_name: (object != role.name).then(|| role.name.clone()),
        description: if description.is_empty() { NO_DESCRIPTION } else { description }.to_owned(),
        frontend_view,
        permission_grants: grants,
        ..RoleSpec::default()
    };
    let mut manifest = Role::new(&object, spec);
    manifest.metadata.namespace.clone_from(&place.namespace);
    let manifest = serde_json::to_value(manifest).map_err(|error| Refusal::Unmanageable(error.to_string()))?;
    Ok(Exported { manifest: brief(manifest, place.model), remarks })
}

fn grants(role: &RemoteRole, model: PermissionModel) -> Result<Vec<RoleGrant>, Refusal> {
    let grants = match &role.grants {
        RemoteGrants::Understood(grants) => grants,
        RemoteGrants::Raw { reason, .. } => return unmanageable(&format!("its grants are not understood: {reason}")),
    };
    if grants.len() > MOST.0 || grants.iter().any(|grant| grant.conditions.len() > MOST.1) {
        let message = format!("it has more than {} grants, or a grant with more than {} conditions", MOST.0, MOST.1);
        return unmanageable(&message);
    }
    if let Some(strange) = grants.iter().find(|grant| !is_permission(&grant.permission_name)) {
        return unmanageable(&format!("{:?} is not written Category:Action", strange.permission_name));
    }
    let line = |grant: &RemotePermissionGrant| RoleGrant {
        action: grant.action.unwrap_or_default(),
        permission_name: grant.permission_name.clone(),
        conditions: grant.conditions.clone(),
        description: grant.description.clone().filter(|_| model == PermissionModel::AllowDeny),
    };
    Ok(grants.iter().map(line).collect())
}

fn unmanageable<T>(why: &str) -> Result<T, Refusal> {
    Err(Refusal::Unmanageable(why.to_owned()))
}

/// Whether the schema takes it as a roleName.
fn is_usable(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains('/') && name.chars().count() <= 256
}

/// Whether the schema takes it as a permissionName.
fn is_permission(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && word.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    name.len() <= 128 && name.split_once(':').is_some_and(|(category, action)| is_word(category) && is_word(action))
}

/// Without the members that say what is the case anyway; `adoption` stays, as it is what the manifest is about.
fn brief(mut manifest: Value, model: PermissionModel) -> Value {
    let Some(spec) = manifest["spec"].as_object_mut() else { return manifest };
    spec.retain(|member, _| !matches!(member.as_str(), "deletionPolicy" | "suspend"));
    if model == PermissionModel::AllowOnly
        && let Some(grants) = spec.get_mut("permissionGrants").and_then(Value::as_array_mut)
    {
        for grant in grants.iter_mut().filter_map(Value::as_object_mut) {
            grant.retain(|member, value| member != "action" || value != "Allow");
        }
    }
    manifest
}
