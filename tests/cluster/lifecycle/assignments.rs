//! Assignments: one user, one role, one object in charge.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};
use serde_json::json;

use test_support::{TestEnv, fixture, role};

const COLLEAGUE: &str = "user-colleague-51d0";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_gets_a_role_and_another_one() {
    let env = TestEnv::ready("assign").await;
    env.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    env.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&env), "DefaultUserRole");
    assert_eq!(env.member("amra", "colleague", "/status/userId").await, COLLEAGUE);
    env.patch("amra", "colleague", json!({"spec": {"roleName": "Engineer"}})).await;
    until_role(&env, "Engineer").await;
    env.until_member("amra", "colleague", "/status/roleName", json!("Engineer")).await;
    assert_eq!(env.sandbox().requests().count(Operation::AssignRole), 2);
    assert_eq!(env.audit("colleague").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_waits_for_its_role() {
    let env = TestEnv::ready("roleref").await;
    env.apply(&assignment("colleague", "email: colleague@example.com", "  roleRef: {name: triage}")).await;
    let why = env.until_reason("amra", "colleague", "Ready", "RoleNotReady").await;
    assert!(why.contains(&format!("Role {}/triage does not exist", env.organization)), "{why}");
    env.fail_always(Operation::CreateRole, Effect::status(503));
    env.apply(&role("triage", "")).await;
    env.until_reason("amrole", "triage", "Ready", "Unavailable").await;
    assert_eq!(role_of(&env), "Engineer");
    env.sandbox().clear_faults();
    env.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&env), "triage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_role_keeps_its_users() {
    let env = TestEnv::ready("follow").await;
    env.apply(&role("triage", "")).await;
    env.apply(&assignment("colleague", "email: colleague@example.com", "  roleRef: {name: triage}")).await;
    env.until_ready("amra", "colleague").await;
    env.patch("amrole", "triage", json!({"spec": {"permissionGrants": []}})).await;
    env.until("the role is emptied", || {
        let roles = env.sandbox().roles("acme");
        roles.iter().any(|role| role.name == "triage" && role.permission_grants.is_empty()).then_some(())
    })
    .await;
    env.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&env), "triage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_taken_away_by_hand_is_given_again() {
    let env = TestEnv::ready("again").await;
    env.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    env.until_ready("amra", "colleague").await;
    env.change_out_of_band("/role/Engineer/assign", json!({"user_id": COLLEAGUE})).await;
    until_role(&env, "DefaultUserRole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_of_two_objects_for_one_user_waits() {
    let env = TestEnv::ready("two").await;
    env.apply(&assignment("older", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    env.until_ready("amra", "older").await;
    env.until_older("amra", "older").await;
    env.apply(&assignment("younger", &format!("userId: {COLLEAGUE}"), "  roleName: Engineer")).await;
    let why = env.until_reason("amra", "younger", "Ready", "Conflict").await;
    assert!(why.contains(&format!("{}/older", env.organization)), "{why}");
    assert_eq!(role_of(&env), "DefaultUserRole");
    env.delete("amra", "older").await;
    env.until_ready("amra", "younger").await;
    assert_eq!(role_of(&env), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_assignment_leaves_the_fallback_role() {
    let env = TestEnv::ready("fallback").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    env.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    env.until_ready("amra", "colleague").await;
    env.fail_always(Operation::AssignRole, Effect::status(503));
    env.delete("amra", "colleague").await;
    let why = env.until_reason("amra", "colleague", "Ready", "Unavailable").await;
    assert!(why.contains("could not assign the fallback role Engineer") && why.contains("skip-fallback"), "{why}");
    env.sandbox().clear_faults();
    env.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&env), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_assign_response_still_leaves_fallback_role() {
    let env = TestEnv::ready("unansweredrole").await;
    env.sandbox().add_fault(Fault::new(Operation::AssignRole, Effect::Hang).after_commit());
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    env.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    until_role(&env, "DefaultUserRole").await;
    env.delete("amra", "colleague").await;
    env.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&env), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_fallback_response_is_reported_as_assigned() {
    let env = TestEnv::ready("unansweredback").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    env.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    env.until_ready("amra", "colleague").await;
    env.sandbox().add_fault(Fault::new(Operation::AssignRole, Effect::status(500)).after_commit());
    env.delete("amra", "colleague").await;
    env.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&env), "Engineer");
    let last = env.audit("colleague").await.pop().expect("a line");
    assert_eq!(last["event"], "Assigned", "{last}");
    assert!(last["message"].as_str().expect("a message").contains("fallback role Engineer"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_privilege_is_a_condition_and_no_loop() {
    let env = TestEnv::ready("privilege").await;
    let role = "  roleName: DefaultSuperAdministratorRole";
    env.apply(&assignment("colleague", "email: colleague@example.com", role)).await;
    let why = env.until_reason("amra", "colleague", "Ready", "Forbidden").await;
    assert!(
        why.contains("cannot assign role DefaultSuperAdministratorRole")
            && why.contains("a role that has the permission for this request and more privileges than it grants"),
        "{why}"
    );
    env.assert_idle("amra", "colleague").await;
    assert_eq!(role_of(&env), "Engineer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_or_role_is_told() {
    let env = TestEnv::ready("unknown").await;
    env.apply(&assignment("nobody", "email: nobody@example.com", "  roleName: Engineer")).await;
    env.apply(&assignment("norole", "email: colleague@example.com", "  roleName: Nonesuch")).await;
    let why = env.until_reason("amra", "nobody", "Ready", "UserNotFound").await;
    assert!(why.contains("nobody@example.com") && why.contains("invite the user"), "{why}");
    let why = env.until_reason("amra", "norole", "Ready", "NotFound").await;
    assert!(why.contains("role Nonesuch does not exist"), "{why}");
    env.assert_idle("amra", "nobody").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assignment_outside_allowed_namespaces_never_wins() {
    let env = TestEnv::ready("stranger").await;
    let elsewhere = TestEnv::new("elsewhere").await;
    let older = assignment("older", &format!("userId: {COLLEAGUE}"), "  roleName: Engineer");
    elsewhere.apply(&older.replace("ORGANIZATION", &env.organization)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    env.apply(&assignment("younger", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    env.until_ready("amra", "younger").await;
    assert_eq!(role_of(&env), "DefaultUserRole");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_leaves_a_role_that_others_assigned() {
    let env = TestEnv::ready("release").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    env.apply(&assignment("colleague", "email: colleague@example.com", extra)).await;
    env.until_ready("amra", "colleague").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    // While suspended, what is changed by hand stays until the object goes.
    env.patch("amorg", &env.organization, json!({"spec": {"suspend": true}})).await;
    env.until_reason("amorg", &env.organization, "Ready", "Suspended").await;
    env.change_out_of_band("/role/triage/assign", json!({"user_id": COLLEAGUE})).await;
    env.delete("amra", "colleague").await;
    env.until_gone("amra", "colleague").await;
    assert_eq!(role_of(&env), "triage");
    let why = env.until_event("colleague", "Released").await;
    assert!(why.contains("no longer has role DefaultUserRole"), "{why}");
    assert_eq!(env.audit("colleague").await.last().expect("a line")["event"], "Released");
}

#[tokio::test(flavor = "multi_thread")]
async fn younger_assignment_deletion_assigns_no_fallback() {
    let env = TestEnv::ready("junior").await;
    env.apply(&assignment("older", "email: colleague@example.com", "  roleName: DefaultUserRole")).await;
    env.until_ready("amra", "older").await;
    env.until_older("amra", "older").await;
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    env.apply(&assignment("younger", &format!("userId: {COLLEAGUE}"), extra)).await;
    env.until_reason("amra", "younger", "Ready", "Conflict").await;
    env.delete("amra", "younger").await;
    env.until_gone("amra", "younger").await;
    assert_eq!(role_of(&env), "DefaultUserRole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_made_anew_by_hand_is_not_assigned_again() {
    let env = TestEnv::ready("recreated").await;
    env.apply(&role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    env.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: triage")).await;
    env.until_ready("amra", "colleague").await;
    let asked = env.sandbox().requests().count(Operation::AssignRole);
    env.change_out_of_band("/role/triage", json!({"permission_grants": []})).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(env.sandbox().requests().count(Operation::AssignRole), asked);
    assert_eq!(env.audit("colleague").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_or_observing_assignment_is_told() {
    let env = TestEnv::ready("suspended").await;
    env.apply(&assignment("colleague", "email: colleague@example.com", "  roleName: DefaultUserRole\n  suspend: true"))
        .await;
    let why = env.until_reason("amra", "colleague", "Ready", "Suspended").await;
    assert!(why.contains("while the RoleAssignment is suspended"), "{why}");
    env.patch("amra", "colleague", json!({"spec": {"suspend": false, "managementPolicy": "Observe"}})).await;
    let why = env.until_reason("amra", "colleague", "Ready", "Drifted").await;
    assert!(why.contains("another role than DefaultUserRole"), "{why}");
    assert_eq!(role_of(&env), "Engineer");
    env.patch("amra", "colleague", json!({"spec": {"managementPolicy": "Manage"}})).await;
    env.until_ready("amra", "colleague").await;
    assert_eq!(role_of(&env), "DefaultUserRole");
}

fn assignment(name: &str, user: &str, extra: &str) -> String {
    fixture("role-assignment.yaml", &[("NAME", name), ("USER", user), ("EXTRA", extra)])
}

fn role_of(env: &TestEnv) -> String {
    env.sandbox().user_role("acme", COLLEAGUE).expect("a role")
}

async fn until_role(env: &TestEnv, name: &str) {
    env.until(&format!("the colleague has role {name}"), || (role_of(env) == name).then_some(())).await;
}
