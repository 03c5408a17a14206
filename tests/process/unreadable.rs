//! Objects that were stored under CRDs without today's rules.

use std::time::Duration;

use amigo_sandbox::Change;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use test_support::{
    Limits, TestEnv, eventually, install_crds, kubectl_command, operator_process::OperatorProcess, run,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The property of a spec.
fn property<'a>(definition: &'a mut CustomResourceDefinition, name: &str) -> &'a mut JSONSchemaProps {
    let schema = definition.spec.versions[0].schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
    let spec = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("spec")).expect("a spec");
    spec.properties.as_mut().and_then(|properties| properties.get_mut(name)).expect(name)
}

/// Installs CRDs that accept what today's reject.
async fn install_older_crds(env: &TestEnv) {
    let api: Api<CustomResourceDefinition> = Api::all(env.client.clone());
    for mut definition in amigo_api::all() {
        match definition.spec.names.kind.as_str() {
            "TemporaryPermissionGrant" => property(&mut definition, "notAfter").x_kubernetes_validations = None,
            "Role" => property(&mut definition, "frontendView").enum_.get_or_insert_default().push(JSON(json!("both"))),
            "RoleAssignment" => {
                property(&mut definition, "managementPolicy").enum_.get_or_insert_default().push(JSON(json!("both")));
            }
            _ => continue,
        }
        let parameters = PatchParams::apply("test").force();
        api.patch(&definition.name_any(), &parameters, &Patch::Apply(&definition)).await.expect("an older definition");
    }
}

/// Applies an object as soon as the API server follows the older CRD.
async fn apply_odd(env: &TestEnv, yaml: &str) {
    eventually(TIMEOUT, "the older CRD is served", || async { env.try_apply(yaml).await.ok() }).await;
}

async fn restore_crds(env: &TestEnv, odd: &str) {
    install_crds(&env.client).await;
    let again = odd.replace("name: ", "name: again-");
    eventually(TIMEOUT, "today's CRD is served", || async {
        env.kubectl_with(&["create", "--dry-run=server", "--filename=-"], &again)
            .stderr
            .contains("invalid")
            .then_some(())
    })
    .await;
}

fn request(name: &str, not_after: &str) -> String {
    format!(
        "{{apiVersion: permissions.amigo.ai/v1alpha1, kind: TemporaryPermissionGrant, metadata: {{name: {name}}},
        spec: {{organizationRef: {{name: acme}}, user: {{email: eng@example.com}}, justification: 'SUP-1: a good reason',
        conversation: {{id: abc123def456abc123def456}}, duration: PT30M, notAfter: '{not_after}'}}}}"
    )
}

fn role(name: &str, view: &str, finalizers: &str) -> String {
    format!(
        "{{apiVersion: permissions.amigo.ai/v1alpha1, kind: Role, metadata: {{name: {name}, finalizers: [{finalizers}]}},
        spec: {{organizationRef: {{name: acme}}, description: Reads, deletionPolicy: Disable, frontendView: {view},
        permissionGrants: [{{permissionName: 'Conversation:GetMessage',
        conditions: {{org_id: {{type: Equals, value: '{{self_org_id}}'}}}}}}]}}}}"
    )
}

fn assignment(name: &str, user: &str, policy: &str, finalizers: &str) -> String {
    format!(
        "{{apiVersion: permissions.amigo.ai/v1alpha1, kind: RoleAssignment, metadata: {{name: {name}, finalizers: [{finalizers}]}},
        spec: {{organizationRef: {{name: acme}}, user: {{userId: {user}}}, roleName: DefaultUserRole,
        fallbackRoleName: Engineer, managementPolicy: {policy}}}}}"
    )
}

fn amigo(env: &TestEnv, arguments: &[&str]) -> test_support::Run {
    run(kubectl_command(env.plane()).arg("amigo").args(arguments).args(["--namespace", &env.namespace]))
}

async fn start(env: &TestEnv) -> OperatorProcess {
    let operator = OperatorProcess::start(env.plane(), &[]);
    operator.until_leading().await;
    operator
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_request_is_reported_and_revocable() {
    let env = TestEnv::exclusive("unreadable", Limits::Lifted).await;
    install_older_crds(&env).await;
    let never = request("never", "9999-12-31T23:59:59Z");
    apply_odd(&env, &never).await;
    restore_crds(&env, &never).await;
    let operator = start(&env).await;
    env.apply(&request("other", "2999-01-31T18:00:00Z")).await;
    env.until_ready("tpg", "other").await;
    let note = env.until_event("never", "Unreadable").await;
    assert!(note.contains("spec.notAfter"), "{note}");
    let metric = r#"organization="",ready="Unknown",reason="Unreadable"} 1"#;
    eventually(TIMEOUT, "it is counted", || async { operator.page("/metrics").await.contains(metric).then_some(()) })
        .await;
    let list = amigo(&env, &["conversation", "list-access", "-e", "acme", "--all"]);
    assert!(list.code == 0 && list.stdout.contains("other"), "{list:?}");
    let warning =
        format!("left out TemporaryPermissionGrant {}/never: it cannot be read: spec.notAfter", env.namespace);
    assert!(list.stderr.contains(&warning), "{list:?}");
    let status = amigo(&env, &["status", "never"]);
    assert!(
        status.code == 0 && status.stdout.contains("Ready is Unknown") && status.stdout.contains("Unreadable"),
        "{status:?}"
    );
    let revoked = amigo(&env, &["revoke", "never"]);
    assert!(revoked.code == 0 && revoked.stderr.contains("because the request cannot be read"), "{revoked:?}");
    env.until_gone("tpg", "never").await;
    eventually(TIMEOUT, "it is not counted", || async {
        (!operator.page("/metrics").await.contains(metric)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_to_unreadable_blocks_no_deletion() {
    let env = TestEnv::exclusive("edited", Limits::Lifted).await;
    let _operator = start(&env).await;
    env.apply(&role("edited", "client", "")).await;
    env.until_ready("amrole", "edited").await;
    install_older_crds(&env).await;
    let patch = r#"{"spec": {"frontendView": "both"}}"#;
    let edit = ["patch", "amrole", "edited", "--type=merge", "--patch", patch];
    eventually(TIMEOUT, "the older CRD is served", || async { env.kubectl(&edit).success.then_some(()) }).await;
    let unread = role("unread", "both", "permissions.amigo.ai/disable-role");
    apply_odd(&env, &unread).await;
    restore_crds(&env, &unread).await;
    env.until_event("edited", "Unreadable").await;
    env.until_event("unread", "Unreadable").await;
    env.delete("amrole", "edited").await;
    env.delete("amrole", "unread").await;
    env.until_gone("amrole", "edited").await;
    env.until_gone("amrole", "unread").await;
    // The last readable version says what to clean up.
    let is_emptied = |change: &Change| matches!(change, Change::RoleModified { .. });
    assert_eq!(env.sandbox().journal().iter().filter(|commit| is_emptied(&commit.change)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_assignment_still_falls_back() {
    const COLLEAGUE: &str = "user-colleague-51d0";
    let env = TestEnv::exclusive("assigned", Limits::Lifted).await;
    let _operator = start(&env).await;
    env.apply(&assignment("edited", COLLEAGUE, "Manage", "")).await;
    env.until_ready("amra", "edited").await;
    assert_eq!(env.sandbox().user_role("acme", COLLEAGUE).as_deref(), Some("DefaultUserRole"));
    install_older_crds(&env).await;
    let patch = r#"{"spec": {"managementPolicy": "both"}}"#;
    let edit = ["patch", "amra", "edited", "--type=merge", "--patch", patch];
    eventually(TIMEOUT, "the older CRD is served", || async { env.kubectl(&edit).success.then_some(()) }).await;
    let unread = assignment("unread", "user-eng-2c91", "both", "permissions.amigo.ai/assign-fallback-role");
    apply_odd(&env, &unread).await;
    restore_crds(&env, &unread).await;
    for name in ["edited", "unread"] {
        env.until_event(name, "Unreadable").await;
        env.delete("amra", name).await;
        env.until_gone("amra", name).await;
    }
    // The last readable version says what to clean up.
    assert_eq!(env.sandbox().user_role("acme", COLLEAGUE).as_deref(), Some("Engineer"));
}
