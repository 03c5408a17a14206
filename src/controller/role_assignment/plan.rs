//! Plan: keep the user's role, or assign another one.

use amigo_api::{ManagementPolicy, reasons};
use amigo_lifecycle::{Failure, RetryClass};

use super::{Scope, observe::Observed};

/// What to do with the user's role.
pub enum Plan {
    Keep,
    Assign,
}

/// Decides what to do.
///
/// # Errors
/// If the role must change, but the Organization is suspended or Amigo rejected the same change recently.
pub fn plan(observed: &Observed, scope: Scope<'_>) -> Result<Plan, Failure> {
    let Observed { user, role_name, has_role } = observed;
    if *has_role {
        return Ok(Plan::Keep);
    }
    let connection = scope.target.connection;
    if scope.assignment.spec.management_policy == ManagementPolicy::Observe {
        let message =
            format!("user {} has another role than {role_name}, and managementPolicy is Observe", user.user_id);
        return Err(Failure::new(reasons::DRIFTED, RetryClass::Persistent, message));
    }
    if let Some(what) = scope.suspended() {
        let message =
            format!("user {} has another role; the operator makes no changes while {what} is suspended", user.user_id);
        return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, message));
    }
    if scope.is_resync_requested() {
        return Ok(Plan::Assign);
    }
    // A rejection lasts a while, because Roles and Organizations wake all assignments.
    let rejection = connection.observed.refusal(&change_key(&user.user_id, role_name), scope.context.clock.boot());
    rejection.map_or(Ok(Plan::Assign), Err)
}

/// The key under which a rejection of this change is remembered.
pub fn change_key(user_id: &str, role_name: &str) -> String {
    format!("{user_id} {role_name}")
}
