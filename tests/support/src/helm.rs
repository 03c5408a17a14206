//! helm and the other tools, and the sets of values the chart is tested with.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use amigo_dev::ControlPlane;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Run, repository, temporary_folder};

/// The names of the files in `values/`.
pub const VALUE_SETS: [&str; 10] = [
    "defaults",
    "sandbox",
    "organizations",
    "everything",
    "no-crds",
    "one-replica",
    "no-network-policy",
    "monitors",
    "digest",
    "oddities",
];

/// The namespace charts are rendered for where it does not matter.
pub const NAMESPACE: &str = "amigo-system";

/// The chart.
pub fn chart() -> PathBuf {
    repository("charts/amigo-operator")
}

/// The file of a set of values.
pub fn values(set: &str) -> String {
    repository(&format!("tests/install/chart/values/{set}.yaml")).display().to_string()
}

/// The folder of helm, kubeconform and helm-docs; built on first use.
pub fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let script = repository("tests/tools/build.sh");
        let printed = Run::of(Command::new("sh").arg(script).arg("chart"), "").expect("the tools of the chart");
        PathBuf::from(printed.trim())
    })
}

/// Runs helm without a cluster.
pub fn helm(arguments: &[&str]) -> Run {
    Run::of(&mut helm_command(arguments), "")
}

/// Runs helm against a cluster.
pub fn helm_on(plane: &ControlPlane, arguments: &[&str]) -> Run {
    helm_at(plane.kubeconfig_path().as_os_str(), arguments)
}

/// Runs helm against the cluster of a kubeconfig.
pub fn helm_at(kubeconfig: &OsStr, arguments: &[&str]) -> Run {
    let mut command = helm_command(arguments);
    Run::of(command.env("KUBECONFIG", kubeconfig).env("NO_PROXY", "127.0.0.1"), "")
}

/// A copy of the chart as a version before this one may have been: a kind lacks its short name.
pub fn older_chart() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("chart");
    Run::of(Command::new("cp").arg("-r").args([&chart(), &copy]), "").expect("a copy of the chart");
    without(&copy.join("files/crds/roles.permissions.amigo.ai.yaml"), "    shortNames:\n    - amrole\n");
    folder
}

fn without(path: &Path, part: &str) {
    let text = fs::read_to_string(path).expect("a file of the chart");
    let less = text.replace(part, "");
    assert_ne!(text, less, "{} has no {part:?}", path.display());
    fs::write(path, less).expect("an older file");
}

fn helm_command(arguments: &[&str]) -> Command {
    let folder = temporary_folder().join("helm");
    let mut command = Command::new(tools().join("helm"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, &folder);
    }
    command.args(arguments);
    command
}

// What helm asks a cluster for, where it has one.
const KNOWN_KINDS: &[&str] = &[
    "--api-versions=permissions.amigo.ai/v1alpha1",
    "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
];

/// The manifest of a set of values, for a cluster that knows the kinds of this operator.
pub fn render(set: &str, namespace: &str) -> String {
    let chart = chart().display().to_string();
    let release = ["template", "amigo-operator", &chart, "--namespace", namespace, "--values", &values(set)];
    helm(&[release.as_slice(), KNOWN_KINDS].concat()).expect(&format!("values {set} are rendered"))
}

/// The objects of a manifest.
pub fn objects(manifest: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).expect("objects as YAML");
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The objects of one kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}
