//! The chart, installed as an engineer would: by helm, with the sandbox in place of an Amigo account.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;
use test_support::Run;
use test_support::{
    helm::{chart, older_chart},
    repository,
};

use super::cluster::Cluster;

/// The operator's namespace.
pub const NAMESPACE: &str = "amigo-system";
/// The release, and with it the Deployment.
pub const RELEASE: &str = "amigo-operator";

/// The version before this one.
pub struct Previous {
    /// Where its chart is.
    pub chart: PathBuf,
    /// What it is, for people.
    pub what: String,
    _folder: Option<TempDir>,
}

impl Previous {
    /// The chart that `E2E_PREVIOUS_CHART` names; else that of the newest tag; else, before there is a release, this
    /// chart with older CRDs.
    pub fn find() -> Self {
        if let Some(chart) = env::var_os("E2E_PREVIOUS_CHART").filter(|chart| !chart.is_empty()) {
            return Self { what: format!("{}", chart.display()), chart: chart.into(), _folder: None };
        }
        let (what, folder) = match newest_tag() {
            Some(tag) => (format!("the chart of {tag}"), chart_of(&tag)),
            None => ("nothing was released yet: this chart with an older CRD".to_owned(), older_chart()),
        };
        Self { chart: folder.path().join("chart"), what, _folder: Some(folder) }
    }
}

fn newest_tag() -> Option<String> {
    // HEAD's parent: the release itself has a predecessor, too.
    let tags = git(&["describe", "--tags", "--abbrev=0", "--match=v[0-9]*", "HEAD^"]);
    tags.success.then(|| tags.stdout.trim().to_owned())
}

fn chart_of(tag: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("chart.tar");
    let output = format!("--output={}", archive.display());
    git(&["archive", &output, &format!("{tag}:charts/amigo-operator")]).expect("the chart of a release");
    let unpacked = folder.path().join("chart");
    std::fs::create_dir(&unpacked).expect("a folder");
    Run::of(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&unpacked), "").expect("an archive");
    folder
}

fn git(arguments: &[&str]) -> Run {
    Run::of(Command::new("git").current_dir(repository(".")).args(arguments), "")
}

/// Installs a chart, or upgrades to it; `sandbox` is where the operator reaches the sandbox, if not by its Service.
pub fn upgrade(cluster: &Cluster, chart: &Path, sandbox: Option<&str>) {
    let mut flags = vec![
        "--set=sandbox.enabled=true".to_owned(),
        // What no object explains is looked for every ten minutes otherwise.
        "--set=sweepInterval=15s".to_owned(),
    ];
    flags.extend(sandbox.map(|url| format!("--set=sandbox.apiUrl={url}")));
    if cluster.has_nodes {
        for (value, variable) in [("image", "E2E_IMAGE"), ("sandbox.image", "E2E_SANDBOX_IMAGE")] {
            let (repository, tag) = image(variable);
            flags.push(format!("--set={value}.repository={repository},{value}.tag={tag}"));
        }
        flags.extend(["--wait".to_owned(), "--timeout=5m".to_owned()]);
    }
    let chart = chart.display().to_string();
    let arguments = ["upgrade", "--install", RELEASE, &chart, "--namespace", NAMESPACE, "--create-namespace"];
    cluster.helm(&[arguments.as_slice(), &flags.iter().map(String::as_str).collect::<Vec<_>>()].concat());
}

/// Upgrades to this version's chart.
pub fn upgrade_to_this(cluster: &Cluster, sandbox: Option<&str>) {
    upgrade(cluster, &chart(), sandbox);
}

/// An image under test, as an environment variable names it. The chart's default may be another build, or not exist yet.
fn image(variable: &str) -> (String, String) {
    let image = env::var(variable).unwrap_or_default();
    assert!(image.contains(':'), "{variable} must be set to repository:tag");
    let (repository, tag) = image.rsplit_once(':').expect("a colon");
    (repository.to_owned(), tag.to_owned())
}

/// The arguments of a Deployment's container.
pub fn arguments(cluster: &Cluster, deployment: &str) -> Vec<String> {
    let path = "--output=jsonpath={.spec.template.spec.containers[0].args}";
    let found = cluster.kubectl(&["get", "deployment", deployment, "--namespace", NAMESPACE, path]);
    serde_json::from_str(&found.expect("a Deployment")).expect("its arguments")
}

/// What the release made in its namespace and what is left of it.
pub fn left_behind(cluster: &Cluster) -> Vec<String> {
    let kinds = "deployments,services,secrets,configmaps,serviceaccounts,roles.rbac.authorization.k8s.io,rolebindings,\
                 networkpolicies,poddisruptionbudgets";
    let list = cluster.kubectl(&["get", kinds, "--namespace", NAMESPACE, "--output=json"]).expect("a list");
    let list: Value = serde_json::from_str(&list).expect("a list");
    let items = list["items"].as_array().expect("items").iter();
    let of_release = items.filter(|item| item["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE);
    of_release.map(|item| format!("{} {}", item["kind"], item["metadata"]["name"])).collect()
}
