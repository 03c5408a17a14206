//! S10: secrets that appear nowhere but where they belong.

use std::time::Duration;

use amigo_sandbox::{Effect, Operation};
use secrecy::SecretString;
use serde_json::json;
use test_support::{API_KEY_ID, Limits, OPERATOR_NAMESPACE, TestEnv, eventually, operator_process::OperatorProcess};

const KEY: &str = "canary-4f1d0c6e-right";
const WRONG: &str = "canary-9b27a3f0-wrong";
const OBJECTS: [&str; 2] = ["get", "amorg,amrole,amra,tpg,events"];

#[tokio::test(flavor = "multi_thread")]
async fn s10_canary_appears_nowhere_at_trace() {
    let env = TestEnv::exclusive("canary", Limits::Lifted).await;
    env.sandbox().set_api_key_secret("acme", API_KEY_ID, SecretString::from(KEY)).expect("a key");
    env.apply(&env.secret(KEY)).await;
    let mut secrets = vec![KEY.to_owned(), encoded(&env)];
    let operator = env.operator(&["--no-leader-election", "--log-filter=trace"]);
    work(&env).await;
    env.apply(&env.secret(WRONG)).await;
    secrets.extend([WRONG.to_owned(), encoded(&env), "sandbox-token-".to_owned()]);
    env.until_reason("amorg", &env.organization, "Ready", "CredentialsRejected").await;
    secrets.extend(kubernetes_tokens(&env));
    let printed = printed(&env, &operator).await;
    assert!(secrets.len() > 7 && printed.contains("\"level\":\"TRACE\"") && printed.contains("DeletedWhileLive"));
    for secret in secrets {
        let before = printed.split_once(&secret).map(|(before, _)| before.lines().next_back());
        assert_eq!(before, None, "a secret was printed after this");
    }
}

/// Uses the key, for what succeeds and for what Amigo refuses with an error that repeats the key.
async fn work(env: &TestEnv) {
    env.create_grant("served", 1, "PT1H").await;
    env.until_ready("tpg", "served").await;
    let body = Some(json!({"detail": format!("the key {KEY} is bad"), "message": KEY}));
    for operation in Operation::ALL {
        env.fail_always(operation, Effect::Status { status: 422, retry_after: None, body: body.clone() });
    }
    env.create_grant("refused", 1, "PT1H").await;
    env.until_reason("tpg", "refused", "Ready", "InvalidRequest").await;
    env.sandbox().clear_faults();
    env.apply(&test_support::role("triage", "")).await;
    env.until_ready("amrole", "triage").await;
    env.delete("tpg", "served").await;
}

/// Everything that the operator prints, serves and writes.
async fn printed(env: &TestEnv, operator: &OperatorProcess) -> String {
    eventually(Duration::from_secs(20), "the deletion is told", || async {
        operator.audit().contains("DeletedWhileLive").then_some(())
    })
    .await;
    let objects = env.kubectl(&[&OBJECTS[..], &["--all-namespaces", "--output=yaml"]].concat()).expect("objects");
    [operator.log(), operator.audit(), operator.page("/metrics").await, objects].concat()
}

/// The key in the form in which the API server returns it.
fn encoded(env: &TestEnv) -> String {
    let secret = ["get", "secret", "acme", "--output=jsonpath={.data.apiKey}"];
    env.kubectl(&[&secret[..], &["--namespace", OPERATOR_NAMESPACE]].concat()).expect("a Secret")
}

fn kubernetes_tokens(env: &TestEnv) -> Vec<String> {
    let kubeconfig = env.plane().kubeconfig();
    let tokens = kubeconfig.lines().filter_map(|line| line.trim().strip_prefix("token: "));
    tokens.map(|token| token.trim_matches(['"', '\'']).to_owned()).collect()
}
