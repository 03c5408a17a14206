//! An Amigo API that refuses connections, asks for a pause, or does not respond.

use std::{future::pending, net::SocketAddr, time::Duration};

use amigo_sandbox::{Effect, Operation};
use serde_json::json;
use test_support::{Limits, TestEnv, fixture, grant, operator::CONCURRENCY, role};
use tokio::{net::TcpListener, time::timeout};

const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_cost_about_two_seconds() {
    // With the documented limits: the first minute has one sign-in.
    let env = TestEnv::builder("refused").sandbox(Limits::Documented, |_| ()).operator().start().await;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    env.apply(&env.secret("sandbox-api-key")).await;
    env.apply(&env.organization_at(&format!("http://{address}"), "")).await;
    env.until_reason("amorg", &env.organization, "Ready", "Unreachable").await;
    env.apply(&grant("request", REQUEST)).await;
    let told = timeout(Duration::from_secs(3), env.until_reason("tpg", "request", "Ready", "Unreachable")).await;
    assert!(told.is_ok(), "{}", env.describe("tpg", "request"));
    serve(&env, address).await;
    let served = timeout(Duration::from_secs(6), env.until_ready("tpg", "request")).await;
    assert!(served.is_ok(), "{}", env.describe("tpg", "request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_says_that_it_is_rate_limited() {
    let env = TestEnv::ready("paused").await;
    for name in ["one", "two", "three"] {
        env.apply(&role(name, "")).await;
        env.until_ready("amrole", name).await;
    }
    let pause = Effect::Status { status: 429, retry_after: Some("600".to_owned()), body: None };
    env.fail_always(Operation::GetRoles, pause);
    let told = env.until_reason("amorg", &env.organization, "Ready", "RateLimited");
    let told = timeout(Duration::from_secs(30), told).await;
    assert!(told.is_ok(), "{}", env.describe("amorg", &env.organization));
    env.until_reason("amrole", "one", "Ready", "RateLimited").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_hanging_assignments_slow_no_others() {
    let (hanging, prompt) = (TestEnv::ready("hangs").await, TestEnv::ready("prompt").await);
    hanging.fail_always(Operation::GetUsers, Effect::Hang);
    let many: Vec<_> = (0..2 * CONCURRENCY).map(|number| assignment(&format!("waits-{number}"))).collect();
    hanging.apply(&many.join("\n---\n")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    prompt.apply(&assignment("colleague")).await;
    let served = timeout(Duration::from_secs(5), prompt.until_ready("amra", "colleague")).await;
    assert!(served.is_ok(), "{}", prompt.describe("amra", "colleague"));
    hanging.delete("amorg", &hanging.organization).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_column_counts_between_sweeps() {
    let env = TestEnv::ready("count").await;
    env.apply(&grant("request", REQUEST)).await;
    env.until_ready("tpg", "request").await;
    let counted = json!({"active": 3, "managed": 3, "orphaned": 0, "unmanaged": 0});
    env.until_member("amorg", &env.organization, "/status/grants", counted).await;
}

fn assignment(name: &str) -> String {
    let values = [("NAME", name), ("USER", "email: colleague@example.com"), ("EXTRA", "  roleName: DefaultUserRole")];
    fixture("role-assignment.yaml", &values)
}

async fn serve(env: &TestEnv, address: SocketAddr) {
    let (listener, sandbox) = (TcpListener::bind(address).await.expect("the port"), env.sandbox().clone());
    tokio::spawn(async move { sandbox.serve(listener, pending()).await.expect("the sandbox serves") });
}
