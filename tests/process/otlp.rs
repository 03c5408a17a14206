//! Traces: what a collector gets of an operator at work, and what it does not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use test_support::{Limits, TestEnv, eventually};
use tokio::net::TcpListener;

const WITHIN: Duration = Duration::from_secs(30);

/// What was delivered: protobuf, in which texts stand as they are.
type Delivered = Arc<Mutex<Vec<u8>>>;

async fn collector() -> (String, Delivered) {
    let delivered = Delivered::default();
    let take = async |State(delivered): State<Delivered>, body: Bytes| delivered.lock().expect("whole").extend(body);
    let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&delivered));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), delivered)
}

fn has(delivered: &Delivered, text: &str) -> bool {
    delivered.lock().expect("whole").windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_receives_spans_without_secrets() {
    let env = TestEnv::exclusive("traces", Limits::Lifted).await;
    let (endpoint, delivered) = collector().await;
    let mut operator = env.operator(&[&format!("--otlp-endpoint={endpoint}")]);
    env.create_grant("traced", 1, "PT1H").await;
    env.until_active(1, WITHIN).await;
    operator.terminate();
    assert!(operator.ended(WITHIN).await.success(), "{}", operator.log());
    for text in
        ["amigo-operator", "reconciling object", "traced", "Amigo API request", "create_grant", "http.status_code"]
    {
        eventually(WITHIN, text, || async { has(&delivered, text).then_some(()) }).await;
    }
    for secret in ["sandbox-api-key", "Bearer", "a test asks for it"] {
        assert!(!has(&delivered, secret), "{secret} was delivered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_delays_nothing() {
    let env = TestEnv::exclusive("untraced", Limits::Lifted).await;
    let mut operator = env.operator(&["--otlp-endpoint=http://127.0.0.1:9"]);
    env.create_grant("traced", 1, "PT1H").await;
    env.until_active(1, WITHIN).await;
    operator.terminate();
    assert!(operator.ended(WITHIN).await.success(), "{}", operator.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_is_refused() {
    let env = TestEnv::exclusive("misspelt", Limits::Lifted).await;
    let mut operator = env.operator(&["--otlp-endpoint=collector"]);
    assert!(!operator.ended(WITHIN).await.success());
    assert!(operator.log().contains("is not the address of a collector, such as http://collector:4318"));
}
