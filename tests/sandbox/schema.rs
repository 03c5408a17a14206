//! A served sandbox, judged by Amigo's API document with schemathesis.

use amigo_sandbox::{Behavior, Hierarchy, Operation};
use jiff::SignedDuration;

use crate::sdk::judge;

/// Everything that hides the answer to a request: limits, ranks, and the end of a token.
fn open(behavior: &mut Behavior) {
    behavior.limit_multiplier = 0;
    behavior.token_lifetime = SignedDuration::from_hours(24);
    behavior.role_hierarchy = Hierarchy::Off;
    behavior.create_role_hierarchy = Hierarchy::Off;
    behavior.grant_hierarchy = Hierarchy::Off;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python 3.11 and, the first time, the network to install schemathesis"]
async fn the_api_document_describes_the_sandbox() {
    let operations = Operation::ALL.map(|operation| format!("{} {}\n", operation.method(), operation.path()));
    judge("schema.sh", open, &operations.concat()).await;
}
