use amigo_sandbox::{Effect, Fault, Operation};
use serde_json::json;

use crate::support::*;

const CREATE: Operation = Operation::CreateRole;

#[tokio::test]
async fn a_fault_before_the_commit_changes_nothing() {
    let world = world();
    let operator = world.operator().await;
    let effect = Effect::Status { status: 503, retry_after: Some("7".to_owned()), body: Some(json!("busy")) };
    world.sandbox.add_fault(Fault::new(CREATE, effect));

    let answer = operator.post("/role/", reviewer()).await;

    assert_eq!((answer.status, answer.body), (503, json!("busy")));
    assert_eq!(answer.headers["retry-after"], "7");
    assert!(world.sandbox.journal().is_empty());
    assert_eq!(operator.post("/role/", reviewer()).await.status, 201);
}

#[tokio::test]
async fn a_fault_after_the_commit_loses_only_the_answer() {
    let world = world();
    let operator = world.operator().await;
    world.sandbox.add_fault(Fault::new(CREATE, Effect::status(500)).after_commit());
    assert_eq!(operator.post("/role/", reviewer()).await.status, 500);
    assert_eq!(world.sandbox.journal().len(), 1);
    assert_eq!(operator.post("/role/", reviewer()).await.status, 409);
}

#[tokio::test]
async fn broken_answers_are_broken() {
    let world = world();
    let operator = world.operator().await;
    let break_next = |effect| world.sandbox.add_fault(Fault::new(Operation::GetRoles, effect));
    break_next(Effect::MalformedBody);
    assert_eq!(operator.get("/role/").await.body, json!(null));
    break_next(Effect::Redirect { location: "http://example.com/".to_owned() });
    assert_eq!(operator.get("/role/").await.status, 307);
    break_next(Effect::CutBody);
    let cut = operator.raw("/role/").await.into_body();
    assert!(axum::body::to_bytes(cut, usize::MAX).await.is_err());
    break_next(Effect::HugeBody { bytes: 10_000_000 });
    let huge = operator.raw("/role/").await.into_body();
    assert!(axum::body::to_bytes(huge, usize::MAX).await.unwrap().len() > 10_000_000);
}

#[tokio::test]
async fn faults_and_journal_are_reached_over_http() {
    let world = world();
    let operator = world.operator().await;
    let fault = json!({ "operation": "create-role", "times": null, "effect": { "type": "Status", "status": 500 } });
    assert_eq!(world.plain("POST", "/sandbox/faults", fault).await.status, 201);
    assert_eq!(operator.post("/role/", reviewer()).await.status, 500);
    assert_eq!(world.plain("DELETE", "/sandbox/faults", json!(null)).await.status, 204);
    operator.post("/role/", reviewer()).await;
    operator.post(GRANT, access("Conversation:GetMessage")).await;

    let journal = world.plain("GET", "/sandbox/journal", json!(null)).await.body;
    let grants = world.plain("GET", "/sandbox/grants", json!(null)).await.body;

    assert_eq!(journal["commits"][0]["change"]["type"], "RoleCreated");
    assert_eq!(journal["commits"][1]["change"]["permission_name"], "Conversation:GetMessage");
    assert_eq!(grants["acme"][0]["user_id"], ENGINEER);
    assert_eq!(world.plain("POST", "/sandbox/faults", json!({ "effect": "boom" })).await.status, 422);
}

#[tokio::test]
async fn requests_are_counted() {
    let world = world();
    let operator = world.operator().await;
    operator.get("/role/").await;
    operator.get("/nothing").await;
    let requests = world.sandbox.requests();
    assert_eq!(requests.total(), 3);
    assert_eq!(requests.count_with_status(Operation::GetRoles, 200), 1);
    assert_eq!(requests.count(Operation::GetUsers), 0);
}
