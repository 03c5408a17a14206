//! Servers, clients and a clock that can be moved.

#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    missing_docs,
    reason = "fixtures of tests"
)]

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use amigo_runtime::clock::{Clock, SharedClock, SystemClock};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{ApiAddress, Budgets, Client, Credentials, Endpoint, NewGrant, Transport, TransportOptions};

pub const API_KEY: &str = "s3cret-api-key";
pub const TOKEN: &str = "t0ken";

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn is_sign_in(&self) -> bool {
        self.target.ends_with("/user/signin_with_api_key")
    }

    /// The values of a query parameter, decoded.
    pub fn query(&self, key: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decode = |value: &str| percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned();
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| decode(value)).collect()
    }
}

/// A server and what it was asked.
pub struct Server {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    /// A server that answers by `answer`, given the call and the number of calls before it.
    pub async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Call, usize) -> Response + Clone + Send + Sync + 'static,
    {
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let seen = Arc::clone(&calls);
        let router = Router::new().fallback(move |request: Request| {
            let (answer, seen) = (answer.clone(), Arc::clone(&seen));
            async move {
                let call = record(request).await;
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(call.clone());
                    seen.len() - 1
                };
                answer(&call, number)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, calls }
    }

    /// A server that signs everybody in and answers the rest by `answer`.
    pub async fn signed_in<F>(answer: F) -> Self
    where
        F: Fn(&Call) -> Response + Clone + Send + Sync + 'static,
    {
        Self::start(move |call, _| if call.is_sign_in() { token_for(TOKEN, 3600) } else { answer(call) }).await
    }

    /// A server that reads the start of each request, writes `answer` and hangs up.
    pub fn raw(answer: &'static [u8]) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                assert!(stream.read(&mut [0; 4096]).is_ok());
                stream.write_all(answer).unwrap();
            }
        });
        address
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn sign_ins(&self) -> usize {
        self.calls().iter().filter(|call| call.is_sign_in()).count()
    }

    /// All calls but the sign-ins.
    pub fn others(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| !call.is_sign_in()).collect()
    }

    pub fn client(&self) -> Client {
        client(self.address)
    }
}

/// A clock that is the machine's, moved forward.
#[derive(Default)]
pub struct MovedClock(Mutex<Duration>);

impl MovedClock {
    pub fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.0.lock().unwrap()
    }

    fn boot(&self) -> Duration {
        SystemClock.boot() + *self.0.lock().unwrap()
    }
}

pub fn client(address: SocketAddr) -> Client {
    client_with(address, SystemClock::shared(), &quick())
}

pub fn client_with(address: SocketAddr, clock: SharedClock, options: &TransportOptions) -> Client {
    let overrides = Endpoint::ALL.map(|endpoint| (endpoint, 16_000)).into();
    let budgets = Arc::new(Budgets::new(80, &overrides, clock.clone()));
    Client::new(
        Transport::new(options).unwrap(),
        connection(&format!("http://{address}")),
        credentials(),
        budgets,
        clock,
    )
}

/// Deadlines for a loaded test machine, still short enough to wait for.
pub fn quick() -> TransportOptions {
    TransportOptions { request_deadline: Duration::from_secs(10), ..TransportOptions::default() }
}

pub fn connection(base: &str) -> ApiAddress {
    ApiAddress { base_url: base.parse().unwrap(), organization: "acme".to_owned() }
}

pub fn credentials() -> Credentials {
    Credentials { api_key: API_KEY.into(), api_key_id: "key-id".to_owned(), user_id: "user-operator".to_owned() }
}

pub fn new_grant() -> NewGrant {
    NewGrant {
        user_id: "user-eng".to_owned(),
        duration: "PT2H".to_owned(),
        permission_name: "Conversation:GetMessage".to_owned(),
        conditions: serde_json::from_value(json!({"org_id": {"type": "Equals", "value": "acme"}})).unwrap(),
        tags: [("managed_by".to_owned(), "amigo_operator".to_owned())].into(),
        justification: "Looking into INC 42".to_owned(),
    }
}

pub fn token_for(token: &str, seconds: u64) -> Response {
    let expires_at = SystemClock.now() + Duration::from_secs(seconds);
    ok(&json!({"id_token": token, "expires_at": expires_at.to_string()}))
}

pub fn ok(body: &Value) -> Response {
    answer(200, body)
}

pub fn answer(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Body::from(body.to_string())).into_response()
}

pub fn created() -> Response {
    answer(
        201,
        &json!({"temporary_permission_grant_id": "66f1c0ab12de34f056789e01", "expires_at": "2126-11-22T12:00:00Z"}),
    )
}

async fn record(request: Request) -> Call {
    let (parts, body) = request.into_parts();
    Call {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap_or_default(),
    }
}
