//! Whether the user's role lacks a permission that insights need besides the requested ones.

use amigo_api::{Role, RoleAssignment, Stored, TemporaryPermissionGrant};
use amigo_permissions::Action;
use kube::Api;

use crate::kubernetes::Kubernetes;

/// Amigo reads the interaction insights of a conversation only for users who also have this permission (API document).
const NEEDED: &str = "Organization:GetServiceHierarchicalStateMachine";

/// One line if the cluster knows the user's role, and the role lacks the permission. Nothing if the caller may not read
/// the objects.
pub async fn hint(grant: &TemporaryPermissionGrant, kubernetes: &Kubernetes) -> Option<String> {
    let assignments: Api<Stored<RoleAssignment>> = kubernetes.api();
    let all = kubernetes.list(&assignments, None, "list RoleAssignments").await.ok()?;
    let assignment = all.iter().find(|assignment| is_of(assignment, grant))?;
    let roles: Api<Stored<Role>> = kubernetes.api();
    let role = kubernetes.find(&roles, &assignment.spec.role_ref.as_ref()?.name, "read the Role").await.ok()??;
    (!allows(&role)).then(|| {
        format!(
            "Insights also need {NEEDED}, which role {} of {} does not allow.",
            role.remote_name(),
            grant.spec.user.label()
        )
    })
}

fn is_of(assignment: &RoleAssignment, grant: &TemporaryPermissionGrant) -> bool {
    let (assigned, user) = (&assignment.spec.user, &grant.spec.user);
    let same_email =
        matches!((&assigned.email, &user.email), (Some(one), Some(other)) if one.eq_ignore_ascii_case(other));
    let id = grant.status.as_ref().and_then(|status| status.user_id.as_ref()).or(user.user_id.as_ref());
    let same_id = assigned.user_id.is_some() && assigned.user_id.as_ref() == id;
    assignment.spec.organization_ref == grant.spec.organization_ref && (same_email || same_id)
}

fn allows(role: &Role) -> bool {
    let mut grants = role.spec.permission_grants.iter().filter(|grant| grant.permission_name == NEEDED);
    grants.any(|grant| grant.action == Action::Allow)
}

#[cfg(test)]
mod tests {
    use amigo_api::{NameReference, RoleAssignmentSpec, RoleGrant, RoleSpec, UserReference};

    use super::*;
    use crate::fixtures::request;

    #[test]
    fn role_without_the_permission_lacks_it() {
        let role = |name: &str, action| {
            let grant = RoleGrant { action, permission_name: name.to_owned(), ..RoleGrant::default() };
            Role::new("one", RoleSpec { permission_grants: vec![grant], ..RoleSpec::default() })
        };
        assert!(allows(&role(NEEDED, Action::Allow)));
        assert!(!allows(&role(NEEDED, Action::Deny)) && !allows(&role("Organization:GetAgent", Action::Allow)));
    }

    #[test]
    fn assignment_matches_the_user_of_the_organization() {
        let grant = request("one", |_| ());
        let assignment = |email: &str, organization: &str| {
            let user = UserReference { email: Some(email.to_owned()), user_id: None };
            let organization_ref = NameReference { name: organization.to_owned() };
            RoleAssignment::new("one", RoleAssignmentSpec { user, organization_ref, ..RoleAssignmentSpec::default() })
        };
        let (email, organization) = (grant.spec.user.label().to_owned(), grant.spec.organization_ref.name.clone());
        assert!(is_of(&assignment(&email.to_uppercase(), &organization), &grant));
        assert!(!is_of(&assignment(&email, "other"), &grant) && !is_of(&assignment("x@y.z", &organization), &grant));
    }
}
