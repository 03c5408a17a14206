//! The manifest that adopts a role.

use std::collections::BTreeSet;

use amigo_api::{NameReference, Role, RoleGrant, RoleSpec};
use amigo_client::{PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole};
use serde_json::Value;

/// The API server allows more, but such names are hard to read.
const MAX_NAME_LENGTH: usize = 63;

/// The limits of a Role's schema.
const MAX_GRANTS: usize = 256;
const MAX_CONDITIONS: usize = 16;

/// A Role needs a description; a role at Amigo does not.
const NO_DESCRIPTION: &str = "No description at Amigo: describe the purpose of the role here";

/// The Organization and the namespace of exported manifests.
pub struct Target {
    pub organization: String,
    /// Absent unless the user sets a namespace.
    pub namespace: Option<String>,
    pub model: PermissionModel,
}

#[derive(Debug)]
pub struct Exported {
    pub manifest: Value,
    pub warnings: Vec<String>,
}

/// Why a role has no manifest.
#[derive(Debug, PartialEq, Eq)]
pub enum Omission {
    BuiltIn,
    /// A Role cannot represent it.
    Unsupported(String),
}

/// The object names in use.
#[derive(Debug, Default)]
pub struct ObjectNames(BTreeSet<String>);

impl ObjectNames {
    /// A unique, valid object name for a role's name.
    pub fn for_role(&mut self, role: &str) -> String {
        let mut base = words(role).join("-");
        base.truncate(MAX_NAME_LENGTH - 4);
        let base = if base.is_empty() { "role" } else { base.trim_end_matches('-') };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = std::iter::once(base.to_owned()).chain(numbered).find(|name| !self.0.contains(name));
        let name = free.unwrap_or_default();
        self.0.insert(name.clone());
        name
    }
}

/// The words of a name in lower case. An upper-case letter after a lower-case letter starts a word.
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

pub fn export(role: &RemoteRole, target: &Target, names: &mut ObjectNames) -> Result<Exported, Omission> {
    if role.name.starts_with("Default") {
        return Err(Omission::BuiltIn);
    }
    let grants = grants(role, target.model)?;
    let Some(frontend_view) = role.frontend_view else {
        return unsupported("this version does not support its frontendView");
    };
    if !is_role_name(&role.name) {
        return unsupported("its name contains a slash, leading or trailing spaces, or more than 256 characters");
    }
    let (description, mut warnings) = (role.description.trim(), Vec::new());
    if description.chars().count() > 1024 {
        return unsupported("its description has more than 1024 characters; shorten it at Amigo");
    }
    if description.is_empty() {
        warnings.push(format!(
            "role {} has no description at Amigo, but a Role needs one: edit the description in the manifest, and set \
             adoption to Override",
            role.name
        ));
    }
    let object = names.for_role(&role.name);
    let spec = RoleSpec {
        organization_ref: NameReference { name: target.organization.clone() },
        role_name: (object != role.name).then(|| role.name.clone()),
        description: if description.is_empty() { NO_DESCRIPTION } else { description }.to_owned(),
        frontend_view,
        permission_grants: grants,
        ..RoleSpec::default()
    };
    let mut manifest = Role::new(&object, spec);
    manifest.metadata.namespace.clone_from(&target.namespace);
    let manifest = serde_json::to_value(manifest).map_err(|error| Omission::Unsupported(error.to_string()))?;
    Ok(Exported { manifest: without_defaults(manifest, target.model), warnings })
}

fn grants(role: &RemoteRole, model: PermissionModel) -> Result<Vec<RoleGrant>, Omission> {
    let grants = match &role.grants {
        RemoteGrants::Understood(grants) => grants,
        RemoteGrants::Raw { reason, .. } => {
            return unsupported(&format!("this version does not support its grants: {reason}"));
        }
    };
    if grants.len() > MAX_GRANTS || grants.iter().any(|grant| grant.conditions.len() > MAX_CONDITIONS) {
        return unsupported(&format!(
            "it has more than {MAX_GRANTS} grants, or a grant with more than {MAX_CONDITIONS} conditions"
        ));
    }
    if let Some(malformed) = grants.iter().find(|grant| !is_permission_name(&grant.permission_name)) {
        return unsupported(&format!("{:?} does not have the form Category:Action", malformed.permission_name));
    }
    let role_grant = |grant: &RemotePermissionGrant| RoleGrant {
        action: grant.action.unwrap_or_default(),
        permission_name: grant.permission_name.clone(),
        conditions: grant.conditions.clone(),
        description: grant.description.clone().filter(|_| model == PermissionModel::AllowDeny),
    };
    Ok(grants.iter().map(role_grant).collect())
}

fn unsupported<T>(reason: &str) -> Result<T, Omission> {
    Err(Omission::Unsupported(reason.to_owned()))
}

/// Whether the schema accepts it as a roleName.
fn is_role_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains('/') && name.chars().count() <= 256
}

/// Whether the schema accepts it as a permissionName.
fn is_permission_name(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && word.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    name.len() <= 128 && name.split_once(':').is_some_and(|(category, action)| is_word(category) && is_word(action))
}

/// Removes default values, except for `adoption`, which is the purpose of the manifest.
fn without_defaults(mut manifest: Value, model: PermissionModel) -> Value {
    let Some(spec) = manifest["spec"].as_object_mut() else { return manifest };
    spec.retain(|field, _| !matches!(field.as_str(), "deletionPolicy" | "suspend"));
    if model == PermissionModel::AllowOnly
        && let Some(grants) = spec.get_mut("permissionGrants").and_then(Value::as_array_mut)
    {
        for grant in grants.iter_mut().filter_map(Value::as_object_mut) {
            grant.retain(|field, value| field != "action" || value != "Allow");
        }
    }
    manifest
}
