//! The difference of two Roles: in the spec, at Amigo, and in their privileges.

use amigo_api::{Organization, PermissionModel, Role, RoleSpec};
use amigo_lifecycle::role::DesiredRole;
use amigo_permissions::{DescribedGrant, Excess, PermissionGrant, bind, excess};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::organizations::known_model;

/// The parts of an Organization that decide what the operator sends.
#[derive(Clone, Debug, Default)]
pub struct OrganizationContext {
    pub model: Option<PermissionModel>,
    /// The value of `{self_org_id}`.
    pub org_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleIdentity {
    pub name: String,
    pub namespace: String,
    pub organization: String,
    /// The role's name at Amigo.
    pub role_name: String,
}

/// What applying a Role would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    #[serde(flatten)]
    pub identity: RoleIdentity,
    pub is_new: bool,
    /// Changes of immutable fields, which the API server rejects.
    pub immutable: Vec<FieldChange>,
    /// Changes of other fields of the spec.
    pub fields: Vec<FieldChange>,
    /// Changes of the grants in the spec.
    pub grants: GrantChanges,
    /// Changes of the grants that the operator sends, if it compiles Deny grants away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<SentGrants>,
    pub at_amigo: AtAmigo,
    /// Why the operator would send nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Absent for a new object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileges: Option<Privileges>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub name: &'static str,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Their order is irrelevant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GrantChanges {
    pub removed: Vec<String>,
    pub added: Vec<String>,
}

/// What the operator sends to an API without Deny.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SentGrants {
    /// The number of Deny grants that the Allow grants replace.
    pub compiled_away: usize,
    pub grants: GrantChanges,
}

/// The effect on the role at Amigo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AtAmigo {
    Unchanged,
    /// It changes and keeps its id.
    InPlace,
    /// A new document with a new id replaces it. Its users and API keys move.
    NewDocument,
    /// The operator creates or adopts it.
    New,
    /// The operator sends nothing.
    NotSent,
    /// The operator did not send the current spec, so the current role is unknown.
    Unknown,
}

/// The difference of the privileges, each with an example request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Privileges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newly_allowed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_longer_allowed: Option<String>,
    /// Whether the comparison covered all combinations.
    pub complete: bool,
}

impl OrganizationContext {
    pub fn new(organization: &Organization) -> Self {
        let model = known_model(organization);
        let org_id = organization.status.as_ref().and_then(|status| status.org_id.clone());
        Self { model, org_id: Some(org_id.unwrap_or_else(|| organization.spec.organization.clone())) }
    }

    /// The role that the operator sends, or why it sends nothing.
    pub fn wanted(&self, spec: &RoleSpec) -> Result<DesiredRole, String> {
        let Some(model) = self.model else { return Ok(DesiredRole::uncompiled(spec)) };
        if model == PermissionModel::AllowOnly && spec.is_base_role == Some(true) {
            return Err("this organization's API does not support base roles: remove isBaseRole".to_owned());
        }
        DesiredRole::from_spec(spec, model).map_err(|error| {
            format!("this organization's API does not support Deny, and {error}. To keep the role, {}", error.advice())
        })
    }
}

impl RoleIdentity {
    pub fn new(role: &Role) -> Self {
        Self {
            name: role.name_any(),
            namespace: role.namespace().unwrap_or_default(),
            organization: role.spec.organization_ref.name.clone(),
            role_name: role.remote_name(),
        }
    }
}

impl Change {
    pub fn new(before: Option<&Role>, after: &Role, context: &OrganizationContext) -> Self {
        let wanted = context.wanted(&after.spec);
        let wanted_before = before.map(|before| context.wanted(&before.spec));
        let empty = RoleSpec::default();
        let spec_before = before.map_or(&empty, |before| &before.spec);
        Self {
            identity: RoleIdentity::new(after),
            is_new: before.is_none(),
            immutable: before.map(|before| immutable(before, after)).unwrap_or_default(),
            fields: before.map(|_| mutable(spec_before, &after.spec)).unwrap_or_default(),
            grants: GrantChanges::new(
                &DesiredRole::uncompiled(spec_before).grants,
                &DesiredRole::uncompiled(&after.spec).grants,
            ),
            sent: sent(wanted_before.as_ref(), &wanted),
            at_amigo: at_amigo(wanted_before.as_ref(), &wanted),
            refusal: wanted.err(),
            privileges: before.map(|before| Privileges::new(before, after, context)),
        }
    }

    pub fn differs(&self) -> bool {
        self.is_new || !self.immutable.is_empty() || !self.fields.is_empty() || !self.grants.is_empty()
    }
}

fn field<T: PartialEq + Serialize>(name: &'static str, before: Option<&T>, after: Option<&T>) -> Option<FieldChange> {
    // The notation of a manifest.
    let text = |value: Option<&T>| value.and_then(|value| serde_json::to_string(value).ok());
    (before != after).then(|| FieldChange { name, before: text(before), after: text(after) })
}

fn immutable(before: &Role, after: &Role) -> Vec<FieldChange> {
    let organization = |role: &Role| role.spec.organization_ref.name.clone();
    let fields = [
        field("organizationRef", Some(&organization(before)), Some(&organization(after))),
        field("roleName", before.spec.role_name.as_ref(), after.spec.role_name.as_ref()),
        field("isBaseRole", before.spec.is_base_role.as_ref(), after.spec.is_base_role.as_ref()),
    ];
    fields.into_iter().flatten().collect()
}

fn mutable(before: &RoleSpec, after: &RoleSpec) -> Vec<FieldChange> {
    // Without `..`, so that the compiler reports a new field here.
    let RoleSpec {
        organization_ref: _,
        role_name: _,
        description,
        frontend_view,
        is_base_role: _,
        permission_grants: _,
        management_policy,
        adoption,
        drift_policy,
        deletion_policy,
        suspend,
    } = after;
    let fields = [
        field("description", Some(&before.description), Some(description)),
        field("frontendView", Some(&before.frontend_view), Some(frontend_view)),
        field("managementPolicy", Some(&before.management_policy), Some(management_policy)),
        field("adoption", Some(&before.adoption), Some(adoption)),
        field("driftPolicy", before.drift_policy.as_ref(), drift_policy.as_ref()),
        field("deletionPolicy", Some(&before.deletion_policy), Some(deletion_policy)),
        field("suspend", Some(&before.suspend), Some(suspend)),
    ];
    fields.into_iter().flatten().collect()
}

/// A grant with its description.
pub fn describe_grant(described: &DescribedGrant) -> String {
    match described.description.as_deref().map(str::trim) {
        Some(description) if !description.is_empty() => format!("{}: {description}", described.grant),
        _ => described.grant.to_string(),
    }
}

impl GrantChanges {
    fn new(before: &[DescribedGrant], after: &[DescribedGrant]) -> Self {
        let describe = |grants: &[DescribedGrant]| grants.iter().map(describe_grant).collect::<Vec<_>>();
        let (before, after) = (describe(before), describe(after));
        Self { removed: without(&before, &after), added: without(&after, &before) }
    }

    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// Multiset difference.
fn without(all: &[String], others: &[String]) -> Vec<String> {
    let (mut kept, mut left) = (all.to_vec(), others.to_vec());
    kept.retain(|one| match left.iter().position(|other| other == one) {
        Some(index) => {
            left.swap_remove(index);
            false
        }
        None => true,
    });
    kept
}

type WantedResult = Result<DesiredRole, String>;

fn sent(before: Option<&WantedResult>, after: &WantedResult) -> Option<SentGrants> {
    let Ok(after) = after else { return None };
    let before = before.and_then(|before| before.as_ref().ok());
    let is_compiled = |wanted: &DesiredRole| wanted.compiled_away > 0;
    (is_compiled(after) || before.is_some_and(is_compiled)).then(|| SentGrants {
        compiled_away: after.compiled_away,
        grants: GrantChanges::new(before.map(|before| before.grants.as_slice()).unwrap_or_default(), &after.grants),
    })
}

fn at_amigo(before: Option<&WantedResult>, after: &WantedResult) -> AtAmigo {
    let (before, after) = match (before, after) {
        (_, Err(_)) => return AtAmigo::NotSent,
        (None, Ok(_)) => return AtAmigo::New,
        (Some(Err(_)), Ok(_)) => return AtAmigo::Unknown,
        (Some(Ok(before)), Ok(after)) => (before, after),
    };
    let (change, differs) = after.diff(&before.to_remote_role("", String::new()));
    if change.permission_grants.is_some() || change.frontend_view.is_some() {
        AtAmigo::NewDocument
    } else if differs.is_empty() {
        AtAmigo::Unchanged
    } else {
        AtAmigo::InPlace
    }
}

impl Privileges {
    fn new(before: &Role, after: &Role, context: &OrganizationContext) -> Self {
        let grants = |role: &Role| {
            let grants: Vec<_> = role.spec.permission_grants.iter().map(PermissionGrant::from).collect();
            match &context.org_id {
                Some(org_id) => bind(&grants, org_id, &role.remote_name()),
                None => grants,
            }
        };
        let (before, after) = (grants(before), grants(after));
        let (more, less) = (excess(&after, &before), excess(&before, &after));
        let complete = more != Excess::Unknown && less != Excess::Unknown;
        Self { newly_allowed: example(more), no_longer_allowed: example(less), complete }
    }
}

fn example(excess: Excess) -> Option<String> {
    match excess {
        Excess::Request(request) => Some(request.to_string()),
        Excess::Nothing | Excess::Unknown => None,
    }
}
