//! The pages of `docs/` whose commands are the plugin's: run again, as the pages say.

use test_support::{ENGINEER, OPERATOR_NAMESPACE, TestEnv};

use super::transcripts::Production;
use super::users::let_read_secret;

async fn reviewers(env: &TestEnv) {
    let role = include_str!("../../../examples/role-conversation-reviewer.yaml");
    env.apply(&role.replace("name: acme", "name: production").replace("  namespace: default\n", "")).await;
    env.until_ready("amrole", "conversation-reviewer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_plugins_page_runs() {
    let production = Production::new().await;
    reviewers(&production.env).await;
    let_read_secret(&production.env, ENGINEER).await;
    production.replay("docs/cli.md");
    // Other tests have an Organization of this name, too, and an engineer who may not read its Secret.
    let env = &production.env;
    env.kubectl(&["delete", "rolebinding", "production", "--namespace", OPERATOR_NAMESPACE]).expect("deleted");
}
