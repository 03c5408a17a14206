//! One case against the manifests: what it asks, and whether the answer is the wanted one.

use amigo_api::{Organization, PermissionModel, Role, TemporaryPermissionGrant};
use amigo_permissions::{Action, Attributes, Caller, PermissionGrant, attributes, compile, names};
use kube::ResourceExt as _;
use serde::Serialize;

use super::format::{AccessTest, Case, Expectation, GrantSpec};
use crate::{
    manifests::{Manifest, Manifests, Place, Problem},
    organizations::known_model,
    verdict::{Found, Question, Reason, Source, Unclear, Verdict, resolved},
};

/// What the files hold, for the cases to look things up.
#[derive(Debug)]
pub struct World {
    roles: Vec<Found<Role>>,
    grants: Vec<Found<TemporaryPermissionGrant>>,
    /// For the organizations' ids at Amigo, and what their APIs know.
    organizations: Vec<Organization>,
}

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The document's name.
    pub test: String,
    /// The case's name.
    pub name: String,
    /// Where the case stands.
    pub place: Place,
    /// The role it is about, by its name at Amigo.
    pub role_name: String,
    /// The permission it is about.
    pub permission: String,
    /// What was asked about.
    pub attributes: Attributes,
    /// What the answer must be.
    pub expected: Expectation,
    /// What differs from what is wanted; `None` if nothing does.
    pub failure: Option<String>,
    /// The answer.
    pub verdict: Verdict,
}

impl World {
    /// Takes the tests out of what was read.
    #[must_use]
    pub fn new(manifests: Manifests) -> (Self, Vec<Manifest<AccessTest>>) {
        let world = Self {
            roles: manifests.roles.into_iter().map(Found::Written).collect(),
            grants: manifests.grants.into_iter().map(Found::Written).collect(),
            organizations: manifests.organizations.into_iter().map(|manifest| manifest.object).collect(),
        };
        (world, manifests.access_tests)
    }

    /// Runs one case of a document.
    ///
    /// # Errors
    /// When the case makes no sense, so that its outcome would say nothing.
    pub fn run(&self, test: &Manifest<AccessTest>, index: usize) -> Result<Outcome, Problem> {
        let (document, case) = (&test.object, &test.object.cases[index]);
        let at = |part: &str| test.place_of(&format!("/cases/{index}{part}"));
        let wrong = |part: &str, message: String| Problem { place: at(part), message };
        let role = self.role(document, case).map_err(|message| wrong("/role", message))?;
        let object = role.object();
        let (own, shared) = (&case.caller, &document.caller);
        let pick = |own: &Option<String>, shared: &Option<String>| own.clone().or_else(|| shared.clone());
        // Without an id `{self}` equals nothing but itself: the caller is nobody in particular.
        let user_id = pick(&own.user_id, &shared.user_id).unwrap_or_else(|| "{self}".to_owned());
        let org_id = pick(&own.org_id, &shared.org_id).unwrap_or_else(|| self.org_id(object));
        let role_name = pick(&own.role_name, &shared.role_name).unwrap_or_else(|| object.remote_name());
        let caller = Caller { user_id: &user_id, org_id: &org_id, role_name: &role_name };
        let role_grants = role.sources();
        let mut temporary = Vec::new();
        for (number, grant) in document.grants.iter().enumerate() {
            let place = || test.place_of(&format!("/grants/{number}"));
            temporary.extend(self.temporary(grant, caller).map_err(|message| Problem { place: place(), message })?);
        }
        for (number, grant) in case.grants.iter().enumerate() {
            let part = format!("/grants/{number}");
            temporary.extend(self.temporary(grant, caller).map_err(|message| wrong(&part, message))?);
        }
        let sources: Vec<_> = role_grants.iter().chain(&temporary).collect();
        sensible_permission(&case.permission, &sources).map_err(|message| wrong("/permission", message))?;
        let asked = asked(document, case, caller);
        sensible_attributes(&asked, &sources).map_err(|message| wrong("/attributes", message))?;
        let model = document.permission_model.or_else(|| self.organization(object).and_then(known_model));
        let deny_bars_temporary = model != Some(PermissionModel::AllowOnly);
        if !deny_bars_temporary {
            sendable(&role_grants).map_err(|message| wrong("/role", message))?;
        }
        let question = Question { caller, permission: &case.permission, attributes: &asked, deny_bars_temporary };
        let verdict = question.answer(&role_grants, &temporary);
        Ok(Outcome {
            test: document.name().to_owned(),
            name: case.name.clone(),
            place: at(""),
            role_name: object.remote_name(),
            permission: case.permission.clone(),
            expected: case.expect,
            failure: failure(case, &verdict),
            attributes: asked,
            verdict,
        })
    }

    fn role(&self, document: &AccessTest, case: &Case) -> Result<&Found<Role>, String> {
        let name = case.role.as_ref().or(document.role.as_ref());
        let name = name.ok_or_else(|| "no role is named: set role in the case or for all cases".to_owned())?;
        let mut found: Vec<_> = self.roles.iter().filter(|role| role.is_called(name)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(role), true) => Ok(role),
            (None, _) => Err(format!("no Role called {name} is in the files: name its file with -f as well")),
            (Some(_), false) => Err(format!("several Roles are called {name}: write the name of one object")),
        }
    }

    fn org_id(&self, role: &Role) -> String {
        let reference = &role.spec.organization_ref.name;
        self.organization(role).map_or_else(|| reference.clone(), |known| known.spec.organization.clone())
    }

    fn organization(&self, role: &Role) -> Option<&Organization> {
        self.organizations.iter().find(|known| known.name_any() == role.spec.organization_ref.name)
    }

    fn temporary(&self, grant: &GrantSpec, caller: Caller<'_>) -> Result<Vec<Source>, String> {
        match (&grant.name, &grant.permission_name) {
            (Some(name), None) if grant.conditions.is_empty() => {
                self.named(name, grant.owner_user_id.as_deref(), caller)
            }
            (None, Some(permission_name)) if grant.owner_user_id.is_none() => Ok(vec![Source {
                grant: PermissionGrant {
                    action: Action::Allow,
                    permission_name: permission_name.clone(),
                    conditions: grant.conditions.clone(),
                },
                path: "a temporary grant of the test".to_owned(),
                kind: "",
                name: String::new(),
                description: None,
                place: None,
            }]),
            _ => Err("a grant has either name (and ownerUserId) or permissionName (and conditions)".to_owned()),
        }
    }

    fn named(&self, name: &str, owner: Option<&str>, caller: Caller<'_>) -> Result<Vec<Source>, String> {
        let mut found: Vec<_> = self.grants.iter().filter(|grant| grant.object().name_any() == name).collect();
        let grant = match (found.pop(), found.is_empty()) {
            (Some(grant), true) => grant,
            (None, _) => return Err(format!("no TemporaryPermissionGrant {name} is in the files")),
            (Some(_), false) => return Err(format!("several TemporaryPermissionGrants {name} are in the files")),
        };
        let user = grant.object().spec.user.user_id.as_deref();
        if let Some(user) = user.filter(|user| *user != caller.user_id) {
            return Err(format!("TemporaryPermissionGrant {name} is for {user}: set caller.userId to it"));
        }
        grant.sources(caller.org_id, owner).map_err(|unclear| match unclear {
            Unclear::OwnerUnknown => {
                format!("TemporaryPermissionGrant {name} opens the conversations of an owner not named in it: set ownerUserId")
            }
            Unclear::Nothing => format!("TemporaryPermissionGrant {name} must have exactly one of conversation and permissions"),
        })
    }
}

/// The document's attributes and the case's own, with what variables stand for.
fn asked(document: &AccessTest, case: &Case, caller: Caller<'_>) -> Attributes {
    let mut all = document.attributes.clone();
    all.entry(attributes::ORGANIZATION.to_owned()).or_insert_with(|| Some(caller.org_id.into()));
    all.extend(case.attributes.clone());
    resolved(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(), caller)
}

/// Where the API knows no Deny, a role without an equivalent is not sent at all.
fn sendable(role: &[Source]) -> Result<(), String> {
    let grants: Vec<_> = role.iter().map(|source| source.grant.clone()).collect();
    compile(&grants)
        .map(|_| ())
        .map_err(|none| format!("under AllowOnly the role is not sent: {none}; {}", none.advice()))
}

/// A misspelt permission is denied whatever the role says: such a case could not fail.
fn sensible_permission(name: &str, sources: &[&Source]) -> Result<(), String> {
    if names::is_known(name) || sources.iter().any(|source| source.grant.permission_name == name) {
        return Ok(());
    }
    Err(format!("no grant names the permission {name}, and no known version of the API: check the spelling"))
}

/// Nor does an attribute matter that no condition names.
fn sensible_attributes(asked: &Attributes, sources: &[&Source]) -> Result<(), String> {
    let matters = |name: &String| {
        attributes::find(name).is_some() || sources.iter().any(|source| source.grant.conditions.contains_key(name))
    };
    match asked.keys().find(|name| !matters(name)) {
        Some(name) => Err(format!("no condition names the attribute {name}: check the spelling")),
        None => Ok(()),
    }
}

fn failure(case: &Case, verdict: &Verdict) -> Option<String> {
    let got = if verdict.allowed { Expectation::Allowed } else { Expectation::Denied };
    if got != case.expect {
        return Some(format!("expected {:?}, got {got:?}", case.expect));
    }
    if let Some(because) = case.because.filter(|because| *because != verdict.reason) {
        return Some(format!("{got:?} as expected, but because of {:?}, not {because:?}", verdict.reason));
    }
    let by = case.by.as_ref().filter(|by| !rests_on(verdict, by))?;
    Some(format!("{got:?} as expected, but not by {by:?}"))
}

fn rests_on(verdict: &Verdict, by: &str) -> bool {
    verdict.grants.iter().filter(|line| line.decides).any(|line| {
        let failed = || line.conditions.iter().any(|check| !check.holds && check.attribute == by);
        let called = line.path == by || line.name == by || line.description.as_deref() == Some(by);
        called || (verdict.reason == Reason::ConditionFailed && failed())
    })
}
