//! The cluster the suite works on: the one a kubeconfig names, or a control plane of its own.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use amigo_dev::{ControlPlane, Options};
use serde_json::{Value, json};
use test_support::helm::helm_at;
use test_support::{Run, assets, eventually};

use super::release::{NAMESPACE, RELEASE};
use super::users::{OPERATOR, TEAM};

const WITHIN: Duration = Duration::from_mins(2);
/// The label of the namespace in which the suite installs the chart.
const MARK: &str = "amigo-operator-e2e=suite";

/// A cluster, as its administrator sees it.
pub struct Cluster {
    /// Whether something runs pods here.
    pub has_nodes: bool,
    kubeconfig: OsString,
    kubectl: PathBuf,
    plane: Option<ControlPlane>,
}

impl Cluster {
    /// The cluster that `E2E_KUBECONFIG` names; without it, a control plane of the suite's own.
    pub async fn find() -> Self {
        let given = env::var_os("E2E_KUBECONFIG").filter(|given| !given.is_empty());
        let mut cluster = match given {
            Some(kubeconfig) => Self { has_nodes: false, kubeconfig, kubectl: PathBuf::from("kubectl"), plane: None },
            None => Self::of(control_plane().await),
        };
        cluster.has_nodes = !cluster.kubectl(&["get", "nodes", "--output=name"]).expect("a cluster").trim().is_empty();
        cluster.remove_leftovers();
        cluster.assert_free();
        cluster.mark();
        cluster
    }

    fn of(plane: ControlPlane) -> Self {
        let (kubeconfig, kubectl) = (plane.kubeconfig_path().into(), plane.kubectl());
        Self { has_nodes: false, kubeconfig, kubectl, plane: Some(plane) }
    }

    /// Removes what a suite that failed left for people to look at: the namespace has the suite's mark.
    fn remove_leftovers(&self) {
        let marked = self.kubectl(&["get", "namespaces", "--selector", MARK, "--output=name"]).expect("a list");
        if marked.trim().is_empty() {
            return;
        }
        self.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found"]);
        for definition in self.definitions() {
            let kind = definition.rsplit_once('/').expect("a type and a name").1;
            let list = self.kubectl(&["get", kind, "--all-namespaces", "--output=json"]).expect(kind);
            let list: Value = serde_json::from_str(&list).expect("a list");
            for object in list["items"].as_array().expect("items") {
                let (name, namespace) = (&object["metadata"]["name"], &object["metadata"]["namespace"]);
                let (name, namespace) = (name.as_str().expect("a name"), namespace.as_str().unwrap_or("default"));
                // Nothing runs that could do what the finalizer waits for.
                let patch = r#"--patch={"metadata":{"finalizers":null}}"#;
                self.kubectl(&["patch", kind, name, "--namespace", namespace, "--type=merge", patch]).expect(name);
            }
            self.kubectl(&["delete", &definition]).expect("a definition");
        }
        self.kubectl(&["delete", "clusterrolebinding", TEAM, "--ignore-not-found"]).expect("the binding is gone");
        self.kubectl(&["delete", "namespace", NAMESPACE, TEAM, "--ignore-not-found"]).expect("the namespaces are gone");
    }

    /// Marks the cluster as one that the suite may clean up.
    fn mark(&self) {
        let (key, value) = MARK.split_once('=').expect("a label");
        let labels = json!({ key: value });
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}});
        self.kubectl_with(&["apply", "--filename=-"], &namespace.to_string()).expect("the namespace");
    }

    /// The CRDs of the operator, as `customresourcedefinition.apiextensions.k8s.io/NAME`.
    fn definitions(&self) -> Vec<String> {
        let definitions = self.kubectl(&["get", "customresourcedefinitions", "--output=name"]).expect("a list");
        let ours = definitions.lines().filter(|name| name.ends_with(".permissions.amigo.ai"));
        ours.map(str::to_owned).collect()
    }

    /// The suite removes what it installs, so it wants nothing of somebody else's in its way.
    fn assert_free(&self) {
        assert!(
            self.definitions().is_empty(),
            "this cluster has the CRDs of amigo-operator already, and the suite would delete them: name another cluster"
        );
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Run {
        self.kubectl_with(arguments, "")
    }

    /// Runs kubectl with this on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Run {
        Run::of(self.command().args(arguments), input)
    }

    /// Starts kubectl and lets it run, its standard output in a pipe.
    pub fn kubectl_running(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl starts")
    }

    /// Runs helm as the administrator.
    pub fn helm(&self, arguments: &[&str]) -> String {
        helm_at(&self.kubeconfig, arguments).expect(&format!("helm {arguments:?}"))
    }

    /// Waits until the API server judges requests by the policies: it takes seconds to know new kinds in every part of
    /// it, which pods that have to start never notice.
    pub async fn until_requests_are_judged(&self) {
        let request = json!({
            "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": "TemporaryPermissionGrant",
            "metadata": {"name": "judged", "namespace": "default"},
            "spec": {
                "organizationRef": {"name": "acme"}, "user": {"email": "eng@example.com"},
                "justification": "whether the policies are there", "conversation": {"ownerUserId": "owner"},
            },
        });
        let create = ["create", "--dry-run=server", "--filename=-"];
        eventually(WITHIN, "requests are judged", || async {
            let run = self.kubectl_with(&create, &request.to_string());
            // Refused for good only where nothing fills in who asks.
            (run.success || run.stderr.contains("must match your user name: set it to")).then_some(())
        })
        .await;
    }

    /// A kubeconfig for this cluster with a token in place of the administrator's credentials.
    pub fn kubeconfig_with(&self, token: &str) -> String {
        let view = ["config", "view", "--raw", "--minify", "--flatten", "--output=json"];
        let mut kubeconfig: Value =
            serde_json::from_str(&self.kubectl(&view).expect("the kubeconfig")).expect("a kubeconfig");
        for user in kubeconfig["users"].as_array_mut().expect("users") {
            user["user"] = json!({ "token": token });
        }
        kubeconfig.to_string()
    }

    /// What the API server wrote down of the operator's requests, where the suite may see that.
    pub fn audited(&self) -> Option<Vec<Value>> {
        let log = fs::read_to_string(self.plane.as_ref()?.audit_log()).expect("the API server's audit log");
        // The last line may be half written.
        Some(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn command(&self) -> Command {
        self.with_programs(Command::new(&self.kubectl), Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// A command that works on this cluster and finds kubectl and the programs under test; those in `first` win.
    pub fn with_programs(&self, mut command: Command, first: &Path) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_kubectl-amigo")).parent().expect("a folder");
        let folders = [Some(first), Some(own), self.kubectl.parent()];
        let folders = folders.into_iter().flatten().filter(|folder| **folder != *"").map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(folders.chain(env::split_paths(&path))).expect("a path");
        command.env("PATH", path).env("KUBECONFIG", &self.kubeconfig).env_remove("AMIGO_USER_EMAIL");
        if let Some(plane) = &self.plane {
            command.env("KUBECACHEDIR", plane.folder().join("kubectl-cache")).env("NO_PROXY", "127.0.0.1");
        }
        command
    }
}

async fn control_plane() -> ControlPlane {
    let options = Options { identities: Vec::new(), audited: vec![OPERATOR.to_owned()] };
    ControlPlane::start_with(assets().await, options).await.expect("a control plane")
}
