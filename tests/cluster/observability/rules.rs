//! The alerts: tested by promtool, and whole.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;
use test_support::repository;

/// The text of a file of the repository.
pub fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).expect("as the file says")
}

/// Runs promtool, which must be content; built on first use.
pub fn promtool(arguments: &[&str]) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let script = repository("tests/tools/build.sh");
        PathBuf::from(output(Command::new("sh").arg(script).arg("promtool")).trim())
    });
    output(Command::new(folder.join("promtool")).args(arguments));
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{out}\n{err}");
    out
}

/// Where the runbooks are for whoever gets an alert.
const RUNBOOKS: &str = "https://github.com/amigo-ai/amigo-operator/blob/main/docs/operations.md#";

fn rules() -> Vec<Value> {
    let file: Value =
        serde_saphyr::from_str(&text("charts/amigo-operator/files/alerts.yaml")).expect("as the file says");
    file["groups"]
        .as_array()
        .expect("as the file says")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("as the file says").clone())
        .collect()
}

fn names<'a>(rules: impl IntoIterator<Item = &'a Value>, key: &str) -> BTreeSet<String> {
    rules.into_iter().map(|rule| rule[key].as_str().expect("as the file says").to_owned()).collect()
}

/// The heading's anchor on the pages of a repository.
fn anchor(heading: &str) -> String {
    let lower = heading.trim_start_matches('#').trim().to_lowercase();
    lower
        .chars()
        .filter(|letter| letter.is_alphanumeric() || "- _".contains(*letter))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn each_alert_fires_where_it_should_and_nowhere_else() {
    promtool(&["test", "rules", repository("tests/cluster/observability/alerts.yaml").to_str().unwrap()]);
}

#[test]
fn each_alert_is_tested() {
    let tests: Value = serde_saphyr::from_str(&text("tests/cluster/observability/alerts.yaml")).unwrap();
    assert_eq!(names(&rules(), "alert"), names(tests["tests"].as_array().unwrap(), "name"));
}

#[test]
fn each_alert_has_severity_impact_and_remedy() {
    let operations = text("docs/operations.md");
    let anchors: BTreeSet<String> = operations.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    for rule in rules() {
        let (name, said) = (rule["alert"].as_str().unwrap(), &rule["annotations"]);
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}");
        assert!(
            said["summary"].as_str().unwrap().len() > 20 && said["description"].as_str().unwrap().len() > 80,
            "{name}"
        );
        let runbook = said["runbook_url"].as_str().unwrap().strip_prefix(RUNBOOKS).unwrap();
        assert!(runbook == name.to_lowercase() && anchors.contains(runbook), "no runbook for {name}");
    }
}
