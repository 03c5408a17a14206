//! Who writes status.

use serde_json::json;
use test_support::policies::{self, PolicyEnv};
use test_support::{CHARTS_OPERATOR, ENGINEER, Run, fixture};

use super::requesters::request;

/// One object of each kind.
async fn one_of_each(policies: &PolicyEnv) -> [(&'static str, String); 4] {
    let name = policies.env.namespace.clone();
    let objects = fixture("one-of-each.yaml", &[("NAME", &name)]);
    policies.env.apply(&objects).await;
    let mut grant = request();
    grant["metadata"] = json!({"name": "request"});
    policies.env.apply(&grant.to_string()).await;
    [
        ("organization", name),
        ("roles.permissions.amigo.ai", "reader".to_owned()),
        ("roleassignment", "colleague".to_owned()),
        ("tpg", "request".to_owned()),
    ]
}

fn write_status(policies: &PolicyEnv, who: &[&str], kind: &str, name: &str) -> Run {
    let patch = r#"{"status": {"observedGeneration": 1}}"#;
    let write = ["patch", kind, name, "--subresource=status", "--type=merge", "--patch", patch];
    policies.env.kubectl(&[who, write.as_slice()].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_operator_writes_status_of_any_kind() {
    let policy_env = PolicyEnv::bare("status").await;
    let objects = one_of_each(&policy_env).await;
    let writers = format!("--set=admission.status.writers={{{CHARTS_OPERATOR},admin}}");
    policy_env
        .env
        .kubectl_with(&["apply", "-f", "-"], &policies::policies(&policy_env.env.namespace, &[&writers]))
        .expect("it");
    let operator = format!("system:serviceaccount:{}:amigo-operator", policy_env.env.namespace);
    let message = format!("only the operator ({operator}) can write status: change the spec instead");
    // A cluster administrator who is not on the list is no exception.
    let administrator = ["--as=root", "--as-group=system:masters"];
    for (kind, name) in &objects {
        policy_env.until_refused(&message, || write_status(&policy_env, &administrator, kind, name)).await;
        write_status(&policy_env, &[&format!("--as={operator}"), "--as-group=system:masters"], kind, name).expect("it");
        write_status(&policy_env, &[], kind, name).expect("one of the list");
    }
    let (kind, name) = &objects[3];
    policy_env.until_refused(&message, || write_status(&policy_env, &["--context", ENGINEER], kind, name)).await;
}
