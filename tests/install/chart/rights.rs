//! The operator with nothing but what the chart gives it.

use std::{fs, time::Duration};

use amigo_api::{Role, RoleAssignment, TemporaryPermissionGrant};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, api::DeleteParams};
use serde::de::DeserializeOwned;
use serde_json::Value;
use test_support::{
    CHARTS_OPERATOR, eventually,
    operator_process::OperatorProcess,
    process_env::{Limits, Site},
};
use test_support::{
    helm::{chart, helm_on},
    repository,
};

const WITHIN: Duration = Duration::from_mins(3);
const NAMESPACE: &str = "default";

/// Installs the chart where a site has its Secret.
fn install(site: &Site) {
    let chart = chart().display().to_string();
    // The kinds are there, and the Organization is the site's.
    let values =
        "--set=crds.install=false,api.allowPlainHttp=true,api.allowedHosts={127.0.0.1},rbac.secretNames={acme}";
    let arguments = ["upgrade", "--install", "amigo-operator", &chart, "--namespace", NAMESPACE, values];
    helm_on(site.cluster.plane(), &arguments).expect("an install");
}

fn uninstall(site: &Site) {
    helm_on(site.cluster.plane(), &["uninstall", "amigo-operator", "--namespace", NAMESPACE]).expect("an uninstall");
}

/// A kubeconfig with a token of the chart's `ServiceAccount` in place of the administrator's.
fn kubeconfig(site: &Site) -> String {
    let create = ["create", "token", "amigo-operator", "--namespace", NAMESPACE, "--duration=1h"];
    let token = site.cluster.kubectl(&create).expect("a token");
    let mut kubeconfig: Value = serde_saphyr::from_str(&site.cluster.plane().kubeconfig()).expect("a kubeconfig");
    for user in kubeconfig["users"].as_array_mut().expect("users") {
        user["user"]["token"] = token.trim().into();
    }
    kubeconfig.to_string()
}

/// Starts the operator with the arguments of the chart's Deployment.
fn start(site: &Site) -> OperatorProcess {
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    let get = ["get", "deployment", "amigo-operator", "--namespace", NAMESPACE, "--output", path];
    let arguments: Vec<String> =
        serde_json::from_str(&site.cluster.kubectl(&get).expect("the Deployment")).expect("its arguments");
    let ours = |argument: &&str| *argument != "run" && !argument.starts_with("--listen");
    OperatorProcess::start_as(&kubeconfig(site), &arguments.iter().map(String::as_str).filter(ours).collect::<Vec<_>>())
}

async fn apply_example(site: &Site, file: &str) {
    let text = fs::read_to_string(repository("examples").join(file)).expect("an example");
    // Policies are in force a moment after they were made, and the one that judges may be sooner than the one that fills.
    let judged = ["apply", "--dry-run=server", "--namespace=default", "--filename=-"];
    let taken = || async { site.cluster.kubectl_with(&judged, &text).success.then_some(()) };
    eventually(WITHIN, file, taken).await;
    site.cluster.apply(&text).await.expect(file);
}

async fn until_ready(site: &Site, object: &str) {
    let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
    let get = ["get", object, "--namespace", NAMESPACE, "--output", path];
    eventually(WITHIN, object, || async { (site.cluster.kubectl(&get).stdout == "True").then_some(()) }).await;
}

async fn until_gone<K>(site: &Site, name: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(site.cluster.client.clone(), NAMESPACE);
    api.delete(name, &DeleteParams::default()).await.expect("a deletion");
    eventually(WITHIN, name, || async { api.get_opt(name).await.expect("an answer").is_none().then_some(()) }).await;
}

/// What the API server refused to the chart's operator: its lines of the audit log.
fn refused(site: &Site) -> Vec<Value> {
    audited(site).into_iter().filter(|line| line["responseStatus"]["code"] == 403).collect()
}

fn audited(site: &Site) -> Vec<Value> {
    let log = fs::read_to_string(site.cluster.plane().audit_log()).expect("the API server's audit log");
    // The last line may be half written.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["user"]["username"] == CHARTS_OPERATOR).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chart_rights_suffice_for_every_kind() {
    let site = Site::new("rights", Limits::Lifted).await;
    install(&site);
    let operator = start(&site);
    operator.until_leading().await;
    until_ready(&site, "amorg/acme").await;
    for file in ["role-conversation-reviewer.yaml", "role-assignment.yaml", "grant-conversation.yaml"] {
        apply_example(&site, file).await;
    }
    until_ready(&site, "amrole/conversation-reviewer").await;
    until_ready(&site, "amra/colleague").await;
    until_ready(&site, "tpg/conversation-abc123").await;
    // A request whose time is over is the only object that the operator deletes.
    let short = site.ask("short", 1, "PT1M").await;
    eventually(WITHIN, "the short grant is gone", || async {
        let left = site.grants.get_opt(short.metadata.name.as_deref().unwrap_or_default()).await.expect("an answer");
        left.is_none().then_some(())
    })
    .await;
    until_gone::<RoleAssignment>(&site, "colleague").await;
    until_gone::<Role>(&site, "conversation-reviewer").await;
    until_gone::<TemporaryPermissionGrant>(&site, "conversation-abc123").await;
    operator.terminate();
    let refused = refused(&site);
    assert!(refused.is_empty(), "refused to the operator: {refused:#?}");
    assert!(audited(&site).len() > 20, "the operator's requests are in the audit log");
    let log = operator.log();
    assert!(!log.to_lowercase().contains("forbidden") && log.contains("this replica leads"), "{log}");
    uninstall(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn chart_rights_equal_the_golden_file() {
    let site = Site::new("can-i", Limits::Lifted).await;
    install(&site);
    let golden =
        fs::read_to_string(repository("tests/install/chart/can-i.golden")).expect("tests/install/chart/can-i.golden");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    fs::write(&path, kubeconfig(&site)).expect("a kubeconfig");
    let kubeconfig = format!("--kubeconfig={}", path.display());
    let list = |namespace: &str| {
        let list = ["auth", "can-i", "--list", "--namespace", namespace, &kubeconfig];
        sorted(&site.cluster.kubectl(&list).expect("a list"))
    };
    let text = format!("# In its own namespace\n{}\n# In every other\n{}", list(NAMESPACE), list("kube-system"));
    uninstall(&site);
    assert_eq!(text, golden, "what is right for the operator goes into tests/install/chart/can-i.golden");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_can_do_what_their_role_names() {
    let site = Site::new("people", Limits::Lifted).await;
    install(&site);
    for role in ["viewer", "requester", "role-editor"] {
        let role_name = format!("--clusterrole={NAMESPACE}-amigo-operator-{role}");
        site.cluster.kubectl(&["create", "rolebinding", role, &role_name, &format!("--user={role}")]).expect(role);
    }
    let may = |role: &str, verb: &str, what: &str| {
        site.cluster.kubectl(&["auth", "can-i", verb, what, "--as", role]).stdout.trim() == "yes"
    };
    for (role, verb, what, expected) in PEOPLE {
        assert_eq!(may(role, verb, &format!("{what}.permissions.amigo.ai")), *expected, "{role} {verb} {what}");
    }
    for role in ["viewer", "requester", "role-editor"] {
        let status = ["auth", "can-i", "update", "tpg.permissions.amigo.ai", "--subresource=status", "--as", role];
        assert_eq!(site.cluster.kubectl(&status).stdout.trim(), "no", "{role} writes status");
        assert!(!may(role, "get", "secrets"), "{role} reads Secrets");
    }
    uninstall(&site);
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
];

/// The API server gives the rules in no order.
fn sorted(table: &str) -> String {
    let mut lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    if let Some((_, rules)) = lines.split_first_mut() {
        rules.sort_unstable();
    }
    lines.join("\n") + "\n"
}
