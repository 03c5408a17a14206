//! What Argo CD and Flux make of our objects: the script by a Lua interpreter, the expressions by a CEL interpreter.

use std::fs;

use amigo_api::{
    Organization, Phase, Role, TemporaryPermissionGrant,
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use cel::{Context, Program};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use mlua::{Lua, LuaOptions, LuaSerdeExt as _, StdLib, Table, serde::SerializeOptions};
use serde::Serialize;
use serde_json::{Value, json};

fn file(path: &str) -> String {
    fs::read_to_string(format!("{}/gitops/{path}", env!("CARGO_MANIFEST_DIR"))).expect("a file")
}

/// What Argo CD makes of an object: its health and the message.
fn argo(object: &impl Serialize) -> (String, String) {
    // As Argo CD does it: without the libraries `string`, `os` and `io`.
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).expect("Lua");
    let options = SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false);
    lua.globals().set("obj", lua.to_value_with(object, options).expect("Lua")).expect("Lua");
    let health: Table = lua.load(file("argocd/health.lua")).eval().expect("Lua");
    (health.get("status").expect("Lua"), health.get("message").expect("Lua"))
}

fn health(object: &impl Serialize) -> String {
    argo(object).0
}

/// What Flux makes of a request: the first expression that holds, in Flux's order.
fn flux(grant: &TemporaryPermissionGrant) -> &'static str {
    let kustomization: Value = serde_saphyr::from_str(&file("flux/kustomization.yaml")).expect("as the file says");
    let expressions = &kustomization["spec"]["healthCheckExprs"][0];
    let holds = |name: &str| {
        let mut context = Context::default();
        context.add_variable("status", json!(grant)["status"].clone()).expect("as the file says");
        let program =
            Program::compile(expressions[name].as_str().expect("as the file says")).expect("as the file says");
        program.execute(&context).expect("as the file says") == cel::Value::Bool(true)
    };
    ["failed", "current"].into_iter().find(|name| holds(name)).unwrap_or("in progress")
}

fn saying(said: &[(&str, ConditionStatus, &'static str)]) -> Vec<Condition> {
    let mut all = Vec::new();
    for (kind, standing, reason) in said {
        let change = Change { type_: kind, status: *standing, reason, message: format!("because {reason}") };
        conditions::set(&mut all, change, Stamp { generation: 1, now: Timestamp::UNIX_EPOCH });
    }
    all
}

/// A request in this phase whose Ready condition says this.
fn grant(phase: Phase, standing: ConditionStatus, reason: &'static str) -> TemporaryPermissionGrant {
    let object = json!({
        "metadata": {"name": "one", "namespace": "default", "generation": 1},
        "spec": {
            "organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test asks for it",
            "permissions": [{"permissionName": "Conversation:GetMessage"}],
        },
        "status": {"phase": phase, "conditions": saying(&[(condition::READY, standing, reason)])},
    });
    serde_json::from_value(object).expect("as the file says")
}

/// The same, with nothing that would help but somebody's change.
fn stalled(mut grant: TemporaryPermissionGrant) -> TemporaryPermissionGrant {
    let status = grant.status.as_mut().expect("as the file says");
    let reason = reasons::known(&status.conditions[0].reason).expect("as the file says");
    status.conditions.extend(saying(&[(condition::STALLED, ConditionStatus::True, reason)]));
    grant
}

fn role(said: &[(&str, ConditionStatus, &'static str)]) -> Role {
    let object = json!({
        "metadata": {"name": "one", "namespace": "default", "generation": 1},
        "spec": {"organizationRef": {"name": "acme"}, "description": "one", "frontendView": "client", "permissionGrants": []},
        "status": {"conditions": saying(said)},
    });
    serde_json::from_value(object).expect("as the file says")
}

fn waiting(reason: &'static str) -> TemporaryPermissionGrant {
    grant(Phase::Pending, ConditionStatus::False, reason)
}

fn expired() -> TemporaryPermissionGrant {
    grant(Phase::Expired, ConditionStatus::False, reasons::EXPIRED)
}

/// Created again by what applies manifests, after its end.
fn late() -> TemporaryPermissionGrant {
    stalled(grant(Phase::Failed, ConditionStatus::False, reasons::NOT_AFTER_PASSED))
}

#[test]
fn live_and_ended_access_is_healthy() {
    assert_eq!(health(&grant(Phase::Active, ConditionStatus::True, reasons::ACTIVE)), "Healthy");
    assert_eq!(health(&expired()), "Healthy");
    assert_eq!(health(&late()), "Healthy");
}

#[test]
fn transient_reasons_are_progressing() {
    for reason in [reasons::PENDING, reasons::QUEUED, reasons::UNREACHABLE, reasons::RATE_LIMITED] {
        assert_eq!(health(&waiting(reason)), "Progressing", "{reason}");
    }
    assert_eq!(health(&grant(Phase::Issuing, ConditionStatus::Unknown, reasons::ISSUING)), "Progressing");
    assert_eq!(health(&grant(Phase::Issuing, ConditionStatus::Unknown, reasons::OUTCOME_UNKNOWN)), "Progressing");
}

#[test]
fn stalled_request_is_degraded_and_says_why() {
    let failed = stalled(grant(Phase::Failed, ConditionStatus::False, reasons::ACTIVATION_DEADLINE_EXCEEDED));
    assert_eq!(argo(&failed), ("Degraded".to_owned(), "because ActivationDeadlineExceeded".to_owned()));
    assert_eq!(health(&stalled(waiting(reasons::USER_NOT_FOUND))), "Degraded");
    assert_eq!(health(&stalled(grant(Phase::Active, ConditionStatus::False, reasons::PARTIALLY_ISSUED))), "Degraded");
}

#[test]
fn a_conflict_is_degraded_whether_or_not_it_may_pass() {
    let ready = (condition::READY, ConditionStatus::False, reasons::CONFLICT);
    assert_eq!(health(&role(&[ready])), "Degraded");
    assert_eq!(health(&role(&[ready, (condition::STALLED, ConditionStatus::True, reasons::CONFLICT)])), "Degraded");
    assert_eq!(health(&role(&[(condition::READY, ConditionStatus::True, reasons::APPLIED)])), "Healthy");
}

#[test]
fn a_suspended_organization_is_suspended() {
    let object = json!({
        "metadata": {"name": "acme", "generation": 1},
        "spec": {"organization": "acme", "credentialsSecretRef": {"name": "acme"}, "suspend": true},
        "status": {"conditions": saying(&[(condition::READY, ConditionStatus::False, reasons::SUSPENDED)])},
    });
    assert_eq!(health(&serde_json::from_value::<Organization>(object).unwrap()), "Suspended");
}

#[test]
fn stale_generation_is_progressing() {
    let mut changed = grant(Phase::Active, ConditionStatus::True, reasons::ACTIVE);
    changed.metadata.generation = Some(2);
    assert_eq!(health(&changed), "Progressing");
    let unseen = TemporaryPermissionGrant { status: None, ..changed };
    assert_eq!(health(&unseen), "Progressing");
}

#[test]
fn terminating_object_is_progressing() {
    let mut leaving = role(&[(condition::READY, ConditionStatus::True, reasons::APPLIED)]);
    leaving.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert_eq!(health(&leaving), "Progressing");
}

#[test]
fn the_config_map_has_the_script_for_each_kind() {
    let map: Value = serde_saphyr::from_str(&file("argocd/argocd-cm.yaml")).unwrap();
    let data = map["data"].as_object().unwrap();
    assert!(data.values().all(|script| script.as_str().unwrap() == file("argocd/health.lua")));
    let kinds: Vec<&str> = data.keys().map(|key| key.rsplit('_').next().unwrap()).collect();
    assert_eq!(kinds, ["Organization", "Role", "RoleAssignment", "TemporaryPermissionGrant"]);
}

#[test]
fn flux_takes_ended_requests_for_current() {
    for over in [grant(Phase::Active, ConditionStatus::True, reasons::ACTIVE), expired(), late()] {
        assert_eq!(flux(&over), "current");
    }
}

#[test]
fn flux_waits_for_transient_and_fails_on_stalled() {
    assert_eq!(flux(&waiting(reasons::QUEUED)), "in progress");
    assert_eq!(flux(&grant(Phase::Issuing, ConditionStatus::Unknown, reasons::OUTCOME_UNKNOWN)), "in progress");
    assert_eq!(flux(&stalled(waiting(reasons::USER_NOT_FOUND))), "failed");
}

#[test]
fn the_document_shows_the_expressions_as_they_are() {
    let document = fs::read_to_string(format!("{}/docs/gitops.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let kustomization = file("flux/kustomization.yaml");
    let (_, expressions) = kustomization.split_once("  healthCheckExprs:").unwrap();
    assert!(document.contains(expressions.trim_end()));
}
