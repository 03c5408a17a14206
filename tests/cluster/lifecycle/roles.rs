//! Roles: made, changed, set back, adopted, left alone and disabled.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation, RoleDocument, RoleSeed};
use serde_json::json;
use test_support::{
    Cluster, eventually,
    test_env::{PATIENCE, Stage},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_made_and_follows_its_spec() {
    let stage = Stage::new("role").await;
    stage.apply(&role("triage", "")).await;
    stage.until_ready("amrole", "triage").await;
    let made = remote(&stage, "triage").expect("the role");
    assert_eq!((made.description.as_str(), made.permission_grants.len()), ("Triage", 1));

    stage.patch("amrole", "triage", json!({"spec": {"description": "Sorts reports"}})).await;
    let described = until(&stage, "triage", |role| role.description == "Sorts reports").await;
    assert_eq!(described.id, made.id, "a description changes in place");

    stage.patch("amrole", "triage", json!({"spec": {"permissionGrants": []}})).await;
    let replaced = until(&stage, "triage", |role| role.permission_grants.is_empty()).await;
    assert_ne!(replaced.id, made.id, "grants make a new document");
    stage.until_member("amrole", "triage", "/status/roleId", json!(replaced.id)).await;
    assert_eq!(stage.sandbox.requests().count(Operation::ModifyRole), 2);
    let told = ["created", "changed in description", "changed in permissionGrants"];
    eventually(PATIENCE, "every change is told", async || (events_of(&stage, "triage").await == told).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_set_back() {
    let stage = Stage::new("drift").await;
    stage.apply(&role("triage", "")).await;
    stage.until_ready("amrole", "triage").await;
    stage.by_hand("/role/triage", json!({"description": "By hand", "permission_grants": []})).await;
    let set_back = until(&stage, "triage", |role| role.description == "Triage").await;
    assert_eq!(set_back.permission_grants.len(), 1);
    stage.until_member("amrole", "triage", "/status/roleId", json!(set_back.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_policy_keeps_drift_but_applies_a_new_spec() {
    let stage = Stage::new("report").await;
    stage.apply(&role("triage", "  driftPolicy: Report")).await;
    stage.until_ready("amrole", "triage").await;
    stage.by_hand("/role/triage", json!({"description": "By hand"})).await;
    let why = stage.until_reason("amrole", "triage", "Ready", "Drifted").await;
    assert!(why.contains("(description)") && why.contains("driftPolicy"), "{why}");

    // A new spec is no drift, even if Amigo is down when it comes.
    stage.fail(Operation::ModifyRole, Effect::status(503));
    stage.patch("amrole", "triage", json!({"spec": {"description": "Sorts reports"}})).await;
    stage.until_reason("amrole", "triage", "Ready", "Unavailable").await;
    stage.sandbox.clear_faults();
    until(&stage, "triage", |role| role.description == "Sorts reports").await;
    stage.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_role_is_adopted_as_the_spec_says() {
    let stage = Stage::bare("adopt").await;
    for name in ["same", "other", "mine", "never"] {
        let description = if name == "same" || name == "never" { "Triage" } else { "Somebody else's" };
        stage.sandbox.add_role("acme", existing(name, description)).expect("a role");
    }
    stage.connect("").await;
    stage.apply(&role("same", "")).await;
    stage.apply(&role("other", "")).await;
    stage.apply(&role("mine", "  adoption: Override")).await;
    stage.apply(&role("never", "  adoption: Never")).await;
    stage.until_ready("amrole", "same").await;
    stage.until_ready("amrole", "mine").await;
    let why = stage.until_reason("amrole", "other", "Ready", "AdoptionRefused").await;
    assert!(why.contains("differs in description") && why.contains("adoption to Override"), "{why}");
    let why = stage.until_reason("amrole", "never", "Ready", "AdoptionRefused").await;
    assert!(why.contains("exists at Amigo"), "{why}");
    assert_eq!(remote(&stage, "other").expect("other").description, "Somebody else's");
    assert_eq!(remote(&stage, "mine").expect("mine").description, "Triage");
    stage.until_event("same", "Adopted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_role_is_left_alone() {
    let stage = Stage::new("suspend").await;
    stage.apply(&role("triage", "")).await;
    stage.until_ready("amrole", "triage").await;
    stage.patch("amrole", "triage", json!({"spec": {"suspend": true, "description": "Later"}})).await;
    stage.until_reason("amrole", "triage", "Ready", "Suspended").await;
    assert_eq!(remote(&stage, "triage").expect("triage").description, "Triage");
    stage.patch("amrole", "triage", json!({"spec": {"suspend": false}})).await;
    until(&stage, "triage", |role| role.description == "Later").await;
    stage.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_role_is_retained_or_emptied() {
    let stage = Stage::new("delete").await;
    stage.apply(&role("retained", "")).await;
    stage.apply(&role("emptied", "  deletionPolicy: Disable")).await;
    stage.until_ready("amrole", "retained").await;
    stage.until_ready("amrole", "emptied").await;
    stage.delete("amrole", "retained").await;
    stage.delete("amrole", "emptied").await;
    stage.until_gone("amrole", "retained").await;
    stage.until_gone("amrole", "emptied").await;
    assert_eq!(remote(&stage, "retained").expect("retained").permission_grants.len(), 1);
    assert!(remote(&stage, "emptied").expect("emptied").permission_grants.is_empty());
    stage.until_event("emptied", "Disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_adoption_response_still_empties_the_role() {
    let stage = Stage::bare("overtake").await;
    stage.sandbox.add_role("acme", existing("mine", "Somebody else's")).expect("a role");
    stage.connect("").await;
    stage.until_ready("amorg", &stage.name).await;
    stage.sandbox.add_fault(Fault::new(Operation::ModifyRole, Effect::Hang).after_commit());
    stage.apply(&role("mine", "  adoption: Override\n  deletionPolicy: Disable")).await;
    until(&stage, "mine", |role| role.description == "Triage").await;
    stage.delete("amrole", "mine").await;
    stage.until_gone("amrole", "mine").await;
    assert!(remote(&stage, "mine").expect("mine").permission_grants.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_emptied_has_a_way_out() {
    let stage = Stage::new("escape").await;
    stage.apply(&role("stuck", "  deletionPolicy: Disable")).await;
    stage.until_ready("amrole", "stuck").await;
    stage.fail(Operation::ModifyRole, Effect::status(403));
    stage.delete("amrole", "stuck").await;
    let why = stage.until_reason("amrole", "stuck", "Ready", "Forbidden").await;
    let annotation = "permissions.amigo.ai/skip-disable";
    assert!(why.contains("could not be emptied") && why.contains(annotation), "{why}");
    stage.patch("amrole", "stuck", json!({"metadata": {"annotations": {annotation: "true"}}})).await;
    stage.until_gone("amrole", "stuck").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn younger_role_waits_until_the_older_is_gone() {
    let stage = Stage::new("rivals").await;
    stage.apply(&role("older", "  roleName: shared")).await;
    stage.until_ready("amrole", "older").await;
    stage.until_older("amrole", "older").await;
    stage.apply(&role("younger", "  roleName: shared").replace("Triage", "The younger's")).await;
    let why = stage.until_reason("amrole", "younger", "Ready", "Conflict").await;
    assert!(why.contains(&format!("{}/older", stage.name)), "{why}");
    assert_eq!(remote(&stage, "shared").expect("shared").description, "Triage");
    stage.patch("amrole", "younger", json!({"spec": {"adoption": "Override"}})).await;
    stage.delete("amrole", "older").await;
    stage.until_ready("amrole", "younger").await;
    assert_eq!(remote(&stage, "shared").expect("shared").description, "The younger's");
}

#[tokio::test(flavor = "multi_thread")]
async fn editing_the_rules_of_a_role_is_no_new_spec() {
    let stage = Stage::new("rules").await;
    stage.apply(&role("triage", "")).await;
    stage.until_ready("amrole", "triage").await;
    stage.patch("amrole", "triage", json!({"spec": {"driftPolicy": "Report"}})).await;
    stage.by_hand("/role/triage", json!({"description": "By hand"})).await;
    stage.until_reason("amrole", "triage", "Ready", "Drifted").await;
    stage.patch("amrole", "triage", json!({"spec": {"adoption": "Override", "deletionPolicy": "Disable"}})).await;
    stage.until_member("amrole", "triage", "/status/observedGeneration", json!(3)).await;
    assert_eq!(stage.condition("amrole", "triage", "Ready").await.expect("Ready").reason, "Drifted");
    assert_eq!(remote(&stage, "triage").expect("triage").description, "By hand");
    let told: Vec<_> = stage.audit("triage").await.into_iter().map(|line| line["event"].clone()).collect();
    assert_eq!(told, ["Applied", "Drifted"], "every transition is one audit line");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_is_not_sent_because_the_model_is_forced() {
    let stage = Stage::bare("forceddeny").await;
    stage.connect("  permissionModel: AllowDeny").await;
    stage.apply(&role("denies", "  - {permissionName: 'User:GetUserInfo', action: Deny}")).await;
    let why = stage.until_reason("amrole", "denies", "Ready", "DenyNotSupported").await;
    assert!(why.contains("permissionGrants[1] denies") && why.contains("permissionModel is AllowDeny"), "{why}");
    stage.assert_quiet("amrole", "denies").await;
    assert!(remote(&stage, "denies").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_is_sent_and_seen_to_have_come_through() {
    let stage = Stage::allow_deny("deny").await;
    stage.apply(&role("denies", "  - {permissionName: 'User:GetUserInfo', action: Deny}")).await;
    stage.until_ready("amrole", "denies").await;
    assert_eq!(stage.member("amrole", "denies", "/status/deny").await, json!(null));
    assert_eq!(remote(&stage, "denies").expect("denies").permission_grants.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_of_an_unlisted_role_causes_no_retry_loop() {
    let stage = Stage::new("taken").await;
    stage.fail(Operation::CreateRole, Effect::status(409));
    stage.apply(&role("hidden", "")).await;
    let why = stage.until_reason("amrole", "hidden", "Ready", "NameTaken").await;
    assert!(why.contains("Role:GetRole"), "{why}");
    assert_eq!(stage.member("amrole", "hidden", "/status/creating").await, json!(null), "it is not the object's own");
    // Other tests' objects wake this one, too; however often it tries, the roles are not listed each time.
    let listed = || stage.sandbox.requests().count(Operation::GetRoles);
    let before = listed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(listed() - before <= 2, "{} listings in three seconds", listed() - before);
    stage.sandbox.clear_faults();
    stage.until_ready("amrole", "hidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_creation_response_keeps_ownership() {
    let stage = Stage::new("unanswered").await;
    stage.sandbox.add_fault(Fault::new(Operation::CreateRole, Effect::status(500)).after_commit());
    stage.apply(&role("triage", "  adoption: Never")).await;
    stage.until_ready("amrole", "triage").await;
    assert_eq!(stage.member("amrole", "triage", "/status/creating").await, json!(null));
    assert_eq!(stage.sandbox.requests().count(Operation::CreateRole), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn role_outside_allowed_namespaces_never_wins() {
    let stage = Stage::new("outside").await;
    let elsewhere = Cluster::new("elsewhere").await;
    elsewhere.apply(&role("older", "  roleName: shared").replace("ORGANIZATION", &stage.name)).await.expect("accepted");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.apply(&role("younger", "  roleName: shared")).await;
    stage.until_ready("amrole", "younger").await;
}

/// A Role with one grant; `extra` is YAML for its spec, indented by two.
pub fn role(name: &str, extra: &str) -> String {
    format!(
        "apiVersion: permissions.amigo.ai/v1alpha1\nkind: Role\nmetadata: {{name: {name}}}\nspec:\n  organizationRef: {{name: \
         ORGANIZATION}}\n  description: Triage\n  permissionGrants:\n  - permissionName: Conversation:GetMessage\n    conditions: \
         {{org_id: {{type: Equals, value: '{{self_org_id}}'}}}}\n{extra}\n"
    )
}

/// The same role as it stands at Amigo before its object.
fn existing(name: &str, description: &str) -> RoleSeed {
    let seed = json!({
        "name": name, "description": description, "frontend_view": "client",
        "permission_grants": [{
            "permission_name": "Conversation:GetMessage",
            "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}},
        }],
    });
    serde_json::from_value::<RoleSeed>(seed).expect("a role")
}

fn remote(stage: &Stage, name: &str) -> Option<RoleDocument> {
    stage.sandbox.roles("acme").into_iter().find(|role| role.name == name)
}

async fn until(stage: &Stage, name: &str, holds: impl Fn(&RoleDocument) -> bool) -> RoleDocument {
    stage.until(&format!("role {name} follows"), || remote(stage, name).filter(&holds)).await
}

async fn events_of(stage: &Stage, name: &str) -> Vec<String> {
    let what = format!("role {name} was ");
    let notes = stage.events(name).await.into_iter().filter_map(|event| Some(event.2.strip_prefix(&what)?.to_owned()));
    notes.map(|note| note.replace(" at Amigo", "")).collect()
}
