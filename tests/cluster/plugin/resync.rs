//! `kubectl amigo resync`: the annotation, and its acknowledgement.

use serde_json::{Value, json};
use test_support::{TestEnv, role};

use super::users::amigo_as;

#[tokio::test(flavor = "multi_thread")]
async fn resync_waits_for_the_comparison() {
    let env = TestEnv::with_operator("resyncs").await;
    env.connect("roles: {resyncInterval: PT1H}").await;
    env.apply(&role("triage", "  driftPolicy: Report")).await;
    env.until_ready("amrole", "triage").await;
    let shown = amigo_as(&env, "admin", &["resync", "role/triage", "--wait"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    assert_eq!(shown.stdout, "role.permissions.amigo.ai/triage compared: role triage matches the spec\n");
    env.change_out_of_band("/role/triage", json!({"description": "By hand"})).await;
    let shown = amigo_as(&env, "admin", &["resync", "role/triage", "--wait", "-o", "json"]);
    let result: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!((shown.code, &result["reason"]), (1, &json!("Drifted")), "{shown:?}");
    let organization = format!("organization/{}", env.organization);
    let shown = amigo_as(&env, "admin", &["resync", &organization, "--wait"]);
    assert!(shown.code == 0 && shown.stdout.ends_with("compared: connected\n"), "{shown:?}");
    assert_eq!(amigo_as(&env, "admin", &["resync", "some-request"]).code, 2);
}
