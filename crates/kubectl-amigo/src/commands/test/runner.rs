//! Runs the cases of access tests against manifests.

use amigo_api::{Organization, PermissionModel, Role, TemporaryPermissionGrant};
use amigo_permissions::{Action, Attributes, Caller, PermissionGrant, attributes, compile, names};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::{
    manifests::{AccessTest, Case, Expectation, GrantSpec, Location, Manifest, Manifests, Problem, Reason},
    organizations::known_model,
    verdict::{
        GrantResult, LoadedObject, LocatedGrant, Origin, PermissionCheck, UnresolvedGrant, Verdict, resolve_variables,
    },
};

#[derive(Debug)]
pub struct TestRunner {
    roles: Vec<LoadedObject<Role>>,
    grants: Vec<LoadedObject<TemporaryPermissionGrant>>,
    organizations: Vec<Organization>,
}

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The name of the test document.
    pub test: String,
    /// The name of the case.
    pub name: String,
    pub location: Location,
    /// The role's name at Amigo.
    pub role_name: String,
    pub permission: String,
    pub attributes: Attributes,
    pub expected: Expectation,
    /// The difference from the expected result, if there is one.
    pub failure: Option<String>,
    pub verdict: Verdict,
}

/// A case with its document.
#[derive(Clone, Copy)]
struct CaseContext<'a> {
    manifest: &'a Manifest<AccessTest>,
    document: &'a AccessTest,
    case: &'a Case,
    index: usize,
}

struct CallerValues {
    user_id: String,
    org_id: String,
    role_name: String,
}

impl TestRunner {
    /// A runner over the manifests, and their tests.
    pub fn new(manifests: Manifests) -> (Self, Vec<Manifest<AccessTest>>) {
        let runner = Self {
            roles: manifests.roles.into_iter().map(LoadedObject::File).collect(),
            grants: manifests.grants.into_iter().map(LoadedObject::File).collect(),
            organizations: manifests.organizations.into_iter().map(|manifest| manifest.object).collect(),
        };
        (runner, manifests.access_tests)
    }

    /// Runs one case of a document. A case that cannot fail is a problem, because it proves nothing.
    pub fn run(&self, test: &Manifest<AccessTest>, index: usize) -> Result<Outcome, Problem> {
        let context = CaseContext { manifest: test, document: &test.object, case: &test.object.cases[index], index };
        let case = context.case;
        let loaded = self.role(context).map_err(|message| context.problem("/role", message))?;
        let role = loaded.object();
        let organization = self.organization(role);
        let values = context.caller(role, organization);
        let caller = values.caller();
        let role_grants = loaded.grants();
        let temporary = self.temporary_grants(context, caller)?;
        let attributes = context.attributes(caller);
        let grants: Vec<_> = role_grants.iter().chain(&temporary).map(|located| &located.grant).collect();
        check_permission(&case.permission, &grants).map_err(|message| context.problem("/permission", message))?;
        check_attributes(&attributes, &grants).map_err(|message| context.problem("/attributes", message))?;
        let model = context.document.permission_model.or_else(|| organization.and_then(known_model));
        let deny_limits_temporary = model != Some(PermissionModel::AllowOnly);
        if !deny_limits_temporary {
            check_compiles(&role_grants).map_err(|message| context.problem("/role", message))?;
        }
        let permission = &case.permission;
        let check = PermissionCheck { caller, permission, attributes: &attributes, deny_limits_temporary };
        let verdict = check.evaluate(&role_grants, &temporary);
        Ok(Outcome {
            test: context.document.name().to_owned(),
            name: case.name.clone(),
            location: context.location(""),
            role_name: role.remote_name(),
            permission: permission.clone(),
            expected: case.expect,
            failure: failure(case, &verdict),
            attributes,
            verdict,
        })
    }

    fn role(&self, context: CaseContext<'_>) -> Result<&LoadedObject<Role>, String> {
        let name = context.case.role.as_ref().or(context.document.role.as_ref());
        let name = name.ok_or_else(|| "set role for the case or for all cases".to_owned())?;
        match self.roles.iter().filter(|role| role.has_name(name)).collect::<Vec<_>>()[..] {
            [role] => Ok(role),
            [] => Err(format!("Role {name} is not in the files: add its file with -f")),
            _ => Err(format!("several Roles have the name {name}: use the name of one object")),
        }
    }

    fn organization(&self, role: &Role) -> Option<&Organization> {
        self.organizations.iter().find(|organization| organization.name_any() == role.spec.organization_ref.name)
    }

    fn temporary_grants(&self, context: CaseContext<'_>, caller: Caller<'_>) -> Result<Vec<LocatedGrant>, Problem> {
        let mut located = Vec::new();
        for (index, grant) in context.document.grants.iter().enumerate() {
            let location = || context.manifest.location_of(&format!("/grants/{index}"));
            let grants = self.temporary_grant(grant, caller);
            located.extend(grants.map_err(|message| Problem { location: location(), message })?);
        }
        for (index, grant) in context.case.grants.iter().enumerate() {
            let grants = self.temporary_grant(grant, caller);
            located.extend(grants.map_err(|message| context.problem(&format!("/grants/{index}"), message))?);
        }
        Ok(located)
    }

    fn temporary_grant(&self, grant: &GrantSpec, caller: Caller<'_>) -> Result<Vec<LocatedGrant>, String> {
        match (&grant.name, &grant.permission_name) {
            (Some(name), None) if grant.conditions.is_empty() => {
                self.named_grant(name, grant.owner_user_id.as_deref(), caller)
            }
            (None, Some(permission_name)) if grant.owner_user_id.is_none() => Ok(vec![LocatedGrant {
                grant: PermissionGrant {
                    action: Action::Allow,
                    permission_name: permission_name.clone(),
                    conditions: grant.conditions.clone(),
                },
                origin: Origin { path: "a temporary grant of the test".to_owned(), ..Origin::default() },
            }]),
            _ => Err("set either name (optionally with ownerUserId) or permissionName (optionally with conditions)"
                .to_owned()),
        }
    }

    fn named_grant(&self, name: &str, owner: Option<&str>, caller: Caller<'_>) -> Result<Vec<LocatedGrant>, String> {
        let grant = match self.grants.iter().filter(|grant| grant.object().name_any() == name).collect::<Vec<_>>()[..] {
            [grant] => grant,
            [] => return Err(format!("TemporaryPermissionGrant {name} is not in the files: add its file with -f")),
            _ => return Err(format!("several TemporaryPermissionGrants have the name {name}")),
        };
        let user = grant.object().spec.user.user_id.as_deref();
        if let Some(user) = user.filter(|user| *user != caller.user_id) {
            return Err(format!("TemporaryPermissionGrant {name} is for {user}: set caller.userId to {user}"));
        }
        grant.grants(caller.org_id, owner).map_err(|unresolved| match unresolved {
            UnresolvedGrant::UnknownOwner => {
                format!("TemporaryPermissionGrant {name} does not name the owner of its conversation: set ownerUserId")
            }
            UnresolvedGrant::InvalidSpec => {
                format!("TemporaryPermissionGrant {name} must have exactly one of conversation and permissions")
            }
        })
    }
}

impl CaseContext<'_> {
    fn location(&self, field: &str) -> Location {
        self.manifest.location_of(&format!("/cases/{}{field}", self.index))
    }

    fn problem(&self, field: &str, message: String) -> Problem {
        Problem { location: self.location(field), message }
    }

    fn caller(&self, role: &Role, organization: Option<&Organization>) -> CallerValues {
        let (own, shared) = (&self.case.caller, &self.document.caller);
        let pick = |own: &Option<String>, shared: &Option<String>| own.clone().or_else(|| shared.clone());
        let default_org_id = || {
            let reference = &role.spec.organization_ref.name;
            organization.map_or_else(|| reference.clone(), |organization| organization.spec.organization.clone())
        };
        CallerValues {
            // Without an id, `{self}` equals only itself.
            user_id: pick(&own.user_id, &shared.user_id).unwrap_or_else(|| "{self}".to_owned()),
            org_id: pick(&own.org_id, &shared.org_id).unwrap_or_else(default_org_id),
            role_name: pick(&own.role_name, &shared.role_name).unwrap_or_else(|| role.remote_name()),
        }
    }

    fn attributes(&self, caller: Caller<'_>) -> Attributes {
        let mut all = self.document.attributes.clone();
        all.entry(attributes::ORGANIZATION.to_owned()).or_insert_with(|| Some(caller.org_id.into()));
        all.extend(self.case.attributes.clone());
        resolve_variables(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(), caller)
    }
}

impl CallerValues {
    fn caller(&self) -> Caller<'_> {
        Caller { user_id: &self.user_id, org_id: &self.org_id, role_name: &self.role_name }
    }
}

/// An API without Deny never gets a role that has no equivalent without Deny.
fn check_compiles(role: &[LocatedGrant]) -> Result<(), String> {
    let grants: Vec<_> = role.iter().map(|located| located.grant.clone()).collect();
    compile(&grants)
        .map(|_| ())
        .map_err(|error| format!("with AllowOnly, the operator does not send the role: {error}; {}", error.advice()))
}

/// A misspelled permission is always denied, so the case could not fail.
fn check_permission(name: &str, grants: &[&PermissionGrant]) -> Result<(), String> {
    if names::is_known(name) || grants.iter().any(|grant| grant.permission_name == name) {
        return Ok(());
    }
    Err(format!("unknown permission {name}: no grant and no known version of the API has it; check the spelling"))
}

/// A misspelled attribute has no effect.
fn check_attributes(attributes: &Attributes, grants: &[&PermissionGrant]) -> Result<(), String> {
    let is_known = |name: &String| {
        attributes::find(name).is_some() || grants.iter().any(|grant| grant.conditions.contains_key(name))
    };
    match attributes.keys().find(|name| !is_known(name)) {
        Some(name) => Err(format!("unknown attribute {name}: no condition uses it; check the spelling")),
        None => Ok(()),
    }
}

fn failure(case: &Case, verdict: &Verdict) -> Option<String> {
    let got = if verdict.allowed { Expectation::Allowed } else { Expectation::Denied };
    if got != case.expect {
        return Some(format!("expected {:?}, got {got:?}", case.expect));
    }
    if let Some(because) = case.because.filter(|because| *because != verdict.reason) {
        return Some(format!("{got:?} as expected, but expected reason {because:?}, got {:?}", verdict.reason));
    }
    let by = case.by.as_ref().filter(|by| !is_decided_by(verdict, by))?;
    Some(format!("{got:?} as expected, but not decided by {by:?}"))
}

fn is_decided_by(verdict: &Verdict, by: &str) -> bool {
    verdict.grants.iter().filter(|grant| grant.decides).any(|GrantResult { origin, conditions, .. }| {
        let is_named = origin.path == by || origin.name == by || origin.description.as_deref() == Some(by);
        let failed = || conditions.iter().any(|condition| !condition.met && condition.attribute == by);
        is_named || (verdict.reason == Reason::ConditionFailed && failed())
    })
}
