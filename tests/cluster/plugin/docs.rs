//! The pages of `docs/` whose commands are the plugin's: run again, as the pages say.

use test_support::{
    ENGINEER,
    test_env::{OPERATOR_NAMESPACE, Stage},
};

use super::transcripts::Production;
use super::users::let_read_secret;

async fn reviewers(stage: &Stage) {
    let role = include_str!("../../../examples/role-conversation-reviewer.yaml");
    stage.apply(&role.replace("name: acme", "name: production").replace("  namespace: default\n", "")).await;
    stage.until_ready("amrole", "conversation-reviewer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_plugins_page_runs() {
    let production = Production::new().await;
    reviewers(&production.stage).await;
    let_read_secret(&production.stage, ENGINEER).await;
    production.replay("docs/cli.md");
    // Other tests have an Organization of this name, too, and an engineer who may not read its Secret.
    let cluster = &production.stage.cluster;
    cluster.kubectl(&["delete", "rolebinding", "production", "--namespace", OPERATOR_NAMESPACE]).expect("deleted");
}
