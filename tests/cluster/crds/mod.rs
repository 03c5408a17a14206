//! The definitions of the kinds: what they export, and what a real API server makes of them.

mod cases;
mod readable;
mod schema;
mod shared_cases;
mod table;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};
use amigo_client::Endpoint;
use cases::{GRANT, ORGANIZATION, ROLE, ROLE_ASSIGNMENT};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use schema::Place;
use serde_json::{Value, json};
use table::{Judge, Kind, object};
use test_support::{SharedControlPlane, TestEnv, eventually};

// Without an operator, which would change what these tests write.
static PLANE: SharedControlPlane = SharedControlPlane::new();

const KINDS: [&Kind; 4] = [&ORGANIZATION, &ROLE, &ROLE_ASSIGNMENT, &GRANT];

#[test]
fn the_folder_holds_what_the_types_say() {
    let exported: BTreeMap<_, _> = amigo_api::all().iter().map(|kind| amigo_api::manifest(kind).unwrap()).collect();
    assert!(files("crds") == exported, "crds/ differs from the types: run 'make crds'");
}

#[test]
fn every_list_and_every_text_of_a_spec_is_bounded() {
    let unbounded = schema::places().into_iter().filter_map(|place| {
        let schema = &place.schema;
        let is_text = matches!(schema.type_.as_deref(), Some("string") | None) && place.is_in_spec();
        let is_moment = schema.format.as_deref() == Some("date-time");
        let is_bounded = schema.max_length.is_some() || schema.enum_.is_some() || is_moment;
        let problem = match schema.type_.as_deref() {
            _ if is_text && !is_bounded => "no maxLength, enum or format",
            Some("array") if schema.max_items.is_none() => "no maxItems",
            Some("object") if schema.additional_properties.is_some() && schema.max_properties.is_none() => {
                "no maxProperties"
            }
            _ => return None,
        };
        Some(place.says(problem))
    });
    assert_eq!(unbounded.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_field_is_explained() {
    let described = |place: &Place| place.schema.description.as_ref().is_some_and(|text| !text.trim().is_empty());
    let places = schema::places().into_iter().filter(|place| place.is_property && !described(place));
    assert_eq!(places.map(|place| place.says("no description")).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_rule_says_what_to_write_instead() {
    let places = schema::places();
    let mut rules = places.iter().flat_map(|place| place.schema.x_kubernetes_validations.iter().flatten());
    assert!(rules.all(|rule| rule.message.as_ref().is_some_and(|message| message.len() > 15)));
}

#[test]
fn limits_name_the_endpoints_of_the_client() {
    assert_eq!(amigo_api::ENDPOINTS, Endpoint::ALL.map(Endpoint::as_str));
}

#[tokio::test]
async fn the_files_are_accepted_and_served() {
    let env = TestEnv::builder("files").on(&PLANE).kinds().start().await;
    for (name, yaml) in files("crds") {
        env.try_apply(&yaml).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let definitions = Api::<CustomResourceDefinition>::all(env.client.clone());
        let definition = definitions.get(name.trim_end_matches(".yaml")).await.unwrap();
        assert_eq!(standing(&definition), ["Established=True", "NamesAccepted=True"], "{name}");
    }
}

#[tokio::test]
async fn every_rule_accepts_and_refuses() {
    let env = TestEnv::builder("rules").on(&PLANE).kinds().start().await;
    let judge = Judge::of(&env);
    let (mut complaints, mut seen) = (Vec::new(), Vec::new());
    for case in cases::all() {
        complaints.extend(case.complaints(&judge, &mut seen).await);
    }
    let is_broken = |rule: &schema::Rule| seen.iter().any(|(kind, cause)| rule.is_broken_by(kind, cause));
    let never_broken = schema::rules().into_iter().filter(|rule| !is_broken(rule));
    complaints.extend(never_broken.map(|rule| format!("no case breaks {rule}")));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn defaults_are_filled_in() {
    let env = TestEnv::builder("defaults").on(&PLANE).kinds().start().await;
    let judge = Judge::of(&env);
    let organization = judge.create(&ORGANIZATION, &object(&ORGANIZATION, "{roles: {}}")).await;
    let expected = json!({
        "organization": "acme", "credentialsSecretRef": {"name": "acme"}, "apiUrl": "https://api.amigo.ai",
        "permissionModel": "Detect", "roles": {"driftPolicy": "Correct"}, "suspend": false,
    });
    assert_eq!(organization["spec"], expected);
    let role = object(&ROLE, "{permissionGrants: [{permissionName: 'A:B'}]}");
    let expected = json!({
        "organizationRef": {"name": "acme"}, "description": "Reviews conversations", "frontendView": "client",
        "permissionGrants": [{"action": "Allow", "permissionName": "A:B"}],
        "managementPolicy": "Manage", "adoption": "IfMatches", "deletionPolicy": "Retain", "suspend": false,
    });
    assert_eq!(judge.create(&ROLE, &role).await["spec"], expected);
}

#[tokio::test]
async fn a_condition_is_true_false_or_unknown() {
    let env = TestEnv::builder("conditions").on(&PLANE).kinds().start().await;
    for (kind, standing) in KINDS.iter().flat_map(|kind| ["True", "False", "Unknown", "Maybe"].map(|text| (kind, text)))
    {
        let kept = show(&env, kind, "judged", json!({ "conditions": ready(standing) })).await;
        assert_eq!(kept.is_ok(), standing != "Maybe", "{} {standing}: {kept:?}", kind.name);
    }
}

#[tokio::test]
async fn unknown_fields_are_dropped_or_refused() {
    let env = TestEnv::builder("unknown").on(&PLANE).kinds().start().await;
    let judge = Judge::of(&env);
    for kind in KINDS {
        let mut misspelt = object(kind, "{organizationRefs: {name: acme}}");
        assert_eq!(judge.create(kind, &misspelt).await["spec"].get("organizationRefs"), None, "{}", kind.name);
        misspelt.metadata.name = Some("misspelt".to_owned());
        let path = env.plane().folder().join(format!("misspelt-{}.json", kind.name));
        fs::write(&path, serde_json::to_vec(&misspelt).unwrap()).unwrap();
        let strict = env.kubectl(&["create", "--validate=strict", "--filename", path.to_str().unwrap()]);
        assert!(strict.stderr.contains(r#"unknown field "spec.organizationRefs""#), "{strict:?}");
    }
}

#[tokio::test]
async fn kubectl_explains_the_fields() {
    let env = TestEnv::builder("explain").on(&PLANE).kinds().start().await;
    for (path, text) in [
        ("tpg.spec.conversation", "all conversations of that owner"),
        ("tpg.spec.duration", "ISO 8601 from PT1M to P3D"),
        ("tpg.status.expiresAt", "as reported by Amigo"),
        ("amorg.spec.allowedNamespaces", "Empty: none"),
        ("amrole.spec.permissionGrants.conditions", "The grant applies when all are met"),
        ("amra.spec.fallbackRoleName", "Unset: the user keeps the role"),
    ] {
        let explain = || async {
            let text_of_field = words(&env.kubectl(&["explain", path]).stdout);
            text_of_field.contains(text).then_some(())
        };
        eventually(Duration::from_secs(20), &format!("'{text}' in kubectl explain {path}"), explain).await;
    }
}

#[tokio::test]
async fn kubectl_lists_what_a_person_wants() {
    let env = TestEnv::builder("columns").on(&PLANE).kinds().start().await;
    let ready = ready("True");
    for (kind, status) in [
        (
            &ORGANIZATION,
            json!({"conditions": ready, "grants": {"active": 3, "managed": 2, "orphaned": 1, "unmanaged": 0}}),
        ),
        (&ROLE, json!({"conditions": ready, "roleName": "moderator"})),
        (&ROLE_ASSIGNMENT, json!({"conditions": ready, "roleName": "moderator", "userId": "user-eng"})),
        (&GRANT, json!({"conditions": ready, "phase": "Active", "expiresAt": "2027-01-31T20:00:00Z"})),
    ] {
        show(&env, kind, "shown", status).await.expect("a status");
    }
    let lists = |arguments: &[&str], columns: &[&str]| {
        let list = env.kubectl(arguments);
        assert!(columns.iter().all(|line| words(&list.stdout).contains(line)), "{list:?}");
    };
    lists(
        &["get", "amigo", "--all-namespaces"],
        &[
            "NAME ORGANIZATION READY STATUS GRANTS AGE",
            "shown acme True Active 3 ",
            "NAME ORGANIZATION ROLE READY STATUS AGE",
            "shown acme moderator True Active ",
            "NAME USER ROLE READY STATUS AGE",
            "shown eng@example.com moderator True Active ",
            "NAME USER PHASE READY STATUS EXPIRES AGE",
            "shown eng@example.com Active True Active 2027-01-31T20:00:00Z ",
        ],
    );
    lists(
        &["get", "tpg", "--output", "wide"],
        &["EXPIRES REQUESTED BY JUSTIFICATION AGE", "Ticket 4711: wrong slot offered"],
    );
    lists(&["get", "amorg", "--output", "wide"], &["GRANTS ORPHANED MODEL KEY EXPIRES AGE"]);
    lists(&["get", "amrole,amra", "--output", "wide"], &["READY STATUS MESSAGE AGE", "All permissions are live"]);
}

#[tokio::test]
async fn the_examples_are_accepted() {
    let env = TestEnv::builder("examples").on(&PLANE).kinds().start().await;
    env.apply("{apiVersion: v1, kind: Namespace, metadata: {name: amigo-system}}").await;
    let mut kinds: Vec<_> = Vec::new();
    for (name, yaml) in examples() {
        for applied in env.try_apply(&yaml).await.unwrap_or_else(|error| panic!("{name}: {error}")) {
            let kind = applied.types.as_ref().unwrap().kind.clone();
            assert!(is_read_by_the_operator(&kind, &applied), "{name}");
            kinds.push(kind);
        }
    }
    assert!(KINDS.iter().all(|kind| kinds.iter().any(|shown| shown == kind.name)), "{kinds:?}");
}

/// Name and text of the files of a folder of the repository.
fn files(folder: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
    let read = |path: &Path| fs::read_to_string(path).expect("a text");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    paths.map(|path| (name(&path), read(&path))).collect()
}

/// The examples for the API server: all but what the sandbox starts with.
fn examples() -> BTreeMap<String, String> {
    files("examples").into_iter().filter(|(name, _)| name != "sandbox.yaml").collect()
}

fn is_read_by_the_operator(kind: &str, object: &DynamicObject) -> bool {
    match kind {
        "Organization" => object.clone().try_parse::<Organization>().is_ok(),
        "Role" => object.clone().try_parse::<Role>().is_ok(),
        "RoleAssignment" => object.clone().try_parse::<RoleAssignment>().is_ok(),
        "TemporaryPermissionGrant" => object.clone().try_parse::<TemporaryPermissionGrant>().is_ok(),
        other => other == "Secret",
    }
}

fn standing(definition: &CustomResourceDefinition) -> Vec<String> {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let mut standing: Vec<_> =
        conditions.map(|condition| format!("{}={}", condition.type_, condition.status)).collect();
    standing.sort();
    standing
}

fn ready(standing: &str) -> Value {
    json!([{
        "type": "Ready", "status": standing, "reason": "Active", "message": "All permissions are live",
        "lastTransitionTime": "2027-01-31T18:00:00Z", "observedGeneration": 1,
    }])
}

/// Gives an object of a kind a status.
async fn show(env: &TestEnv, kind: &Kind, name: &str, status: Value) -> kube::Result<DynamicObject> {
    let mut shown = object(kind, "{}");
    shown.metadata.generate_name = None;
    shown.metadata.name = Some(name.to_owned());
    let api = Judge::of(env).api(kind);
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&shown)).await?;
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await
}

/// The text with all white space as single spaces.
fn words(text: &str) -> String {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(" ")
}
