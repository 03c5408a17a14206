//! Test servers and clients.

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
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{ApiAddress, Client, Credentials, Endpoint, NewGrant, RateLimiter, Transport, TransportOptions};

pub const API_KEY: &str = "s3cret-api-key";
pub const TOKEN: &str = "t0ken";

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl RecordedRequest {
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

/// A server, and the requests that it got.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
}

impl Server {
    /// `respond` gets the request and the number of requests before it.
    pub async fn start<F>(respond: F) -> Self
    where
        F: Fn(&RecordedRequest, usize) -> Response + Clone + Send + Sync + 'static,
    {
        let requests = Arc::<Mutex<Vec<RecordedRequest>>>::default();
        let seen = Arc::clone(&requests);
        let router = Router::new().fallback(move |request: Request| {
            let (respond, seen) = (respond.clone(), Arc::clone(&seen));
            async move {
                let request = record(request).await;
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                respond(&request, number)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, requests }
    }

    /// Signs every user in; `respond` gets the other requests.
    pub async fn signed_in<F>(respond: F) -> Self
    where
        F: Fn(&RecordedRequest) -> Response + Clone + Send + Sync + 'static,
    {
        Self::start(move |request, _| if request.is_sign_in() { token_for(TOKEN, 3600) } else { respond(request) })
            .await
    }

    /// Reads the start of each request, writes `response` and closes the connection.
    pub fn raw(response: &'static [u8]) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                assert!(stream.read(&mut [0; 4096]).is_ok());
                stream.write_all(response).unwrap();
            }
        });
        address
    }

    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap().clone()
    }

    pub fn sign_ins(&self) -> usize {
        self.requests().iter().filter(|request| request.is_sign_in()).count()
    }

    /// All requests except sign-ins.
    pub fn others(&self) -> Vec<RecordedRequest> {
        self.requests().into_iter().filter(|request| !request.is_sign_in()).collect()
    }

    pub fn client(&self) -> Client {
        client(self.address)
    }
}

pub fn client(address: SocketAddr) -> Client {
    client_with(address, SystemClock::shared(), &quick())
}

pub fn client_with(address: SocketAddr, clock: SharedClock, options: &TransportOptions) -> Client {
    let overrides = Endpoint::ALL.map(|endpoint| (endpoint, 16_000)).into();
    let rate_limiter = Arc::new(RateLimiter::new(80, &overrides, clock.clone()));
    Client::new(
        Transport::new(options).unwrap(),
        address_of(&format!("http://{address}")),
        credentials(),
        rate_limiter,
        clock,
    )
}

/// Deadlines for a loaded test machine, still short enough to wait for.
pub fn quick() -> TransportOptions {
    TransportOptions { request_deadline: Duration::from_secs(10), ..TransportOptions::default() }
}

pub fn address_of(base: &str) -> ApiAddress {
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
    respond(200, body)
}

pub fn respond(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Body::from(body.to_string())).into_response()
}

pub fn created() -> Response {
    respond(
        201,
        &json!({"temporary_permission_grant_id": "66f1c0ab12de34f056789e01", "expires_at": "2126-11-22T12:00:00Z"}),
    )
}

async fn record(request: Request) -> RecordedRequest {
    let (parts, body) = request.into_parts();
    RecordedRequest {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap_or_default(),
    }
}

/// Texts that are valid where they are rarely expected.
const TOKENS: [&str; 16] = [
    "null",
    "{}",
    "[]",
    "\"\"",
    "-1",
    "1e999",
    "18446744073709551616",
    "true",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\u{feff}",
    "Deny",
    "{self}",
    "not_equals",
    "9999-12-31T23:59:60+25:00",
];

/// One change of a text: at, how many characters it removes, and what it inserts.
pub type Edit = (u16, u8, u8);

/// The text after these changes.
pub fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, remove, insert) in edits {
        let at = usize::from(*at) % (text.len() + 1);
        let end = (at + usize::from(*remove % 8)).min(text.len());
        let token = TOKENS[usize::from(insert % 16)];
        let letter = char::from(*insert).to_string();
        let inserted = if insert % 3 == 0 { token } else { &letter };
        text.splice(at..end, inserted.chars());
    }
    text.into_iter().collect()
}
