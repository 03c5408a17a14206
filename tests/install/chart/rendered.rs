//! What the chart renders, before anybody installs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use test_support::helm::{NAMESPACE, VALUE_SETS, chart, helm, objects, of_kind, render, tools, values};
use test_support::{Run, TestEnv, eventually, turn};

use super::schemas;

/// A cluster that knows the kinds of this operator and those of monitoring.coreos.com.
async fn cluster_with_all_kinds(prefix: &str) -> TestEnv {
    let env = TestEnv::with_kinds(prefix).await;
    for file in fs::read_dir(tools().join("crds")).expect("the CRDs of monitoring.coreos.com") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("a CRD");
        env.apply(&text).await;
    }
    let monitors = ["get", "servicemonitors,podmonitors,prometheusrules"];
    eventually(Duration::from_mins(1), "the kinds are served", || async {
        env.kubectl(&monitors).success.then_some(())
    })
    .await;
    env
}

fn kubeconform(manifest: &str, location: &str) -> Run {
    let mut command = Command::new(tools().join("kubeconform"));
    Run::of(command.args(["-strict", "-summary", "-schema-location", location]), manifest)
}

#[test]
fn every_set_of_values_passes_helm_lint() {
    for set in VALUE_SETS {
        let chart = chart().display().to_string();
        helm(&["lint", "--strict", "--quiet", &chart, "--values", &values(set)]).expect(set);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_set_of_values_fits_the_schemas_of_the_kinds() {
    let _turn = turn().await;
    let env = cluster_with_all_kinds("kubeconform").await;
    let manifests = VALUE_SETS.map(|set| (set, render(set, NAMESPACE)));
    let groups: BTreeSet<String> = manifests
        .iter()
        .flat_map(|(_, manifest)| objects(manifest))
        .map(|object| object["apiVersion"].as_str().expect("an apiVersion").to_owned())
        .collect();
    let folder = schemas::write(&env.client, &groups).await;
    let location = format!("{}/{}", folder.path().display(), schemas::LOCATION);
    for (set, manifest) in &manifests {
        let summary = kubeconform(manifest, &location).expect(set);
        assert!(summary.contains(&format!("Valid: {}, ", objects(manifest).len())), "{set}: {summary}");
    }
    let misspelt = manifests[0].1.replace("containerPort:", "containerport:");
    assert!(!kubeconform(&misspelt, &location).success, "kubeconform takes a misspelt member");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_every_set_of_values() {
    let _turn = turn().await;
    let env = cluster_with_all_kinds("dry-run").await;
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"];
    for set in VALUE_SETS {
        env.kubectl_with(&apply, &render(set, &env.namespace)).expect(set);
    }
    let misspelt = render("defaults", &env.namespace).replace("containerPort:", "containerport:");
    assert!(!env.kubectl_with(&apply, &misspelt).success, "the API server takes a misspelt member");
}

/// All pods of a manifest: those of Deployments, and that of `helm test`.
fn pods(manifest: &str) -> Vec<Value> {
    let objects = objects(manifest);
    let of_template = |deployment: &Value| {
        let template = &deployment["spec"]["template"];
        let mut metadata = template["metadata"].clone();
        metadata["name"] = deployment["metadata"]["name"].clone();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    };
    of_kind(&objects, "Deployment").map(of_template).chain(of_kind(&objects, "Pod").cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_fit_into_a_restricted_namespace() {
    let env = TestEnv::new("restricted").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    env.kubectl(&["label", "namespace", &env.namespace, label]).expect("a label");
    let create = |pod: &Value| env.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod.to_string());
    for set in VALUE_SETS {
        for pod in pods(&render(set, &env.namespace)) {
            create(&pod).expect(set);
        }
    }
    let mut privileged = pods(&render("defaults", &env.namespace)).remove(0);
    privileged["spec"]["hostNetwork"] = json!(true);
    let refused = create(&privileged);
    assert!(!refused.success && refused.stderr.contains("violates PodSecurity"), "{refused:?}");
}

#[test]
fn checked_pods_include_operator_sandbox_and_test() {
    let names = |set: &str| -> Vec<Value> {
        pods(&render(set, NAMESPACE)).iter().map(|pod| pod["metadata"]["name"].clone()).collect()
    };
    assert_eq!(names("defaults"), ["amigo-operator", "amigo-operator-test"]);
    let mut with_sandbox = names("sandbox");
    with_sandbox.sort_by_key(ToString::to_string);
    assert_eq!(with_sandbox, ["amigo-operator", "amigo-operator-sandbox", "amigo-operator-test"]);
}

#[test]
fn sandbox_pod_runs_its_own_image_and_program() {
    let container = |pod: &Value| pod["spec"]["containers"][0].clone();
    let pods = pods(&render("sandbox", NAMESPACE));
    let of = |name: &str| container(pods.iter().find(|pod| pod["metadata"]["name"] == name).expect("a pod"));
    let (operator, sandbox) = (of("amigo-operator"), of("amigo-operator-sandbox"));
    assert_eq!(sandbox["image"], format!("ghcr.io/amigo-ai/amigo-sandbox:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(sandbox["command"], json!(["/usr/local/bin/amigo-sandbox"]));
    assert_eq!(sandbox["args"], json!(["--listen=[::]:8090", "--seed=/etc/amigo-sandbox/seed.yaml"]));
    assert_eq!(operator["image"], format!("ghcr.io/amigo-ai/amigo-operator:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(operator["args"][0], "run");
}

/// Every rule of every role of a manifest.
fn rules(manifest: &str) -> Vec<Value> {
    let is_role =
        |object: &&Value| matches!(object["kind"].as_str(), Some("Role" | "ClusterRole")) && object["rules"].is_array();
    let rules = |role: &Value| role["rules"].as_array().cloned().unwrap_or_default();
    objects(manifest).iter().filter(is_role).flat_map(rules).collect()
}

#[test]
fn no_rule_has_a_wildcard_and_people_write_no_status() {
    for set in VALUE_SETS {
        let rules = rules(&render(set, NAMESPACE));
        assert!(rules.len() > 8, "{set}: {rules:#?}");
        assert!(rules.iter().all(|rule| !rule.to_string().contains('*')), "{set}: {rules:#?}");
        let writes_status = |rule: &&Value| rule["resources"].to_string().contains("/status");
        assert_eq!(rules.iter().filter(writes_status).count(), 1, "{set}: the operator's alone");
    }
}

#[test]
fn secrets_are_read_by_name_or_not_at_all() {
    let named = |set: &str| -> Vec<Value> {
        let of_secrets = |rule: &&Value| rule["resources"] == json!(["secrets"]);
        let rules = rules(&render(set, NAMESPACE));
        rules.iter().filter(of_secrets).map(|rule| rule["resourceNames"].clone()).collect()
    };
    assert!(named("defaults").is_empty());
    assert_eq!(named("sandbox"), [json!(["acme"])]);
    assert_eq!(named("organizations"), [json!(["acme", "acme-eu-credentials", "another"])]);
}

#[test]
fn user_roles_aggregate_unless_disabled() {
    let aggregated = |set: &str| -> BTreeMap<String, String> {
        let objects = objects(&render(set, NAMESPACE));
        let label = |role: &Value| {
            let labels = role["metadata"]["labels"].as_object().expect("labels");
            let target = labels.keys().find_map(|name| name.strip_prefix("rbac.authorization.k8s.io/aggregate-to-"))?;
            Some((role["metadata"]["name"].as_str().expect("a name").to_owned(), target.to_owned()))
        };
        of_kind(&objects, "ClusterRole").filter_map(label).collect()
    };
    let expected = |roles: &[(&str, &str)]| -> BTreeMap<String, String> {
        let named =
            |(role, target): &(&str, &str)| (format!("{NAMESPACE}-amigo-operator-{role}"), (*target).to_owned());
        roles.iter().map(named).collect()
    };
    assert_eq!(aggregated("defaults"), expected(&[("viewer", "view")]));
    let all = [("viewer", "view"), ("requester", "edit"), ("role-editor", "admin")];
    assert_eq!(aggregated("everything"), expected(&all));
    assert!(aggregated("oddities").is_empty());
}

#[test]
fn umbrella_chart_can_enable_this_chart() {
    let folder = tempfile::tempdir().expect("a folder");
    let dependency = "{name: amigo-operator, version: '*', repository: '', condition: amigo-operator.enabled}";
    let parent = format!("{{apiVersion: v2, name: parent, version: 0.1.0, dependencies: [{dependency}]}}");
    fs::write(folder.path().join("Chart.yaml"), parent).expect("a chart");
    fs::create_dir(folder.path().join("charts")).expect("a folder");
    let copy = folder.path().join("charts/amigo-operator");
    Run::of(Command::new("cp").arg("-r").args([&chart(), &copy]), "").expect("a copy of the chart");
    let path = folder.path().display().to_string();
    let rendered = |enabled: bool| {
        let flags = [&format!("--set=amigo-operator.enabled={enabled}"), "--set=global.imageRegistry=registry.example"];
        let manifest = helm(&[["template", "x", &path].as_slice(), &flags].concat()).expect("a manifest");
        of_kind(&objects(&manifest), "Deployment").count()
    };
    assert_eq!((rendered(true), rendered(false)), (1, 0));
}

#[test]
fn operator_serves_ipv6_and_ipv4() {
    let objects = objects(&render("defaults", NAMESPACE));
    let deployment = of_kind(&objects, "Deployment").next().expect("a Deployment");
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.as_array().expect("arguments").contains(&json!("--listen=[::]:8080")), "{arguments}");
}

#[test]
fn names_with_their_ends_fit_into_a_label() {
    for object in objects(&render("oddities", NAMESPACE)) {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let is_in_namespace = object["metadata"]["namespace"].is_string();
        assert!(!is_in_namespace || name.len() <= 63, "{name}");
    }
}
