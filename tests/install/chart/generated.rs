//! What the chart says twice is the same both times.

use std::{collections::BTreeSet, fs, process::Command};

use amigo_client::DOCUMENTED_HOSTS;
use serde_json::{Value, json};
use test_support::Run;
use test_support::{
    helm::{NAMESPACE, chart, objects, of_kind, render, tools},
    repository,
};

fn read_yaml(path: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(chart().join(path)).expect("a file of the chart")).expect("YAML")
}

/// With all numbers as floats: helm writes 0.0 as 0.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), plain(member))).collect(),
        _ => value.clone(),
    }
}

fn names(properties: &Value) -> BTreeSet<&String> {
    properties.as_object().expect("properties").keys().collect()
}

#[test]
fn chart_contains_the_generated_crds() {
    let rendered = objects(&render("defaults", NAMESPACE));
    let specs: Vec<Value> =
        of_kind(&rendered, "CustomResourceDefinition").map(|object| plain(&object["spec"])).collect();
    let expected = amigo_api::all().map(|definition| plain(&serde_json::to_value(definition.spec).expect("JSON")));
    assert_eq!(specs.len(), expected.len());
    assert!(expected.iter().all(|spec| specs.contains(spec)), "run 'make crds'");
}

#[test]
fn default_allowed_hosts_match_the_documentation() {
    assert_eq!(read_yaml("values.yaml")["api"]["allowedHosts"], json!(DOCUMENTED_HOSTS));
}

#[test]
fn organization_values_match_the_spec_fields() {
    let schema: Value = read_yaml("values.schema.json");
    let definition = serde_json::to_value(&amigo_api::all()[0]).expect("JSON");
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let organization = &schema["$defs"]["organization"]["properties"];
    assert_eq!(names(organization), names(spec));
    for part in ["grants", "roles", "rateLimit"] {
        assert_eq!(names(&organization[part]["properties"]), names(&spec[part]["properties"]), "{part}");
    }
}

#[test]
fn the_readme_is_made_from_the_values() {
    let mut command = Command::new(tools().join("helm-docs"));
    let flags = ["--chart-search-root=charts", "--sort-values-order=file", "--skip-version-footer", "--dry-run"];
    let made = Run::of(command.current_dir(repository("")).args(flags), "").expect("helm-docs");
    let kept = fs::read_to_string(chart().join("README.md")).expect("the chart's README.md");
    assert_eq!(made.trim(), kept.trim(), "run 'make chart-docs'");
}

#[test]
fn the_kinds_are_told_to_artifact_hub_with_examples() {
    let annotations = read_yaml("Chart.yaml")["annotations"].clone();
    let list = |name: &str| -> Vec<Value> {
        serde_saphyr::from_str(annotations[name].as_str().expect("an annotation")).expect("a list")
    };
    let kinds: Vec<String> = amigo_api::all().map(|definition| definition.spec.names.kind).to_vec();
    for name in ["artifacthub.io/crds", "artifacthub.io/crdsExamples"] {
        let told: Vec<Value> = list(name).iter().map(|one| one["kind"].clone()).collect();
        assert_eq!(json!(told), json!(kinds), "{name}");
    }
}
