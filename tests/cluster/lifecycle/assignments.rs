//! Assignments: one user, one role, one object in charge.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};
use serde_json::json;

use super::roles::role;
use test_support::{Cluster, test_env::Stage};

const COLLEAGUE: &str = "user-colleague-51d0";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_gets_a_role_and_another_one() {
    let stage = Stage::new("assign").await;
    stage.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    stage.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&stage), "DefaultUserRole");
    assert_eq!(stage.member("amra", "colleague", "/status/userId").await, COLLEAGUE);
    stage.patch("amra", "colleague", json!({"spec": {"roleName": "Engineer"}})).await;
    until_role(&stage, "Engineer").await;
    stage.until_member("amra", "colleague", "/status/roleName", json!("Engineer")).await;
    assert_eq!(stage.sandbox.requests().count(Operation::AssignRole), 2);
    assert_eq!(stage.audit("colleague").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_waits_for_its_role() {
    let stage = Stage::new("roleref").await;
    stage.apply(&assignment("colleague", "email: colleague@example.com", "  roleRef: {name: triage}")).await;
    let why = stage.until_reason("amra", "colleague", "Ready", "RoleNotReady").await;
    assert!(why.contains(&format!("Role {}/triage does not exist", stage.name)), "{why}");
    stage.fail(Operation::CreateRole, Effect::status(503));
    stage.apply(&role("triage", "")).await;
    stage.until_reason("amrole", "triage", "Ready", "Unavailable").await;
    assert_eq!(role_of(&stage), "Engineer");
    stage.sandbox.clear_faults();
    stage.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&stage), "triage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_role_keeps_its_users() {
    let stage = Stage::new("follow").await;
    stage.apply(&role("triage", "")).await;
    stage.apply(&assignment("colleague", "email: colleague@example.com", "  roleRef: {name: triage}")).await;
    stage.until_ready("amra", "colleague").await;
    stage.patch("amrole", "triage", json!({"spec": {"permissionGrants": []}})).await;
    stage
        .until("the role is emptied", || {
            let roles = stage.sandbox.roles("acme");
            roles.iter().any(|role| role.name == "triage" && role.permission_grants.is_empty()).then_some(())
        })
        .await;
    stage.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&stage), "triage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_taken_away_by_hand_is_given_again() {
    let stage = Stage::new("again").await;
    stage.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    stage.until_ready("amra", "colleague").await;
    stage.by_hand("/role/Engineer/assign", json!({"user_id": COLLEAGUE})).await;
    until_role(&stage, "DefaultUserRole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_of_two_objects_for_one_user_waits() {
    let stage = Stage::new("two").await;
    stage.apply(&assignment("older", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    stage.until_ready("amra", "older").await;
    stage.until_older("amra", "older").await;
    stage.apply(&assignment("younger", &format!("userId: {COLLEAGUE}"), "  roleName: Engineer")).await;
    let why = stage.until_reason("amra", "younger", "Ready", "Conflict").await;
    assert!(why.contains(&format!("{}/older", stage.name)), "{why}");
    assert_eq!(role_of(&stage), "DefaultUserRole");
    stage.delete("amra", "older").await;
    stage.until_ready("amra", "younger").await;
    assert_eq!(role_of(&stage), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_assignment_leaves_the_fallback_role() {
    let stage = Stage::new("fallback").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    stage.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    stage.until_ready("amra", "colleague").await;
    stage.fail(Operation::AssignRole, Effect::status(503));
    stage.delete("amra", "colleague").await;
    let why = stage.until_reason("amra", "colleague", "Ready", "Unavailable").await;
    assert!(why.contains("fallback role Engineer could not be assigned") && why.contains("skip-fallback"), "{why}");
    stage.sandbox.clear_faults();
    stage.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&stage), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_assign_response_still_leaves_fallback_role() {
    let stage = Stage::new("unansweredrole").await;
    stage.sandbox.add_fault(Fault::new(Operation::AssignRole, Effect::Hang).after_commit());
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    stage.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    until_role(&stage, "DefaultUserRole").await;
    stage.delete("amra", "colleague").await;
    stage.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&stage), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_fallback_response_is_reported_as_assigned() {
    let stage = Stage::new("unansweredback").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    stage.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    stage.until_ready("amra", "colleague").await;
    stage.sandbox.add_fault(Fault::new(Operation::AssignRole, Effect::status(500)).after_commit());
    stage.delete("amra", "colleague").await;
    stage.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&stage), "Engineer");
    let last = stage.audit("colleague").await.pop().expect("a line");
    assert_eq!(last["event"], "Assigned", "{last}");
    assert!(last["message"].as_str().expect("a message").contains("fallback role Engineer"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_privilege_is_a_condition_and_no_loop() {
    let stage = Stage::new("privilege").await;
    let role = "  roleName: DefaultSuperAdministratorRole";
    stage.apply(&assignment("colleague", "email: colleague@example.com", role)).await;
    let why = stage.until_reason("amra", "colleague", "Ready", "Forbidden").await;
    assert!(
        why.contains("cannot assign role DefaultSuperAdministratorRole")
            && why.contains("must stand above whatever it hands out"),
        "{why}"
    );
    stage.assert_quiet("amra", "colleague").await;
    assert_eq!(role_of(&stage), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_or_role_is_told() {
    let stage = Stage::new("unknown").await;
    stage.apply(&assignment("nobody", "email: nobody@example.com", "  roleName: Engineer")).await;
    stage.apply(&assignment("norole", "email: colleague@example.com", "  roleName: Nonesuch")).await;
    let why = stage.until_reason("amra", "nobody", "Ready", "UserNotFound").await;
    assert!(why.contains("nobody@example.com") && why.contains("invite the user"), "{why}");
    let why = stage.until_reason("amra", "norole", "Ready", "NotFound").await;
    assert!(why.contains("role Nonesuch does not exist"), "{why}");
    stage.assert_quiet("amra", "nobody").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assignment_outside_allowed_namespaces_never_wins() {
    let stage = Stage::new("stranger").await;
    let elsewhere = Cluster::new("elsewhere").await;
    let older = assignment("older", &format!("userId: {COLLEAGUE}"), "  roleName: Engineer");
    elsewhere.apply(&older.replace("ORGANIZATION", &stage.name)).await.expect("accepted");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.apply(&assignment("younger", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    stage.until_ready("amra", "younger").await;
    assert_eq!(role_of(&stage), "DefaultUserRole");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_leaves_a_role_that_others_assigned() {
    let stage = Stage::new("release").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    stage.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    stage.until_ready("amra", "colleague").await;
    stage.apply(&role("triage", "")).await;
    stage.until_ready("amrole", "triage").await;
    // While suspended, what is changed by hand stays until the object goes.
    stage.patch("amorg", &stage.name, json!({"spec": {"suspend": true}})).await;
    stage.until_reason("amorg", &stage.name, "Ready", "Suspended").await;
    stage.by_hand("/role/triage/assign", json!({"user_id": COLLEAGUE})).await;
    stage.delete("amra", "colleague").await;
    stage.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&stage), "triage");
    let why = stage.until_event("colleague", "Released").await;
    assert!(why.contains("another role than DefaultUserRole"), "{why}");
    assert_eq!(stage.audit("colleague").await.last().expect("a line")["event"], "Released");
}

#[tokio::test(flavor = "multi_thread")]
async fn younger_assignment_deletion_assigns_no_fallback() {
    let stage = Stage::new("junior").await;
    stage.apply(&assignment("older", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    stage.until_ready("amra", "older").await;
    stage.until_older("amra", "older").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    stage.apply(&assignment("younger", &format!("userId: {COLLEAGUE}"), extra)).await;
    stage.until_reason("amra", "younger", "Ready", "Conflict").await;
    stage.delete("amra", "younger").await;
    stage.until_gone("amra", "younger").await;
    assert_eq!(role_of(&stage), "DefaultUserRole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_made_anew_by_hand_is_not_assigned_again() {
    let stage = Stage::new("anew").await;
    stage.apply(&role("triage", "")).await;
    stage.until_ready("amrole", "triage").await;
    stage.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: triage")).await;
    stage.until_ready("amra", "colleague").await;
    let asked = stage.sandbox.requests().count(Operation::AssignRole);
    stage.by_hand("/role/triage", json!({"permission_grants": []})).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(stage.sandbox.requests().count(Operation::AssignRole), asked);
    assert_eq!(stage.audit("colleague").await.len(), 1);
}

fn assignment(name: &str, user: &str, extra: &str) -> String {
    format!(
        "apiVersion: permissions.amigo.ai/v1alpha1\nkind: RoleAssignment\nmetadata: {{name: {name}}}\nspec:\n  organizationRef: \
         {{name: ORGANIZATION}}\n  user: {{{user}}}\n{extra}\n"
    )
}

fn role_of(stage: &Stage) -> String {
    stage.sandbox.user_role("acme", COLLEAGUE).expect("a role")
}

async fn until_role(stage: &Stage, name: &str) {
    stage.until(&format!("the colleague has role {name}"), || (role_of(stage) == name).then_some(())).await;
}
