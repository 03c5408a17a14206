//! The subject of a check: its role, its temporary grants, and the values of its variables.

use amigo_api::{
    NameReference, Organization, PermissionModel, Phase, Role, RoleAssignment, TemporaryPermissionGrant, UserReference,
    conditions::{self, ConditionStatus},
    reasons::condition,
};
use amigo_permissions::Caller;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};

use super::inventory::Inventory;
use crate::{
    Failure,
    organizations::known_model,
    table::one_line,
    verdict::{LoadedObject, LocatedGrant, Origin, UnresolvedGrant},
};

/// The options that choose the subject.
#[derive(Clone, Debug, Default)]
pub struct SubjectQuery {
    pub user: Option<UserReference>,
    /// The id of a user named by e-mail address.
    pub user_id: Option<String>,
    pub org_id: Option<String>,
    /// Replaces the user's role.
    pub as_role: Option<String>,
    pub organization: Option<String>,
}

/// The selected role, and the assignment that names it.
#[derive(Debug)]
pub struct Selection<'a> {
    pub role: &'a LoadedObject<Role>,
    pub assignment: Option<&'a RoleAssignment>,
}

#[derive(Clone, Debug)]
pub struct Subject {
    /// The user as given.
    pub label: Option<String>,
    /// [`UNKNOWN_USER`] if it is unknown.
    pub user_id: String,
    /// The organization's id at Amigo.
    pub org_id: String,
    /// The role's name at Amigo.
    pub role_name: String,
    pub role_grants: Vec<LocatedGrant>,
    pub temporary_grants: Vec<LocatedGrant>,
    pub model: Option<PermissionModel>,
    /// Assumptions and warnings.
    pub notes: Vec<String>,
    /// Whether other namespaces may contain temporary grants of the user.
    pub has_unread_grants: bool,
}

/// The id of an unknown user, which equals only itself.
pub const UNKNOWN_USER: &str = "{self}";

impl Subject {
    pub fn new(
        inventory: &Inventory,
        query: &SubjectQuery,
        selection: &Selection<'_>,
        organization: Option<&Organization>,
    ) -> Self {
        let role = selection.role.object();
        let reference = &role.spec.organization_ref;
        let mut notes = if inventory.is_from_cluster() { readiness_notes(selection) } else { Vec::new() };
        let org_id = query.org_id.clone().or_else(|| organization.map(org_id)).unwrap_or_else(|| {
            notes.push(format!(
                "using the name of the Organization, {:?}, as the organization's id; set another with --org-id",
                reference.name
            ));
            reference.name.clone()
        });
        let user_id = user_id(inventory, query, selection);
        let mut temporary_grants = Vec::new();
        let grants = inventory.grants.iter();
        for loaded in grants.filter(|loaded| loaded.object().spec.organization_ref == *reference) {
            let is_from_cluster = inventory.is_from_cluster();
            if is_grant_of_subject(loaded.object(), query, user_id.as_deref(), is_from_cluster, &mut notes) {
                temporary_grants.extend(resolve_grant(loaded, &org_id, inventory.now, &mut notes));
            }
        }
        Self {
            label: query.user.as_ref().map(|user| user.label().to_owned()),
            user_id: user_id.unwrap_or_else(|| UNKNOWN_USER.to_owned()),
            org_id,
            role_name: role.remote_name(),
            role_grants: selection.role.grants(),
            temporary_grants,
            model: organization.and_then(known_model),
            notes,
            has_unread_grants: inventory.is_from_cluster() && query.user.is_some(),
        }
    }

    pub fn caller(&self) -> Caller<'_> {
        Caller { user_id: &self.user_id, org_id: &self.org_id, role_name: &self.role_name }
    }
}

/// # Errors
/// When the role is ambiguous, or no object describes it.
pub fn select_role<'a>(inventory: &'a Inventory, query: &SubjectQuery) -> Result<Selection<'a>, Failure> {
    let roles: Vec<_> =
        inventory.roles.iter().filter(|role| is_in_organization(query, &role.object().spec.organization_ref)).collect();
    if let Some(name) = &query.as_role {
        return Ok(Selection { role: role_by_name(&roles, name)?, assignment: None });
    }
    let Some(user) = &query.user else {
        return Ok(Selection { role: single_role(&roles)?, assignment: None });
    };
    match find_assignment(inventory, query, user)? {
        Some(assignment) => Ok(Selection { role: assigned_role(inventory, assignment)?, assignment: Some(assignment) }),
        None if !inventory.is_from_cluster() && roles.len() == 1 => Ok(Selection { role: roles[0], assignment: None }),
        None => Err(Failure::failed(format!("no RoleAssignment exists for {}", user.label()))
            .advise(format!("choose a role with --as-role NAME; {}", available(&roles)))),
    }
}

fn is_in_organization(query: &SubjectQuery, reference: &NameReference) -> bool {
    query.organization.as_ref().is_none_or(|name| *name == reference.name)
}

fn role_by_name<'a>(roles: &[&'a LoadedObject<Role>], name: &str) -> Result<&'a LoadedObject<Role>, Failure> {
    match roles.iter().filter(|role| role.has_name(name)).collect::<Vec<_>>()[..] {
        [role] => Ok(role),
        [] => Err(Failure::failed(format!("Role {name} does not exist")).advise(available(roles))),
        _ => Err(Failure::usage(format!("several Roles have the name {name}")).advise(format!(
            "use the name of an object, or choose an Organization with --organization; {}",
            available(roles)
        ))),
    }
}

fn single_role<'a>(roles: &[&'a LoadedObject<Role>]) -> Result<&'a LoadedObject<Role>, Failure> {
    match roles {
        [role] => Ok(role),
        [] => Err(Failure::failed("no Role exists").advise(available(roles))),
        _ => {
            Err(Failure::usage("several Roles exist")
                .advise(format!("choose one with --as-role; {}", available(roles))))
        }
    }
}

fn available(roles: &[&LoadedObject<Role>]) -> String {
    let name = |role: &&LoadedObject<Role>| {
        let (object, remote) = (role.object().name_any(), role.object().remote_name());
        if object == remote { object } else { format!("{object} ({remote})") }
    };
    let mut names: Vec<_> = roles.iter().map(name).collect();
    names.sort();
    if names.is_empty() { "there are no Roles".to_owned() } else { format!("available Roles: {}", names.join(", ")) }
}

/// The oldest assignment of a user, which is the one that the operator applies.
fn find_assignment<'a>(
    inventory: &'a Inventory,
    query: &SubjectQuery,
    user: &UserReference,
) -> Result<Option<&'a RoleAssignment>, Failure> {
    let is_of_user = |assignment: &&RoleAssignment| {
        let known_id = assignment.status.as_ref().and_then(|status| status.user_id.as_deref());
        is_in_organization(query, &assignment.spec.organization_ref)
            && is_user(&assignment.spec.user, known_id, user, query.user_id.as_deref())
    };
    let found: Vec<_> = inventory.assignments.iter().filter(is_of_user).collect();
    let organization = |assignment: &RoleAssignment| assignment.spec.organization_ref.name.clone();
    if found.windows(2).any(|pair| organization(pair[0]) != organization(pair[1])) {
        return Err(Failure::usage(format!("{} has roles in several Organizations", user.label()))
            .advise("choose one with --organization NAME"));
    }
    if !inventory.is_from_cluster() && found.len() > 1 {
        return Err(Failure::usage(format!("several RoleAssignments exist for {}", user.label()))
            .advise("keep one, because a user has exactly one role"));
    }
    Ok(found.into_iter().min_by_key(|object| (object.creation_timestamp().map(|time| time.0), object.uid())))
}

fn assigned_role<'a>(inventory: &'a Inventory, assignment: &RoleAssignment) -> Result<&'a LoadedObject<Role>, Failure> {
    let spec = &assignment.spec;
    let is_assigned = |role: &&LoadedObject<Role>| {
        let object = role.object();
        let has_name = match (&spec.role_ref, &spec.role_name) {
            (Some(reference), _) => object.name_any() == reference.name && object.namespace() == assignment.namespace(),
            (None, name) => Some(object.remote_name()) == *name,
        };
        has_name && object.spec.organization_ref == spec.organization_ref
    };
    inventory.roles.iter().find(is_assigned).ok_or_else(|| {
        let name = spec.role_ref.as_ref().map(|reference| &reference.name).or(spec.role_name.as_ref());
        let (user, name) = (spec.user.label(), name.map_or("", String::as_str));
        let message = match spec.role_ref {
            Some(_) => format!("Role {name} of {user} does not exist"),
            None => format!("{user} has the role {name} at Amigo, but no Role describes it"),
        };
        let organization = &spec.organization_ref.name;
        Failure::failed(message).advise(format!(
            "to get its manifest, run `kubectl amigo role export --organization {organization} {name}`"
        ))
    })
}

/// Whether a reference means the user. `known_id` is the id of the reference.
fn is_user(reference: &UserReference, known_id: Option<&str>, user: &UserReference, user_id: Option<&str>) -> bool {
    let by_email =
        matches!((&reference.email, &user.email), (Some(one), Some(other)) if one.eq_ignore_ascii_case(other));
    let id = user.user_id.as_deref().or(user_id);
    by_email || id.is_some_and(|id| reference.user_id.as_deref() == Some(id) || known_id == Some(id))
}

fn user_id(inventory: &Inventory, query: &SubjectQuery, selection: &Selection<'_>) -> Option<String> {
    let user = query.user.as_ref();
    let given = query.user_id.clone().or_else(|| user.and_then(|user| user.user_id.clone()));
    let of_assignment = || {
        let assignment = selection.assignment?;
        let in_status = assignment.status.as_ref().and_then(|status| status.user_id.clone());
        assignment.spec.user.user_id.clone().or(in_status)
    };
    let of_grants = || {
        let reference = &selection.role.object().spec.organization_ref;
        let mut grants = inventory.grants.iter().map(LoadedObject::object);
        grants.find_map(|grant| {
            let is_of_user = grant.spec.organization_ref == *reference && is_user(&grant.spec.user, None, user?, None);
            grant.status.as_ref().filter(|_| is_of_user)?.user_id.clone()
        })
    };
    given.or_else(of_assignment).or_else(of_grants)
}

/// In files, a grant without a given user counts as the caller's.
fn is_grant_of_subject(
    grant: &TemporaryPermissionGrant,
    query: &SubjectQuery,
    user_id: Option<&str>,
    is_from_cluster: bool,
    notes: &mut Vec<String>,
) -> bool {
    let (name, owner) = (grant.name_any(), &grant.spec.user);
    let known_id = grant.status.as_ref().and_then(|status| status.user_id.as_deref());
    let is_of_user = query.user.as_ref().map(|user| is_user(owner, known_id, user, user_id));
    match is_of_user {
        None if !is_from_cluster => {
            notes.push(format!("TemporaryPermissionGrant {name} counts as active and as the caller's"));
        }
        Some(false) if !is_from_cluster => {
            notes.push(format!("ignoring TemporaryPermissionGrant {name}, because it is for {}", owner.label()));
        }
        _ => {}
    }
    is_of_user.unwrap_or(!is_from_cluster)
}

/// The active permissions of a temporary grant.
fn resolve_grant(
    loaded: &LoadedObject<TemporaryPermissionGrant>,
    org_id: &str,
    now: Option<Timestamp>,
    notes: &mut Vec<String>,
) -> Vec<LocatedGrant> {
    let reason = match (loaded.grants(org_id, None), now) {
        (Ok(grants), None) => return grants,
        (Ok(grants), Some(now)) => return active(loaded.object(), grants, now),
        // The operator does not issue an unresolved grant, and its status says why.
        (Err(_), Some(_)) => return Vec::new(),
        (Err(UnresolvedGrant::UnknownOwner), None) => "set conversation.ownerUserId",
        (Err(UnresolvedGrant::InvalidSpec), None) => "set exactly one of conversation and permissions",
    };
    notes.push(format!("ignoring TemporaryPermissionGrant {}: {reason}", loaded.object().name_any()));
    Vec::new()
}

fn active(object: &TemporaryPermissionGrant, grants: Vec<LocatedGrant>, now: Timestamp) -> Vec<LocatedGrant> {
    let Some(status) = object.status.as_ref().filter(|status| status.phase == Some(Phase::Active)) else {
        return Vec::new();
    };
    let expiry = |slot: usize| {
        let issued = status.grants.iter().filter(|issued| usize::try_from(issued.slot) == Ok(slot));
        issued.map(|issued| issued.expires_at).max().filter(|expiry| *expiry > now)
    };
    let with_expiry = |(slot, located): (usize, LocatedGrant)| {
        let description = Some(format!("until {}", expiry(slot)?));
        Some(LocatedGrant { origin: Origin { description, ..located.origin }, ..located })
    };
    grants.into_iter().enumerate().filter_map(with_expiry).collect()
}

/// Warnings about objects that may differ from Amigo. Amigo may know the user by another role, or by none.
fn readiness_notes(selection: &Selection<'_>) -> Vec<String> {
    let role = selection.role.object();
    let role_status = role.status.as_ref().map(|status| &status.conditions[..]);
    let of_assignment = selection.assignment.and_then(|assignment| {
        let status = assignment.status.as_ref().map(|status| &status.conditions[..]);
        readiness_note(assignment, status)
    });
    readiness_note(role, role_status).into_iter().chain(of_assignment).collect()
}

fn readiness_note<K: Resource<DynamicType = ()>>(object: &K, conditions: Option<&[Condition]>) -> Option<String> {
    let (kind, name) = (K::kind(&()), object.name_any());
    let ready = conditions::find(conditions.unwrap_or_default(), condition::READY);
    match ready.filter(|ready| ready.observed_generation == object.meta().generation) {
        Some(ready) if ready.status == ConditionStatus::True.as_str() => None,
        Some(ready) => Some(format!(
            "{kind} {name} is not Ready ({}), so the result at Amigo may differ: {}",
            ready.reason,
            one_line(&ready.message)
        )),
        None => Some(format!(
            "the operator has not reconciled the latest spec of {kind} {name}, so the result at Amigo may differ"
        )),
    }
}

fn org_id(organization: &Organization) -> String {
    let in_status = organization.status.as_ref().and_then(|status| status.org_id.clone());
    in_status.unwrap_or_else(|| organization.spec.organization.clone())
}
