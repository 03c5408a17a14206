//! The sandbox of a test, and changes past the operator.

use amigo_runtime::clock::{SharedClock, SystemClock};
use amigo_sandbox::{Change, Effect, Fault, GrantCreated, Operation, Sandbox, Seed};
use axum::body::Body;
use http::Request;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::{TestEnv, operator::BACKGROUND};

/// The id of the sandbox's API key.
pub const API_KEY_ID: &str = "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11";

/// A sandbox and its address.
pub(crate) struct ServedSandbox {
    pub sandbox: Sandbox,
    pub url: String,
}

impl ServedSandbox {
    /// Serves a sandbox until this process ends. `limit_multiplier` 0 lifts its rate limits.
    pub async fn start(seed: Seed, limit_multiplier: u32, clock: SharedClock, random_seed: u64) -> Self {
        BACKGROUND.spawn(serve(seed, limit_multiplier, clock, random_seed)).await.expect("a sandbox")
    }
}

async fn serve(seed: Seed, limit_multiplier: u32, clock: SharedClock, random_seed: u64) -> ServedSandbox {
    let sandbox = Sandbox::new(seed, clock, random_seed).expect("a sandbox");
    sandbox.set_behavior("acme", |behavior| behavior.limit_multiplier = limit_multiplier).expect("acme is seeded");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let served = sandbox.clone();
    tokio::spawn(async move { served.serve(listener, std::future::pending()).await.expect("the sandbox serves") });
    ServedSandbox { sandbox, url }
}

impl TestEnv {
    /// The temporary grants that were ever committed, in order.
    pub fn issued(&self) -> Vec<GrantCreated> {
        let granted = |change| if let Change::GrantCreated(grant) = change { Some(grant) } else { None };
        self.sandbox().journal().into_iter().filter_map(|commit| granted(commit.change)).collect()
    }

    /// Another Amigo API with the same organization, and its URL.
    pub async fn another_amigo(&self) -> (Sandbox, String) {
        let (seed, clock) = (Seed::example().expect("the example seed"), SystemClock::shared());
        let served = ServedSandbox::start(seed, 0, clock, rand::random()).await;
        (served.sandbox, served.url)
    }

    /// Changes something at Amigo without the operator, as a user of the console does.
    pub async fn change_out_of_band(&self, path: &str, body: Value) {
        let sign_in = Request::post("/v1/acme/user/signin_with_api_key")
            .header("x-api-key", "sandbox-api-key")
            .header("x-api-key-id", API_KEY_ID)
            .header("x-user-id", "user-operator-0001");
        let token = self.send_to_sandbox(sign_in, Value::Null).await["id_token"].as_str().expect("a token").to_owned();
        let request = Request::post(format!("/v1/acme{path}")).header("authorization", format!("Bearer {token}"));
        self.send_to_sandbox(request.header("content-type", "application/json"), body).await;
    }

    async fn send_to_sandbox(&self, request: http::request::Builder, body: Value) -> Value {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response =
            self.sandbox().router().oneshot(request.body(body).expect("a request")).await.expect("a response");
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        assert!(head.status.is_success(), "{}: {}", head.status, String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Lets a fault hit the next request of an operation.
    pub fn fail_once(&self, operation: Operation, effect: Effect) {
        self.sandbox().add_fault(Fault::new(operation, effect));
    }

    /// Lets a fault hit every request of an operation from now on.
    pub fn fail_always(&self, operation: Operation, effect: Effect) {
        self.sandbox().add_fault(Fault::new(operation, effect).times(None));
    }
}
