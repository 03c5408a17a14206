//! Roles: made, changed, set back, adopted, left alone and disabled.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation, RoleDocument, RoleSeed};
use serde_json::json;
use test_support::{TIMEOUT, TestEnv, eventually, role};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_made_and_follows_its_spec() {
    let env = TestEnv::ready("role").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    let made = remote(&env, "triage").expect("the role");
    assert_eq!((made.description.as_str(), made.permission_grants.len()), ("Triage", 1));

    env.patch("amrole", "triage", json!({"spec": {"description": "Sorts reports"}})).await;
    let described = until(&env, "triage", |role| role.description == "Sorts reports").await;
    assert_eq!(described.id, made.id, "a description changes in place");

    env.patch("amrole", "triage", json!({"spec": {"permissionGrants": []}})).await;
    let replaced = until(&env, "triage", |role| role.permission_grants.is_empty()).await;
    assert_ne!(replaced.id, made.id, "grants make a new document");
    env.until_member("amrole", "triage", "/status/roleId", json!(replaced.id)).await;
    assert_eq!(env.sandbox().requests().count(Operation::ModifyRole), 2);
    let told = ["created", "changed in description", "changed in permissionGrants"];
    eventually(TIMEOUT, "every change is told", async || (events_of(&env, "triage").await == told).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_set_back() {
    let env = TestEnv::ready("drift").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    env.change_out_of_band("/role/triage", json!({"description": "By hand", "permission_grants": []})).await;
    let set_back = until(&env, "triage", |role| role.description == "Triage").await;
    assert_eq!(set_back.permission_grants.len(), 1);
    env.until_member("amrole", "triage", "/status/roleId", json!(set_back.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_policy_keeps_drift_but_applies_a_new_spec() {
    let env = TestEnv::ready("report").await;
    env.apply(&role("triage", "  driftPolicy: Report")).await;
    env.until_ready("amrole", "triage").await;
    env.change_out_of_band("/role/triage", json!({"description": "By hand"})).await;
    let why = env.until_reason("amrole", "triage", "Ready", "Drifted").await;
    assert!(why.contains("(description)") && why.contains("driftPolicy"), "{why}");

    // A new spec is no drift, even if Amigo is down when it comes.
    env.fail_always(Operation::ModifyRole, Effect::status(503));
    env.patch("amrole", "triage", json!({"spec": {"description": "Sorts reports"}})).await;
    env.until_reason("amrole", "triage", "Ready", "Unavailable").await;
    env.sandbox().clear_faults();
    until(&env, "triage", |role| role.description == "Sorts reports").await;
    env.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_role_is_adopted_as_the_spec_says() {
    let env = TestEnv::with_operator("adopt").await;
    for name in ["same", "other", "mine", "never"] {
        let description = if name == "same" || name == "never" { "Triage" } else { "Somebody else's" };
        env.sandbox().add_role("acme", existing(name, description)).expect("a role");
    }
    env.connect("").await;
    env.apply(&role("same", "")).await;
    env.apply(&role("other", "")).await;
    env.apply(&role("mine", "  adoption: Override")).await;
    env.apply(&role("never", "  adoption: Never")).await;
    env.until_ready("amrole", "same").await;
    env.until_ready("amrole", "mine").await;
    let why = env.until_reason("amrole", "other", "Ready", "AdoptionRefused").await;
    assert!(why.contains("differs in description") && why.contains("adoption to Override"), "{why}");
    let why = env.until_reason("amrole", "never", "Ready", "AdoptionRefused").await;
    assert!(why.contains("exists at Amigo"), "{why}");
    assert_eq!(remote(&env, "other").expect("other").description, "Somebody else's");
    assert_eq!(remote(&env, "mine").expect("mine").description, "Triage");
    env.until_event("same", "Adopted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_role_is_left_alone() {
    let env = TestEnv::ready("suspend").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    env.patch("amrole", "triage", json!({"spec": {"suspend": true, "description": "Later"}})).await;
    env.until_reason("amrole", "triage", "Ready", "Suspended").await;
    assert_eq!(remote(&env, "triage").expect("triage").description, "Triage");
    env.patch("amrole", "triage", json!({"spec": {"suspend": false}})).await;
    until(&env, "triage", |role| role.description == "Later").await;
    env.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_role_is_retained_or_emptied() {
    let env = TestEnv::ready("delete").await;
    env.apply(&role("retained", "")).await;
    env.apply(&role("emptied", "  deletionPolicy: Disable")).await;
    env.until_ready("amrole", "retained").await;
    env.until_ready("amrole", "emptied").await;
    env.delete("amrole", "retained").await;
    env.delete("amrole", "emptied").await;
    env.until_gone("amrole", "retained").await;
    env.until_gone("amrole", "emptied").await;
    assert_eq!(remote(&env, "retained").expect("retained").permission_grants.len(), 1);
    assert!(remote(&env, "emptied").expect("emptied").permission_grants.is_empty());
    env.until_event("emptied", "Disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_adoption_response_still_empties_the_role() {
    let env = TestEnv::with_operator("overtake").await;
    env.sandbox().add_role("acme", existing("mine", "Somebody else's")).expect("a role");
    env.connect("").await;
    env.until_ready("amorg", &env.organization).await;
    env.sandbox().add_fault(Fault::new(Operation::ModifyRole, Effect::Hang).after_commit());
    env.apply(&role("mine", "  adoption: Override\n  deletionPolicy: Disable")).await;
    until(&env, "mine", |role| role.description == "Triage").await;
    env.delete("amrole", "mine").await;
    env.until_gone("amrole", "mine").await;
    assert!(remote(&env, "mine").expect("mine").permission_grants.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_emptied_has_a_way_out() {
    let env = TestEnv::ready("escape").await;
    env.apply(&role("stuck", "  deletionPolicy: Disable")).await;
    env.until_ready("amrole", "stuck").await;
    env.fail_always(Operation::ModifyRole, Effect::status(403));
    env.delete("amrole", "stuck").await;
    let why = env.until_reason("amrole", "stuck", "Ready", "Forbidden").await;
    let annotation = "permissions.amigo.ai/skip-disable";
    assert!(why.contains("could not remove the grants") && why.contains(annotation), "{why}");
    env.patch("amrole", "stuck", json!({"metadata": {"annotations": {annotation: "true"}}})).await;
    env.until_gone("amrole", "stuck").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn younger_role_waits_until_the_older_is_gone() {
    let env = TestEnv::ready("rivals").await;
    env.apply(&role("older", "  roleName: shared")).await;
    env.until_ready("amrole", "older").await;
    env.until_older("amrole", "older").await;
    env.apply(&role("younger", "  roleName: shared").replace("Triage", "The younger's")).await;
    let why = env.until_reason("amrole", "younger", "Ready", "Conflict").await;
    assert!(why.contains(&format!("{}/older", env.organization)), "{why}");
    assert_eq!(remote(&env, "shared").expect("shared").description, "Triage");
    env.patch("amrole", "younger", json!({"spec": {"adoption": "Override"}})).await;
    env.delete("amrole", "older").await;
    env.until_ready("amrole", "younger").await;
    assert_eq!(remote(&env, "shared").expect("shared").description, "The younger's");
}

#[tokio::test(flavor = "multi_thread")]
async fn editing_the_rules_of_a_role_is_no_new_spec() {
    let env = TestEnv::ready("rules").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    env.patch("amrole", "triage", json!({"spec": {"driftPolicy": "Report"}})).await;
    env.change_out_of_band("/role/triage", json!({"description": "By hand"})).await;
    env.until_reason("amrole", "triage", "Ready", "Drifted").await;
    env.patch("amrole", "triage", json!({"spec": {"adoption": "Override", "deletionPolicy": "Disable"}})).await;
    env.until_member("amrole", "triage", "/status/observedGeneration", json!(3)).await;
    assert_eq!(env.condition("amrole", "triage", "Ready").await.expect("Ready").reason, "Drifted");
    assert_eq!(remote(&env, "triage").expect("triage").description, "By hand");
    let told: Vec<_> = env.audit("triage").await.into_iter().map(|line| line["event"].clone()).collect();
    assert_eq!(told, ["Applied", "Drifted"], "every transition is one audit line");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_is_not_sent_because_the_model_is_forced() {
    let env = TestEnv::with_operator("forceddeny").await;
    env.connect("  permissionModel: AllowDeny").await;
    env.apply(&role("denies", "  - {permissionName: 'User:GetUserInfo', action: Deny}")).await;
    let why = env.until_reason("amrole", "denies", "Ready", "DenyNotSupported").await;
    assert!(why.contains("permissionGrants[1] denies") && why.contains("permissionModel is AllowDeny"), "{why}");
    env.assert_idle("amrole", "denies").await;
    assert!(remote(&env, "denies").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_is_sent_and_seen_to_have_come_through() {
    let env = TestEnv::allow_deny("deny").await;
    env.apply(&role("denies", "  - {permissionName: 'User:GetUserInfo', action: Deny}")).await;
    env.until_ready("amrole", "denies").await;
    assert_eq!(env.member("amrole", "denies", "/status/deny").await, json!(null));
    assert_eq!(remote(&env, "denies").expect("denies").permission_grants.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_of_an_unlisted_role_causes_no_retry_loop() {
    let env = TestEnv::ready("taken").await;
    env.fail_always(Operation::CreateRole, Effect::status(409));
    env.apply(&role("hidden", "")).await;
    let why = env.until_reason("amrole", "hidden", "Ready", "NameTaken").await;
    assert!(why.contains("Role:GetRole"), "{why}");
    assert_eq!(env.member("amrole", "hidden", "/status/sent").await, json!(null), "it is not the object's own");
    // Other tests' objects wake this one, too; however often it tries, the roles are not listed each time.
    let listed = || env.sandbox().requests().count(Operation::GetRoles);
    let before = listed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(listed() - before <= 2, "{} listings in three seconds", listed() - before);
    env.sandbox().clear_faults();
    env.until_ready("amrole", "hidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_creation_response_keeps_ownership() {
    let env = TestEnv::ready("no-response").await;
    env.sandbox().add_fault(Fault::new(Operation::CreateRole, Effect::status(500)).after_commit());
    env.apply(&role("triage", "  adoption: Never")).await;
    env.until_ready("amrole", "triage").await;
    let made = remote(&env, "triage").expect("triage");
    assert_eq!(env.member("amrole", "triage", "/status/sent/roleId").await, json!(made.id));
    assert_eq!(env.sandbox().requests().count(Operation::CreateRole), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn role_outside_allowed_namespaces_never_wins() {
    let env = TestEnv::ready("outside").await;
    let elsewhere = TestEnv::new("elsewhere").await;
    elsewhere.apply(&role("older", "  roleName: shared").replace("ORGANIZATION", &env.organization)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    env.apply(&role("younger", "  roleName: shared")).await;
    env.until_ready("amrole", "younger").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_seen_beside_the_replaced_document() {
    let env = TestEnv::ready("replaced").await;
    env.sandbox().set_behavior("acme", |behavior| behavior.old_role_visible = true).expect("acme");
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    // IDs tell documents apart by the second.
    env.until_older("amrole", "triage").await;
    env.change_out_of_band("/role/triage", json!({"permission_grants": []})).await;
    until(&env, "triage", |role| role.permission_grants.len() == 1).await;
    env.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_role_reports_and_changes_nothing() {
    let env = TestEnv::ready("observe").await;
    env.apply(&role("triage", "  managementPolicy: Observe\n  deletionPolicy: Disable")).await;
    let why = env.until_reason("amrole", "triage", "Ready", "Drifted").await;
    assert!(why.contains("does not exist at Amigo"), "{why}");
    env.sandbox().add_role("acme", existing("triage", "Triage")).expect("a role");
    env.until_ready("amrole", "triage").await;
    assert_eq!(env.member("amrole", "triage", "/status/roleId").await, json!(null), "it owns nothing");
    env.change_out_of_band("/role/triage", json!({"description": "By hand"})).await;
    env.until_reason("amrole", "triage", "Ready", "Drifted").await;
    env.delete("amrole", "triage").await;
    env.until_gone("amrole", "triage").await;
    let changes = [Operation::CreateRole, Operation::ModifyRole].map(|change| env.sandbox().requests().count(change));
    assert_eq!(changes, [0, 1], "only the change by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn resync_annotation_is_handled_and_acknowledged() {
    let env = TestEnv::with_operator("resync").await;
    env.connect("roles: {resyncInterval: PT1H}").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    env.change_out_of_band("/role/triage", json!({"permission_grants": []})).await;
    let annotate = |value: &str| json!({"metadata": {"annotations": {"permissions.amigo.ai/resync": value}}});
    env.patch("amrole", "triage", annotate("now")).await;
    env.until_member("amrole", "triage", "/status/lastHandledResync", json!("now")).await;
    assert_eq!(remote(&env, "triage").expect("triage").permission_grants.len(), 1);
    let listed = env.sandbox().requests().count(Operation::GetRoles);
    env.patch("amorg", &env.organization, annotate("later")).await;
    env.until_member("amorg", &env.organization, "/status/lastHandledResync", json!("later")).await;
    assert_eq!(env.sandbox().requests().count(Operation::GetRoles), listed + 1);
    env.assert_idle("amrole", "triage").await;
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

fn remote(env: &TestEnv, name: &str) -> Option<RoleDocument> {
    env.sandbox().roles("acme").into_iter().find(|role| role.name == name)
}

async fn until(env: &TestEnv, name: &str, holds: impl Fn(&RoleDocument) -> bool) -> RoleDocument {
    env.until(&format!("role {name} follows"), || remote(env, name).filter(&holds)).await
}

async fn events_of(env: &TestEnv, name: &str) -> Vec<String> {
    let what = format!("role {name} was ");
    let notes = env.events(name).await.into_iter().filter_map(|event| Some(event.2.strip_prefix(&what)?.to_owned()));
    notes.map(|note| note.replace(" at Amigo", "")).collect()
}
