use amigo_sandbox::{LimitScope, Operation};

use crate::support::*;

#[tokio::test]
async fn the_limit_answers_429_with_the_time_to_wait() {
    let world = world();
    let operator = world.operator().await;
    for _ in 0..15 {
        assert_eq!(operator.get("/conversation/").await.status, 200);
    }
    world.pass(jiff::SignedDuration::from_secs(20));

    let refused = operator.get("/conversation/").await;

    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "40");
    assert_eq!(refused.headers["x-ratelimit-limit"], "15");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    world.pass(jiff::SignedDuration::from_secs(40));
    assert_eq!(operator.get("/conversation/").await.headers["x-ratelimit-remaining"], "14");
    assert_eq!(world.sandbox.requests().count_with_status(Operation::GetConversations, 429), 1);
}

#[tokio::test]
async fn organization_shares_limits_unless_per_user() {
    let world = world();
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);
    for _ in 0..15 {
        operator.get("/conversation/").await;
    }
    assert_eq!(engineer.get("/conversation/").await.status, 429);
    let _world = world.with(|behavior| behavior.limit_scope = LimitScope::User);
    assert_eq!(engineer.get("/conversation/").await.status, 200);
}

#[tokio::test]
async fn limits_scale_and_lift() {
    let world = world().with(|behavior| behavior.limit_multiplier = 2);
    for _ in 0..10 {
        assert_eq!(world.sign_in(KEY, "sandbox-api-key", OPERATOR).await.status, 200);
    }
    assert_eq!(world.sign_in(KEY, "sandbox-api-key", OPERATOR).await.status, 429);
    let world = world.without_limits();
    assert_eq!(world.sign_in(KEY, "sandbox-api-key", OPERATOR).await.status, 200);
}
