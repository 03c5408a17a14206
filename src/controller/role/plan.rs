//! Plan: from the listed roles to what to send. [`amigo_lifecycle::role::plan`] decides.

use amigo_api::{Role, RoleStatus};
use amigo_client::PermissionModel;
use amigo_lifecycle::role::{self, DesiredRole, Plan, PlanInput};

use crate::controller::{access::Target, connection::role_cache::Roles};

/// The object, and its status in this organization.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub role: &'a Role,
    /// The role's name at Amigo.
    pub name: &'a str,
    pub status: &'a RoleStatus,
}

/// A plan, and the facts that it rests on.
pub struct Planned<'a> {
    pub input: PlanInput<'a>,
    pub plan: Plan,
    /// The ID of the role at Amigo, if there is one.
    pub observed_id: Option<String>,
    /// The same, if this object created or adopted the role.
    pub owned_id: Option<String>,
}

impl Planned<'_> {
    pub fn sends_deny(&self) -> bool {
        self.input.deny_record(&self.plan).is_some()
    }

    pub fn changes_role(&self) -> bool {
        matches!(self.plan, Plan::Create(_) | Plan::Update { .. })
    }

    /// The key under which a rejection of this change is remembered.
    pub fn change_key(&self) -> String {
        format!("role {} {}", self.input.name, self.input.digest())
    }
}

pub fn plan<'a>(subject: Subject<'a>, roles: &Roles, target: &Target<'_>) -> Planned<'a> {
    let Subject { role, name, status } = subject;
    let (spec, connection) = (&role.spec, target.connection);
    let model = roles.model(connection.spec.permission_model);
    let input = PlanInput {
        name,
        spec,
        model,
        desired: DesiredRole::from_spec(spec, model),
        deny_observed: roles.detected == PermissionModel::AllowDeny,
        drift_policy: spec.drift_policy.unwrap_or_else(|| connection.drift_policy()),
        status,
        suspended: spec.suspend || connection.spec.suspend,
    };
    let observed = role::current(&roles.listed, name);
    let plan = role::plan(&input, observed);
    let owned_id = observed.filter(|observed| input.is_owner(observed)).map(|role| role.id.clone());
    Planned { input, plan, observed_id: observed.map(|role| role.id.clone()), owned_id }
}
