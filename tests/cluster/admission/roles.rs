//! Roles and who has them.

use serde_json::{Value, json};
use test_support::ENGINEER;
use test_support::policies::PolicyEnv;

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
    let policies = PolicyEnv::new("staff", &[]).await;
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
