//! Roles and who has them.

use serde_json::{Value, json};
use test_support::policies::PolicyEnv;
use test_support::{ENGINEER, TIMEOUT, eventually};

fn role(name: &str, spec: &Value) -> Value {
    let mut whole = json!({"organizationRef": {"name": "acme"}, "description": "Reads conversations"});
    whole.as_object_mut().expect("a spec").extend(spec.as_object().expect("members").clone());
    json!({
        "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": "Role", "metadata": {"name": name}, "spec": whole,
    })
}

fn assignment(spec: &Value) -> Value {
    let mut whole = json!({"organizationRef": {"name": "acme"}, "user": {"email": "colleague@example.com"}});
    whole.as_object_mut().expect("a spec").extend(spec.as_object().expect("members").clone());
    json!({
        "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": "RoleAssignment",
        "metadata": {"generateName": "assignment-"}, "spec": whole,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_looks_like_one_of_amigos_own() {
    let policies = PolicyEnv::new("default", &[]).await;
    let message =
        "the role name default-reader is reserved, because it begins with Default: choose another spec.roleName";
    policies.until_refused(message, || policies.create(ENGINEER, &role("default-reader", &json!({})))).await;
    for (name, spec, fits) in [
        ("reader", json!({"roleName": "DEFAULTUserRole"}), false),
        ("reader", json!({"roleName": "DefaultUserRole"}), false),
        ("reader", json!({}), true),
        ("default-writer", json!({"roleName": "writer"}), true),
    ] {
        assert_eq!(policies.create(ENGINEER, &role(name, &spec)).success, fits, "{name} {spec}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_given_amigos_own_staff_roles() {
    let policies = PolicyEnv::new("staff", &["--set=admission.roleAssignments.enabled=false"]).await;
    let give = |role: &str, fallback: &str| {
        policies.create(ENGINEER, &assignment(&json!({"roleName": role, "fallbackRoleName": fallback})))
    };
    let message = "this cluster does not allow assignments of the role DefaultSuperAdministratorRole: set another \
                   spec.roleName";
    policies.until_refused(message, || give("DefaultSuperAdministratorRole", "DefaultUserRole")).await;
    give("DefaultAdministratorRole", "DefaultUserRole").expect("roles of customers");
    let message = "this cluster does not allow assignments of the role DefaultAmigoAdministratorRole: set another \
                   spec.fallbackRoleName";
    policies.until_refused(message, || give("reader", "DefaultAmigoAdministratorRole")).await;
}

/// Binds one of the chart's roles to the engineer in the namespace.
fn bind(policies: &PolicyEnv, role: &str) {
    let role_name = format!("--clusterrole={}-amigo-operator-{role}", policies.env.namespace);
    let bind = ["create", "rolebinding", role, &role_name, &format!("--user={ENGINEER}")];
    policies.env.kubectl(&bind).expect("a binding");
}

#[tokio::test(flavor = "multi_thread")]
async fn assign_role_verb_permits_assignments() {
    let policies = PolicyEnv::new("assigner", &[]).await;
    let mut named = assignment(&json!({"roleName": "reader"}));
    named["metadata"] = json!({"name": "colleague"});
    let message = "eng@example.com cannot assign roles: get permission for the verb assign-role on roleassignments in \
                   namespace";
    policies.until_refused(message, || policies.create(ENGINEER, &named)).await;
    policies.env.apply(&named.to_string()).await;
    let patch = |patch: &str| {
        let patch = ["--context", ENGINEER, "patch", "amra", "colleague", "--type=merge", "--patch", patch];
        policies.env.kubectl(&patch)
    };
    patch(r#"{"metadata": {"labels": {"team": "support"}}}"#).expect("a label assigns nothing");
    let refused = patch(r#"{"spec": {"roleName": "administrator"}}"#);
    assert!(refused.stderr.contains("cannot assign roles"), "{refused:?}");
    bind(&policies, "role-assigner");
    let other = r#"{"spec": {"roleName": "writer"}}"#;
    eventually(TIMEOUT, "the verb counts", || async { patch(other).success.then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn override_role_verb_permits_overrides() {
    let policies = PolicyEnv::new("adopter", &[]).await;
    let overriding = role("reader", &json!({"adoption": "Override"}));
    let message = "eng@example.com cannot take over existing roles: set spec.adoption to IfMatches, or get permission for \
                   the verb override-role on roles in namespace";
    policies.until_refused(message, || policies.create(ENGINEER, &overriding)).await;
    policies.create(ENGINEER, &role("writer", &json!({}))).expect("a role that takes nothing over");
    let patch = ["--context", ENGINEER, "patch", "amrole", "writer", "--type=merge", "--patch"];
    let change = |spec: &str| policies.env.kubectl(&[patch.as_slice(), &[spec]].concat());
    assert!(change(r#"{"spec": {"adoption": "Override"}}"#).stderr.contains("cannot take over"));
    change(r#"{"spec": {"description": "Writes"}}"#).expect("another change");
    bind(&policies, "role-adopter");
    let taken = r#"{"spec": {"adoption": "Override"}}"#;
    eventually(TIMEOUT, "the verb counts", || async { change(taken).success.then_some(()) }).await;
}
