//! Whose rights are looked at: which role, which temporary grants, what the variables stand for.

use amigo_api::{
    NameReference, Organization, PermissionModel, Phase, Role, RoleAssignment, TemporaryPermissionGrant, UserReference,
    conditions::{self, ConditionStatus},
    reasons::condition,
};
use amigo_permissions::Caller;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};

use crate::{
    Failure,
    organizations::known_model,
    table::one_line,
    verdict::{Found, Source, Unclear},
};

/// What is known, from the cluster or from files.
#[derive(Debug, Default)]
pub struct World {
    /// Role objects.
    pub roles: Vec<Found<Role>>,
    /// Who has which role.
    pub assignments: Vec<RoleAssignment>,
    /// Requests for temporary access.
    pub grants: Vec<Found<TemporaryPermissionGrant>>,
    /// What temporary access is live at: the present moment in a cluster. In files all counts as live.
    pub now: Option<Timestamp>,
}

/// What the user said about whom to look at.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The user.
    pub user: Option<UserReference>,
    /// The user's id, where the user is named by e-mail.
    pub user_id: Option<String>,
    /// The organization's id.
    pub org_id: Option<String>,
    /// The role to look at, whatever the user's own is.
    pub as_role: Option<String>,
    /// The Organization object.
    pub environment: Option<String>,
}

/// The role that was chosen, and the assignment that named it.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The role.
    pub role: &'a Found<Role>,
    /// Why this one.
    pub assignment: Option<&'a RoleAssignment>,
}

/// Whose rights are looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The user as named, if one was.
    pub label: Option<String>,
    /// The user's id. `{self}` while it is not known, which equals nothing but itself.
    pub user_id: String,
    /// Amigo's id of the organization.
    pub org_id: String,
    /// The role's name at Amigo.
    pub role_name: String,
    /// The role's grants.
    pub role: Vec<Source>,
    /// The live temporary grants.
    pub temporary: Vec<Source>,
    /// Whether the API knows Deny, if that is known.
    pub model: Option<PermissionModel>,
    /// What was assumed, for the user to know.
    pub notes: Vec<String>,
    /// Temporary grants of other namespaces were not looked at.
    pub elsewhere: bool,
}

/// Stands for a user id that is not known.
pub const UNKNOWN_USER: &str = "{self}";

impl Subject {
    /// The caller of the check.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        Caller { user_id: &self.user_id, org_id: &self.org_id, role_name: &self.role_name }
    }

    /// The role and the temporary grants of whom the wish names. The Organization is that of the chosen role, if it
    /// could be read.
    #[must_use]
    pub fn new(world: &World, wish: &Wish, choice: &Choice<'_>, organization: Option<&Organization>) -> Self {
        let role = choice.role.object();
        let reference = &role.spec.organization_ref;
        let mut notes = Vec::new();
        if world.now.is_some() {
            let status = role.status.as_ref();
            notes.extend(not_ready(role, status.map(|status| &status.conditions[..])));
            // Amigo may still know the user by another role, or by none.
            notes.extend(choice.assignment.and_then(|assignment| {
                let status = assignment.status.as_ref();
                not_ready(assignment, status.map(|status| &status.conditions[..]))
            }));
        }
        let org_id = wish.org_id.clone().or_else(|| organization.map(org_id)).unwrap_or_else(|| {
            notes.push(format!(
                "the organization's id is taken to be {:?}, as organizationRef says; else add --org",
                reference.name
            ));
            reference.name.clone()
        });
        let known = user_id(world, wish, choice);
        let user_id = known.clone().unwrap_or_else(|| UNKNOWN_USER.to_owned());
        let temporary = temporary(world, wish, known.as_deref(), reference, &org_id, &mut notes);
        Self {
            label: wish.user.as_ref().map(|user| user.label().to_owned()),
            user_id,
            org_id,
            role_name: role.remote_name(),
            role: choice.role.sources(),
            temporary,
            model: organization.and_then(known_model),
            notes,
            elsewhere: world.now.is_some() && wish.user.is_some(),
        }
    }
}

/// Finds the role to look at.
///
/// # Errors
/// When it is not known which, or what it allows.
pub fn choose<'a>(world: &'a World, wish: &Wish) -> Result<Choice<'a>, Failure> {
    if let Some(name) = &wish.as_role {
        let found = roles(world, wish).filter(|role| role.is_called(name)).collect();
        return Ok(Choice { role: only(found, world, wish, name)?, assignment: None });
    }
    let Some(user) = &wish.user else {
        return Ok(Choice { role: only(roles(world, wish).collect(), world, wish, "")?, assignment: None });
    };
    let in_files = world.now.is_none();
    match assignment(world, wish, user)? {
        Some(assignment) => Ok(Choice { role: assigned(world, assignment)?, assignment: Some(assignment) }),
        None if in_files && roles(world, wish).count() == 1 => {
            Ok(Choice { role: only(roles(world, wish).collect(), world, wish, "")?, assignment: None })
        }
        None => Err(Failure::failed(format!("no RoleAssignment here says which role {} has", user.label()))
            .advise(format!("say which role to look at with --as-role NAME; {}", names(world, wish)))),
    }
}

fn roles<'a, 'w>(world: &'a World, wish: &'w Wish) -> impl Iterator<Item = &'a Found<Role>> + use<'a, 'w> {
    world.roles.iter().filter(|role| in_environment(wish, &role.object().spec.organization_ref))
}

fn in_environment(wish: &Wish, reference: &NameReference) -> bool {
    wish.environment.as_ref().is_none_or(|name| *name == reference.name)
}

fn only<'a>(
    mut found: Vec<&'a Found<Role>>,
    world: &World,
    wish: &Wish,
    name: &str,
) -> Result<&'a Found<Role>, Failure> {
    let wanted = if name.is_empty() { "Role".to_owned() } else { format!("Role {name}") };
    match (found.pop(), found.is_empty()) {
        (Some(role), true) => Ok(role),
        (None, _) => Err(Failure::failed(format!("there is no {wanted} here")).advise(names(world, wish))),
        (Some(_), false) if name.is_empty() => Err(Failure::usage("there are several Roles")
            .advise(format!("choose one with --as-role; {}", names(world, wish)))),
        (Some(_), false) => Err(Failure::usage(format!("several Roles are called {name}"))
            .advise(format!("choose by the object's name, or an Organization with -e; {}", names(world, wish)))),
    }
}

fn names(world: &World, wish: &Wish) -> String {
    let name = |role: &Found<Role>| {
        let (object, remote) = (role.object().name_any(), role.object().remote_name());
        if object == remote { object } else { format!("{object} ({remote})") }
    };
    let mut names: Vec<_> = roles(world, wish).map(name).collect();
    names.sort();
    if names.is_empty() { "no Role is here".to_owned() } else { format!("there are: {}", names.join(", ")) }
}

/// The assignment in charge of a user: of several, the oldest, as the operator has it.
fn assignment<'a>(world: &'a World, wish: &Wish, user: &UserReference) -> Result<Option<&'a RoleAssignment>, Failure> {
    let about = |assignment: &&RoleAssignment| {
        let looked_up = assignment.status.as_ref().and_then(|status| status.user_id.as_deref());
        in_environment(wish, &assignment.spec.organization_ref)
            && is_user(&assignment.spec.user, looked_up, user, wish.user_id.as_deref())
    };
    let found: Vec<_> = world.assignments.iter().filter(about).collect();
    let organization = |assignment: &RoleAssignment| assignment.spec.organization_ref.name.clone();
    if let [first, rest @ ..] = &found[..]
        && rest.iter().any(|other| organization(other) != organization(first))
    {
        return Err(Failure::usage(format!("{} has roles in several Organizations", user.label()))
            .advise("choose one with -e NAME"));
    }
    if world.now.is_none() && found.len() > 1 {
        return Err(Failure::usage(format!("several RoleAssignments are for {}", user.label()))
            .advise("a user has exactly one role: remove all but one"));
    }
    Ok(found.into_iter().min_by_key(|object| (object.creation_timestamp().map(|time| time.0), object.uid())))
}

fn assigned<'a>(world: &'a World, assignment: &RoleAssignment) -> Result<&'a Found<Role>, Failure> {
    let spec = &assignment.spec;
    let fits = |role: &&Found<Role>| {
        let object = role.object();
        let named = match (&spec.role_ref, &spec.role_name) {
            (Some(reference), _) => object.name_any() == reference.name && object.namespace() == assignment.namespace(),
            (None, name) => Some(object.remote_name()) == *name,
        };
        named && object.spec.organization_ref == spec.organization_ref
    };
    let name = spec.role_ref.as_ref().map(|reference| &reference.name).or(spec.role_name.as_ref());
    let name = name.map_or("", String::as_str);
    world.roles.iter().find(fits).ok_or_else(|| {
        let user = spec.user.label();
        let said = match spec.role_ref {
            Some(_) => format!("{user} has Role {name}, and there is no such object here"),
            None => {
                format!("{user} has the role {name}, which no object here describes: only Amigo knows what it allows")
            }
        };
        let environment = &spec.organization_ref.name;
        Failure::failed(said)
            .advise(format!("`kubectl amigo role export -e {environment} {name}` writes it down as a manifest"))
    })
}

/// Whether a reference means the user, whose id may be known.
fn is_user(reference: &UserReference, looked_up: Option<&str>, user: &UserReference, user_id: Option<&str>) -> bool {
    let by_email =
        matches!((&reference.email, &user.email), (Some(one), Some(other)) if one.eq_ignore_ascii_case(other));
    let id = user.user_id.as_deref().or(user_id);
    by_email || id.is_some_and(|id| reference.user_id.as_deref() == Some(id) || looked_up == Some(id))
}

fn user_id(world: &World, wish: &Wish, choice: &Choice<'_>) -> Option<String> {
    let user = wish.user.as_ref();
    let given = wish.user_id.clone().or_else(|| user.and_then(|user| user.user_id.clone()));
    let assigned = || {
        let assignment = choice.assignment?;
        let looked_up = assignment.status.as_ref().and_then(|status| status.user_id.clone());
        assignment.spec.user.user_id.clone().or(looked_up)
    };
    let issued = || {
        let reference = &choice.role.object().spec.organization_ref;
        let mut objects =
            world.grants.iter().map(Found::object).filter(|grant| grant.spec.organization_ref == *reference);
        objects.find_map(|grant| {
            let status = grant.status.as_ref()?;
            is_user(&grant.spec.user, None, user?, None).then(|| status.user_id.clone())?
        })
    };
    given.or_else(assigned).or_else(issued)
}

fn temporary(
    world: &World,
    wish: &Wish,
    user_id: Option<&str>,
    reference: &NameReference,
    org_id: &str,
    notes: &mut Vec<String>,
) -> Vec<Source> {
    let mut sources = Vec::new();
    for found in world.grants.iter().filter(|found| found.object().spec.organization_ref == *reference) {
        let object = found.object();
        let name = object.name_any();
        let looked_up = object.status.as_ref().and_then(|status| status.user_id.as_deref());
        match &wish.user {
            Some(user) if is_user(&object.spec.user, looked_up, user, user_id) => {}
            None if world.now.is_none() => {
                notes.push(format!("TemporaryPermissionGrant {name} counts as live, and as the caller's"));
            }
            Some(_) if world.now.is_none() => {
                notes.push(format!("TemporaryPermissionGrant {name} is for {} and left out", object.spec.user.label()));
                continue;
            }
            _ => continue,
        }
        match found.sources(org_id, None) {
            Ok(all) => sources.extend(live(object, all, world.now)),
            // What was not issued needs no explanation here.
            Err(_) if world.now.is_some() => {}
            Err(Unclear::OwnerUnknown) => notes.push(format!(
                "TemporaryPermissionGrant {name} is left out, as the owner of its conversation is not known: write conversation.ownerUserId"
            )),
            Err(Unclear::Nothing) => notes.push(format!(
                "TemporaryPermissionGrant {name} is left out: it must have exactly one of conversation and permissions"
            )),
        }
    }
    sources
}

/// Those permissions of an object that are live now.
fn live(object: &TemporaryPermissionGrant, all: Vec<Source>, now: Option<Timestamp>) -> Vec<Source> {
    let Some(now) = now else { return all };
    let Some(status) = object.status.as_ref().filter(|status| status.phase == Some(Phase::Active)) else {
        return Vec::new();
    };
    let end = |slot: usize| {
        let issued = status.grants.iter().filter(|issued| usize::try_from(issued.slot) == Ok(slot));
        issued.map(|issued| issued.expires_at).max().filter(|end| *end > now)
    };
    let until =
        |(slot, source): (usize, Source)| Some(Source { description: Some(format!("until {}", end(slot)?)), ..source });
    all.into_iter().enumerate().filter_map(until).collect()
}

/// What to say of an object that may not be at Amigo as it is here.
fn not_ready<K: Resource<DynamicType = ()>>(object: &K, conditions: Option<&[Condition]>) -> Option<String> {
    let (kind, name) = (K::kind(&()), object.name_any());
    let ready = conditions::find(conditions.unwrap_or_default(), condition::READY);
    match ready.filter(|ready| ready.observed_generation == object.meta().generation) {
        Some(ready) if ready.status == ConditionStatus::True.as_str() => None,
        Some(ready) => Some(format!(
            "{kind} {name} is not Ready ({}), so Amigo may allow something else: {}",
            ready.reason,
            one_line(&ready.message)
        )),
        None => Some(format!("the operator has not seen the present {kind} {name}, so Amigo may allow something else")),
    }
}

fn org_id(organization: &Organization) -> String {
    let seen = organization.status.as_ref().and_then(|status| status.org_id.clone());
    seen.unwrap_or_else(|| organization.spec.organization.clone())
}
