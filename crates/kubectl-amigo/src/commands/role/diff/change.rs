//! How one Role differs from another: in the spec, at Amigo, and in what it allows.

use amigo_api::{Organization, PermissionModel, Role, RoleSpec};
use amigo_lifecycle::role::DesiredRole;
use amigo_permissions::{DescribedGrant, Excess, PermissionGrant, bind, excess};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::organizations::known_model;

/// What is known of a role's organization.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// What its API understands, if that is known.
    pub model: Option<PermissionModel>,
    /// Its id, which stands for `{self_org_id}`.
    pub org_id: Option<String>,
}

/// What applying a Role would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The object's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its Organization.
    pub organization: String,
    /// The role's name at Amigo.
    pub role_name: String,
    /// There is no such object yet.
    pub is_new: bool,
    /// Members that cannot change, and would: the API server refuses it.
    pub immutable: Vec<Member>,
    /// The other members of the spec that change.
    pub members: Vec<Member>,
    /// The grants as they are written.
    pub grants: Lines,
    /// The grants as they are sent, where Deny grants are compiled away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// What becomes of the role at Amigo.
    pub at_amigo: AtAmigo,
    /// Why the operator would send nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// How the privileges compare; not for a new object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileges: Option<Privileges>,
}

/// A member of the spec that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub before: Option<String>,
    /// What it would be.
    pub after: Option<String>,
}

/// Grants that go and come; order means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// Those that go.
    pub removed: Vec<String>,
    /// Those that come.
    pub added: Vec<String>,
}

/// What is sent to an API that knows only Allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// How many Deny grants are not sent, as the Allow grants say it all without them.
    pub compiled_away: usize,
    /// The grants.
    pub grants: Lines,
}

/// What becomes of the role at Amigo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AtAmigo {
    /// Nothing.
    Unchanged,
    /// It changes and keeps its id.
    InPlace,
    /// A new document takes its place: the id changes, its users and API keys move to it.
    NewDocument,
    /// It is made, or taken over if it exists.
    New,
    /// Nothing is sent: it stays as it is.
    Refused,
    /// What is there now was refused, so it is not known.
    Unknown,
}

/// How the privileges compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Privileges {
    /// A request that would newly be allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newly_allowed: Option<String>,
    /// A request that would no longer be allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_longer_allowed: Option<String>,
    /// Whether there can be no more than that; else there were too many combinations to settle it.
    pub settled: bool,
}

impl Setting {
    /// What the Organization says, and its status.
    pub fn of(organization: &Organization) -> Self {
        let status = organization.status.as_ref();
        let model = known_model(organization);
        let org_id = status.and_then(|status| status.org_id.clone());
        Self { model, org_id: Some(org_id.unwrap_or_else(|| organization.spec.organization.clone())) }
    }

    /// What a spec asks for at Amigo; else why nothing is sent.
    pub fn wanted(&self, spec: &RoleSpec) -> Result<DesiredRole, String> {
        let Some(model) = self.model else { return Ok(DesiredRole::uncompiled(spec)) };
        if model == PermissionModel::AllowOnly && spec.is_base_role == Some(true) {
            return Err("this organization's API knows no base roles: remove isBaseRole".to_owned());
        }
        DesiredRole::from_spec(spec, model).map_err(|refusal| {
            format!(
                "this organization's API supports only Allow, and {refusal}. To create the role, {}",
                refusal.advice()
            )
        })
    }
}

impl Change {
    /// What applying `after` makes of `before`, the object that is there.
    pub fn between(before: Option<&Role>, after: &Role, setting: &Setting) -> Self {
        let wanted = setting.wanted(&after.spec);
        let wanted_before = before.map(|before| setting.wanted(&before.spec));
        let nothing = RoleSpec::default();
        let spec_before = before.map_or(&nothing, |before| &before.spec);
        Self {
            name: after.name_any(),
            namespace: after.namespace().unwrap_or_default(),
            organization: after.spec.organization_ref.name.clone(),
            role_name: after.remote_name(),
            is_new: before.is_none(),
            immutable: before.map(|before| immutable(before, after)).unwrap_or_default(),
            members: before.map(|_| members(spec_before, &after.spec)).unwrap_or_default(),
            grants: Lines::between(
                &DesiredRole::uncompiled(spec_before).grants,
                &DesiredRole::uncompiled(&after.spec).grants,
            ),
            sent: sent(wanted_before.as_ref(), &wanted),
            at_amigo: at_amigo(wanted_before.as_ref(), &wanted),
            refusal: wanted.err(),
            privileges: before.map(|before| Privileges::between(before, after, setting)),
        }
    }

    /// Whether applying changes anything.
    pub fn differs(&self) -> bool {
        self.is_new || !self.immutable.is_empty() || !self.members.is_empty() || !self.grants.is_empty()
    }
}

fn member<T: PartialEq + Serialize>(name: &'static str, before: Option<&T>, after: Option<&T>) -> Option<Member> {
    // As a manifest may have it; texts and words always have this form.
    let text = |value: Option<&T>| value.and_then(|value| serde_json::to_string(value).ok());
    (before != after).then(|| Member { name, before: text(before), after: text(after) })
}

fn immutable(before: &Role, after: &Role) -> Vec<Member> {
    let organization = |role: &Role| role.spec.organization_ref.name.clone();
    let members = [
        member("organizationRef", Some(&organization(before)), Some(&organization(after))),
        member("roleName", before.spec.role_name.as_ref(), after.spec.role_name.as_ref()),
    ];
    members.into_iter().flatten().collect()
}

fn members(before: &RoleSpec, after: &RoleSpec) -> Vec<Member> {
    // Without `..`, so that a new member is not forgotten here.
    let RoleSpec {
        organization_ref: _,
        role_name: _,
        description,
        frontend_view,
        is_base_role,
        permission_grants: _,
        adoption,
        drift_policy,
        deletion_policy,
        suspend,
    } = after;
    let members = [
        member("description", Some(&before.description), Some(description)),
        member("frontendView", Some(&before.frontend_view), Some(frontend_view)),
        member("isBaseRole", before.is_base_role.as_ref(), is_base_role.as_ref()),
        member("adoption", Some(&before.adoption), Some(adoption)),
        member("driftPolicy", before.drift_policy.as_ref(), drift_policy.as_ref()),
        member("deletionPolicy", Some(&before.deletion_policy), Some(deletion_policy)),
        member("suspend", Some(&before.suspend), Some(suspend)),
    ];
    members.into_iter().flatten().collect()
}

/// A grant in words, with why it is there.
pub fn line(line: &DescribedGrant) -> String {
    match line.description.as_deref().map(str::trim) {
        Some(why) if !why.is_empty() => format!("{}: {why}", line.grant),
        _ => line.grant.to_string(),
    }
}

impl Lines {
    fn between(before: &[DescribedGrant], after: &[DescribedGrant]) -> Self {
        let words = |grants: &[DescribedGrant]| grants.iter().map(line).collect::<Vec<_>>();
        let (before, after) = (words(before), words(after));
        Self { removed: without(&before, &after), added: without(&after, &before) }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// Those of `all` that `others` does not have as often.
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

type Outcome = Result<DesiredRole, String>;

fn sent(before: Option<&Outcome>, after: &Outcome) -> Option<Sent> {
    let Ok(after) = after else { return None };
    let before = before.and_then(|before| before.as_ref().ok());
    let is_compiled = |wanted: &DesiredRole| wanted.compiled_away > 0;
    (is_compiled(after) || before.is_some_and(is_compiled)).then(|| Sent {
        compiled_away: after.compiled_away,
        grants: Lines::between(before.map(|before| before.grants.as_slice()).unwrap_or_default(), &after.grants),
    })
}

fn at_amigo(before: Option<&Outcome>, after: &Outcome) -> AtAmigo {
    let (before, after) = match (before, after) {
        (_, Err(_)) => return AtAmigo::Refused,
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
    fn between(before: &Role, after: &Role, setting: &Setting) -> Self {
        let grants = |role: &Role| {
            let grants: Vec<_> = role.spec.permission_grants.iter().map(PermissionGrant::from).collect();
            match &setting.org_id {
                Some(org_id) => bind(&grants, org_id, &role.remote_name()),
                None => grants,
            }
        };
        let (before, after) = (grants(before), grants(after));
        let (more, less) = (excess(&after, &before), excess(&before, &after));
        let settled = more != Excess::Unknown && less != Excess::Unknown;
        Self { newly_allowed: witness(more), no_longer_allowed: witness(less), settled }
    }
}

fn witness(excess: Excess) -> Option<String> {
    match excess {
        Excess::Request(request) => Some(request.to_string()),
        Excess::Nothing | Excess::Unknown => None,
    }
}
