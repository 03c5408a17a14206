//! Validate: whether the object may use its Organization, and whether it decides the user's role.

use amigo_api::{ManagementPolicy, Role, RoleAssignment, conditions, reasons, reasons::condition};
use amigo_client::RemoteUser;
use amigo_lifecycle::{Failure, RetryClass};
use kube::{ResourceExt as _, runtime::reflector::ObjectRef};

use super::Scope;
use crate::controller::{
    access::{Access, Target},
    context::Context,
    ownership::{object_name, older_owner},
};

/// The connection to use.
pub fn validate<'a>(assignment: &RoleAssignment, access: &'a Access) -> Result<Target<'a>, Failure> {
    access.target(assignment, &assignment.spec.organization_ref.name)
}

/// The role's name at Amigo: from `roleName`, or from a Role object that is ready.
pub fn desired_role(assignment: &RoleAssignment, context: &Context) -> Result<String, Failure> {
    let Some(reference) = &assignment.spec.role_ref else {
        return Ok(assignment.spec.role_name.clone().unwrap_or_default());
    };
    let namespace = assignment.namespace().unwrap_or_default();
    let role = context.stores.roles.get(&ObjectRef::<Role>::new(&reference.name).within(&namespace));
    let not_ready = |message: String| Failure::new(reasons::ROLE_NOT_READY, RetryClass::Transient, message);
    let Some(role) = role else {
        return Err(not_ready(format!("Role {namespace}/{} does not exist", reference.name)));
    };
    if role.spec.organization_ref != assignment.spec.organization_ref {
        let message =
            format!("Role {namespace}/{} belongs to Organization {}", reference.name, role.spec.organization_ref.name);
        return Err(Failure::new(reasons::INVALID_SPEC, RetryClass::Persistent, message));
    }
    let is_ready = role.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, condition::READY));
    if is_ready {
        Ok(role.remote_name())
    } else {
        Err(not_ready(format!("Role {namespace}/{} is not ready", reference.name)))
    }
}

/// Whether the object changes the role of its user. Any number of objects may observe one user.
fn manages(assignment: &RoleAssignment) -> bool {
    assignment.spec.management_policy == ManagementPolicy::Manage
}

impl Scope<'_> {
    /// Fails if an older object that may use the Organization decides the role of this user. A user has one role.
    pub(super) fn yield_to_older_owner(&self, user: &RemoteUser) -> Result<(), Failure> {
        if !manages(self.assignment) {
            return Ok(());
        }
        let assignments = self.context.stores.assignments.state();
        let same_user = |rival: &&RoleAssignment| {
            let by_id = self.known_user_id(rival).as_deref() == Some(&user.user_id);
            let email = rival.spec.user.email.as_deref();
            let by_email = email.is_some_and(|email| email.eq_ignore_ascii_case(&user.email));
            manages(rival) && self.shares_organization(rival) && (by_id || by_email)
        };
        let rivals = assignments.iter().map(AsRef::as_ref).filter(same_user);
        let Some(owner) = older_owner(self.assignment, rivals) else { return Ok(()) };
        let message = format!(
            "the older RoleAssignment {} sets the role of user {}. Delete one of the two objects",
            object_name(owner),
            user.user_id
        );
        Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
    }
}
