//! Releases on a real API server. It has no nodes, so nothing is waited for and `helm test` cannot run.

use std::time::Duration;

use test_support::helm::{chart, helm_on, older_chart, values};
use test_support::{Run, TestEnv, eventually, turn};

/// A release in a namespace of its own, on a cluster that does not know the kinds yet.
struct Release {
    env: TestEnv,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl Release {
    async fn none_yet(prefix: &str) -> Self {
        let turn = turn().await;
        let env = TestEnv::new(prefix).await;
        for definition in amigo_api::all() {
            let name = definition.metadata.name.expect("a name");
            env.kubectl(&["delete", "--ignore-not-found", "customresourcedefinition", &name]).expect("no CRDs");
        }
        Self { env, _turn: turn }
    }

    fn helm(&self, arguments: &[&str]) -> String {
        let namespace = ["--namespace", &self.env.namespace];
        helm_on(self.env.plane(), &[arguments, &namespace].concat()).expect(&format!("helm {arguments:?}"))
    }

    fn install(&self, flags: &[&str]) -> String {
        self.helm(&[&["install", "amigo-operator", &chart().display().to_string()], flags].concat())
    }

    fn upgrade(&self, flags: &[&str]) -> String {
        self.helm(&[&["upgrade", "amigo-operator", &chart().display().to_string()], flags].concat())
    }

    fn uninstall(&self) {
        self.helm(&["uninstall", "amigo-operator"]);
    }

    fn get(&self, kind: &str, output: &str) -> Run {
        self.env.kubectl(&["get", kind, "--ignore-not-found", "--output", output])
    }

    fn organizations(&self) -> String {
        self.get("organizations", "jsonpath={.items[*].metadata.name}").expect("Organizations")
    }

    /// How many of the operator's definitions are there.
    fn definitions(&self) -> usize {
        let names = self.get("customresourcedefinitions", "name").expect("CRDs");
        names.lines().filter(|name| name.ends_with(".permissions.amigo.ai")).count()
    }

    async fn until_definitions_are_gone(&self) {
        let what = "no definition is left";
        eventually(Duration::from_secs(30), what, || async { (self.definitions() == 0).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn install_creates_and_upgrade_keeps_organizations() {
    let release = Release::none_yet("first").await;
    release.install(&["--values", &values("organizations")]);
    assert_eq!(release.organizations(), "acme acme-eu");
    let uid = || release.get("organization/acme", "jsonpath={.metadata.uid}").expect("acme");
    let before = uid();
    release.upgrade(&["--values", &values("organizations")]);
    assert_eq!(uid(), before, "the same object");
    release.upgrade(&["--reset-values"]);
    assert_eq!(release.organizations(), "", "the release owns them by now");
    release.uninstall();
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_to_the_first_install_keeps_organizations() {
    let release = Release::none_yet("rollback").await;
    release.install(&["--set=sandbox.enabled=true"]);
    release.upgrade(&["--set=sandbox.enabled=true,replicas=3"]);
    release.helm(&["rollback", "amigo-operator", "1"]);
    assert_eq!(release.organizations(), "acme");
    release.uninstall();
    assert_eq!(release.organizations(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_keeps_crds_and_objects_of_users() {
    let release = Release::none_yet("kept").await;
    release.install(&["--set=sandbox.enabled=true"]);
    release.env.apply(&organization("by-hand")).await;
    release.uninstall();
    assert_eq!(release.definitions(), 4);
    assert_eq!(release.organizations(), "by-hand");
    let left = "deployments,services,secrets,serviceaccounts,roles.rbac.authorization.k8s.io,networkpolicies";
    assert_eq!(release.get(left, "name").expect("what is left"), "");
    release.install(&["--set=sandbox.enabled=true"]);
    assert_eq!(release.organizations(), "acme by-hand");
    release.uninstall();
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_removes_crds_if_keep_is_false() {
    let release = Release::none_yet("removed").await;
    release.install(&["--set=sandbox.enabled=true,crds.keep=false"]);
    assert_eq!(release.definitions(), 4);
    release.uninstall();
    release.until_definitions_are_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_brings_new_definitions() {
    let release = Release::none_yet("upgrade").await;
    let older = older_chart();
    let short_names = || {
        let path = "jsonpath={.spec.names.shortNames}";
        release.get("customresourcedefinition/roles.permissions.amigo.ai", path).expect("a definition")
    };
    release.helm(&["install", "amigo-operator", &older.path().join("chart").display().to_string()]);
    assert_eq!(short_names(), "");
    release.upgrade(&[]);
    assert_eq!(short_names(), r#"["amrole"]"#);
    release.uninstall();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_say_the_next_command() {
    let release = Release::none_yet("notes").await;
    let notes = |flags: &[&str]| release.install(&[&["--dry-run=client"], flags].concat());
    let namespace = &release.env.namespace;
    assert!(notes(&[]).contains(&format!("kubectl --namespace {namespace} create secret generic acme")));
    assert!(notes(&["--set=sandbox.enabled=true"]).contains("kubectl --namespace default get tpg first --watch"));
    let connected = notes(&["--values", &values("organizations")]);
    assert!(connected.contains("create secret generic acme-eu-credentials"), "{connected}");
    assert!(connected.contains("kubectl wait --for=condition=Ready amorg/acme amorg/acme-eu"), "{connected}");
}

fn organization(name: &str) -> String {
    format!(
        "{{apiVersion: permissions.amigo.ai/v1alpha1, kind: Organization, metadata: {{name: {name}}}, \
         spec: {{organization: {name}, credentialsSecretRef: {{name: {name}}}}}}}"
    )
}
