//! The operator with nothing but what the chart gives it.

use std::{fs, time::Duration};

use amigo_api::{Role, RoleAssignment, TemporaryPermissionGrant};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, api::DeleteParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_support::{CHARTS_OPERATOR, Limits, TestEnv, eventually, operator_process::OperatorProcess};
use test_support::{
    helm::{chart, helm_on},
    repository,
};

const WITHIN: Duration = Duration::from_mins(3);
const NAMESPACE: &str = "default";

/// Installs the chart where a env has its Secret.
fn install(env: &TestEnv) {
    let chart = chart().display().to_string();
    // The kinds are there, and the Organization is the env's.
    let values = "--set=crds.install=false,api.allowedHosts={http://127.0.0.1},rbac.secretNames={acme}";
    let arguments = ["upgrade", "--install", "amigo-operator", &chart, "--namespace", NAMESPACE, values];
    helm_on(env.plane(), &arguments).expect("an install");
}

fn uninstall(env: &TestEnv) {
    helm_on(env.plane(), &["uninstall", "amigo-operator", "--namespace", NAMESPACE]).expect("an uninstall");
}

/// A kubeconfig with a token of the chart's `ServiceAccount` in place of the administrator's.
fn kubeconfig(env: &TestEnv) -> String {
    let create = ["create", "token", "amigo-operator", "--namespace", NAMESPACE, "--duration=1h"];
    let token = env.kubectl(&create).expect("a token");
    let mut kubeconfig: Value = serde_saphyr::from_str(&env.plane().kubeconfig()).expect("a kubeconfig");
    for user in kubeconfig["users"].as_array_mut().expect("users") {
        user["user"]["token"] = token.trim().into();
    }
    kubeconfig.to_string()
}

/// Starts the operator with the arguments of the chart's Deployment.
fn start(env: &TestEnv) -> OperatorProcess {
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    let get = ["get", "deployment", "amigo-operator", "--namespace", NAMESPACE, "--output", path];
    let arguments: Vec<String> =
        serde_json::from_str(&env.kubectl(&get).expect("the Deployment")).expect("its arguments");
    let ours = |argument: &&str| *argument != "run" && !argument.starts_with("--listen");
    OperatorProcess::start_as(&kubeconfig(env), &arguments.iter().map(String::as_str).filter(ours).collect::<Vec<_>>())
}

async fn apply_example(env: &TestEnv, file: &str) {
    let text = fs::read_to_string(repository("examples").join(file)).expect("an example");
    // Policies are in force a moment after they were made, and the one that judges may be sooner than the one that fills.
    let judged = ["apply", "--dry-run=server", "--namespace=default", "--filename=-"];
    let taken = || async { env.kubectl_with(&judged, &text).success.then_some(()) };
    eventually(WITHIN, file, taken).await;
    env.try_apply(&text).await.expect(file);
}

async fn until_ready(env: &TestEnv, object: &str) {
    let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
    let get = ["get", object, "--namespace", NAMESPACE, "--output", path];
    eventually(WITHIN, object, || async { (env.kubectl(&get).stdout == "True").then_some(()) }).await;
}

async fn until_gone<K>(env: &TestEnv, name: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(env.client.clone(), NAMESPACE);
    api.delete(name, &DeleteParams::default()).await.expect("a deletion");
    eventually(WITHIN, name, || async { api.get_opt(name).await.expect("an answer").is_none().then_some(()) }).await;
}

/// What the API server refused to the chart's operator: its lines of the audit log.
fn refused(env: &TestEnv) -> Vec<Value> {
    audited(env).into_iter().filter(|line| line["responseStatus"]["code"] == 403).collect()
}

fn audited(env: &TestEnv) -> Vec<Value> {
    let log = fs::read_to_string(env.plane().audit_log()).expect("the API server's audit log");
    // The last line may be half written.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["user"]["username"] == CHARTS_OPERATOR).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chart_rights_suffice_for_every_kind() {
    let env = TestEnv::exclusive("rights", Limits::Lifted).await;
    install(&env);
    let operator = start(&env);
    operator.until_leading().await;
    until_ready(&env, "amorg/acme").await;
    for file in ["role-conversation-reviewer.yaml", "role-assignment.yaml", "grant-conversation.yaml"] {
        apply_example(&env, file).await;
    }
    until_ready(&env, "amrole/conversation-reviewer").await;
    until_ready(&env, "amra/colleague").await;
    until_ready(&env, "tpg/conversation-abc123").await;
    // A request whose time is over is the only object that the operator deletes.
    let short = env.create_grant("short", 1, "PT1M").await;
    eventually(WITHIN, "the short grant is gone", || async {
        let left = env.grants().get_opt(short.metadata.name.as_deref().unwrap_or_default()).await.expect("an answer");
        left.is_none().then_some(())
    })
    .await;
    until_gone::<RoleAssignment>(&env, "colleague").await;
    until_gone::<Role>(&env, "conversation-reviewer").await;
    until_gone::<TemporaryPermissionGrant>(&env, "conversation-abc123").await;
    operator.terminate();
    let refused = refused(&env);
    assert!(refused.is_empty(), "refused to the operator: {refused:#?}");
    assert!(audited(&env).len() > 20, "the operator's requests are in the audit log");
    let log = operator.log();
    assert!(!log.to_lowercase().contains("forbidden") && log.contains("this replica is the leader"), "{log}");
    uninstall(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn chart_rights_equal_the_golden_file() {
    let env = TestEnv::exclusive("can-i", Limits::Lifted).await;
    install(&env);
    let golden =
        fs::read_to_string(repository("tests/install/chart/can-i.golden")).expect("tests/install/chart/can-i.golden");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    fs::write(&path, kubeconfig(&env)).expect("a kubeconfig");
    let kubeconfig = format!("--kubeconfig={}", path.display());
    let list = |namespace: &str| {
        let list = ["auth", "can-i", "--list", "--namespace", namespace, &kubeconfig];
        sorted(&env.kubectl(&list).expect("a list"))
    };
    let text = format!("# In its own namespace\n{}\n# In every other\n{}", list(NAMESPACE), list("kube-system"));
    uninstall(&env);
    assert_eq!(text, golden, "what is right for the operator goes into tests/install/chart/can-i.golden");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_can_do_what_their_role_names() {
    let env = TestEnv::exclusive("people", Limits::Lifted).await;
    install(&env);
    for role in ["viewer", "requester", "role-editor"] {
        let role_name = format!("--clusterrole={NAMESPACE}-amigo-operator-{role}");
        env.kubectl(&["create", "rolebinding", role, &role_name, &format!("--user={role}")]).expect(role);
    }
    let may = |role: &str, verb: &str, what: &str| {
        env.kubectl(&["auth", "can-i", verb, what, "--as", role]).stdout.trim() == "yes"
    };
    for (role, verb, what, expected) in PEOPLE {
        assert_eq!(may(role, verb, &format!("{what}.permissions.amigo.ai")), *expected, "{role} {verb} {what}");
    }
    for role in ["viewer", "requester", "role-editor"] {
        let status = ["auth", "can-i", "update", "tpg.permissions.amigo.ai", "--subresource=status", "--as", role];
        assert_eq!(env.kubectl(&status).stdout.trim(), "no", "{role} writes status");
        assert!(!may(role, "get", "secrets"), "{role} reads Secrets");
    }
    uninstall(&env);
}

const PEOPLE: &[(&str, &str, &str, bool)] = &[
    ("viewer", "list", "temporarypermissiongrants", true),
    ("viewer", "get", "roleassignments", true),
    ("viewer", "create", "temporarypermissiongrants", false),
    ("viewer", "delete", "temporarypermissiongrants", false),
    ("requester", "create", "temporarypermissiongrants", true),
    ("requester", "delete", "temporarypermissiongrants", true),
    ("requester", "update", "temporarypermissiongrants", false),
    ("requester", "create", "roles", false),
    ("role-editor", "create", "roles", true),
    ("role-editor", "patch", "roleassignments", true),
    ("role-editor", "create", "temporarypermissiongrants", false),
    ("role-editor", "create", "organizations", false),
    ("role-editor", "assign-role", "roleassignments", false),
    ("role-editor", "override-role", "roles", false),
];

/// What the built-in role gives a namespace's owner: the rules of all cluster roles that are aggregated to it. The
/// control plane of the tests has no controller that does this.
fn aggregate(env: &TestEnv) {
    let get = ["get", "clusterroles", "--output=json", "--selector"];
    let rules = ["view", "edit", "admin"].map(|target| {
        let selector = format!("rbac.authorization.k8s.io/aggregate-to-{target}=true");
        let list: Value = serde_json::from_str(&env.kubectl(&[get.as_slice(), &[&selector]].concat()).expect("a list"))
            .expect("JSON");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default()).collect::<Vec<_>>()
    });
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "namespace-owner"},
        "rules": rules.concat(),
    });
    env.kubectl_with(&["apply", "--filename=-"], &role.to_string()).expect("a role");
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_owner_can_neither_assign_nor_edit() {
    let env = TestEnv::exclusive("owner", Limits::Lifted).await;
    install(&env);
    aggregate(&env);
    env.kubectl(&["create", "rolebinding", "owner", "--clusterrole=namespace-owner", "--user=owner"])
        .expect("a binding");
    for file in ["role-viewer.yaml", "role-assignment.yaml", "grant-conversation.yaml"] {
        let text = fs::read_to_string(repository("examples").join(file)).expect("an example");
        let create = ["create", "--as=owner", "--namespace", &env.namespace, "--filename=-"];
        let refused = env.kubectl_with(&create, &text.replace("  namespace: default\n", ""));
        assert!(refused.stderr.contains("cannot create resource"), "{file}: {refused:?}");
    }
    let configmap = ["auth", "can-i", "create", "configmaps", "--as=owner"];
    assert_eq!(env.kubectl(&configmap).stdout.trim(), "yes", "an owner of the namespace");
    uninstall(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_release_is_refused() {
    let env = TestEnv::exclusive("second", Limits::Lifted).await;
    install(&env);
    let chart = chart().display().to_string();
    let second = ["install", "second", &chart, "--namespace", &env.namespace, "--set=crds.install=false"];
    let refused = helm_on(env.plane(), &second);
    let message =
        "release amigo-operator in default already runs amigo-operator in this cluster: upgrade it, or uninstall";
    assert!(!refused.success && refused.stderr.contains(message), "{refused:?}");
    install(&env);
    uninstall(&env);
}

/// The API server gives the rules in no order.
fn sorted(table: &str) -> String {
    let mut lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    if let Some((_, rules)) = lines.split_first_mut() {
        rules.sort_unstable();
    }
    lines.join("\n") + "\n"
}
