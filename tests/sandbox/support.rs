//! A client of the sandbox and a clock that the test moves.

use std::sync::Arc;

use amigo_runtime::clock::TestClock;
use amigo_sandbox::{Behavior, PermissionModel, Sandbox, Seed};
use axum::{body::Body, response::Response};
use http::Request;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tower::ServiceExt;

pub const OPERATOR: &str = "user-operator-0001";
pub const ENGINEER: &str = "user-eng-2c91";
pub const COLLEAGUE: &str = "user-colleague-51d0";
pub const OWNER: &str = "user-owner-7f3a";
pub const KEY: &str = "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11";
pub const CONVERSATION: &str = "abc123def456abc123def456";
pub const GRANTS: &str = "/role/temporary_permission_grants/";
pub const GRANT: &str = "/role/temporary_permission_grant/";

/// A sandbox from the example seed, and its clock.
pub struct World {
    pub sandbox: Sandbox,
    pub clock: Arc<TestClock>,
}

/// A reply with its JSON body, null if it has none.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: http::HeaderMap,
}

/// One signed-in user.
pub struct Client {
    sandbox: Sandbox,
    token: String,
}

pub fn world() -> World {
    world_from(Seed::example().unwrap())
}

pub fn allow_deny_world() -> World {
    let mut seed = Seed::example().unwrap();
    seed.organizations[0].model = PermissionModel::AllowDeny;
    world_from(seed)
}

pub fn world_from(seed: Seed) -> World {
    let clock = Arc::new(TestClock::stopped_at("2026-11-22T10:00:00Z".parse().unwrap()));
    let sandbox = Sandbox::new(seed, clock.clone(), 7).unwrap();
    World { sandbox, clock }
}

impl World {
    pub fn with(self, change: impl FnOnce(&mut Behavior)) -> Self {
        self.sandbox.set_behavior("acme", change).unwrap();
        self
    }

    pub fn without_limits(self) -> Self {
        self.with(|behavior| behavior.limit_multiplier = 0)
    }

    pub fn pass(&self, duration: SignedDuration) {
        self.clock.advance(duration.unsigned_abs());
    }

    pub async fn sign_in(&self, key: &str, secret: &str, user: &str) -> Answer {
        let request = Request::post("/v1/acme/user/signin_with_api_key")
            .header("x-api-key", secret)
            .header("x-api-key-id", key)
            .header("x-user-id", user);
        send(&self.sandbox, request.body(Body::empty()).unwrap()).await
    }

    pub async fn client(&self, user: &str) -> Client {
        let answer = self.sign_in(KEY, "sandbox-api-key", user).await;
        let token = answer.body["id_token"].as_str().unwrap().to_owned();
        Client { sandbox: self.sandbox.clone(), token }
    }

    pub async fn operator(&self) -> Client {
        self.client(OPERATOR).await
    }

    pub async fn plain(&self, method: &str, path: &str, body: Value) -> Answer {
        send(&self.sandbox, request(method, path, &body, None)).await
    }
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, body).await
    }

    /// Sends a body under another content type, or none.
    pub async fn post_as(&self, content_type: Option<&str>, path: &str, body: Value) -> Answer {
        let path = format!("/v1/acme{path}");
        let mut request = request("POST", &path, &body, Some(&self.token));
        request.headers_mut().remove("content-type");
        if let Some(content_type) = content_type {
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        send(&self.sandbox, request).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, Value::Null).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let path = format!("/v1/acme{path}");
        send(&self.sandbox, request(method, &path, &body, Some(&self.token))).await
    }

    pub async fn raw(&self, path: &str) -> Response {
        let path = format!("/v1/acme{path}");
        let request = request("GET", &path, &Value::Null, Some(&self.token));
        self.sandbox.router().oneshot(request).await.unwrap()
    }

    /// The role as the listing shows it.
    pub async fn role(&self, name: &str) -> Value {
        let name = name.replace(' ', "%20");
        self.get(&format!("/role/?return_permission_grants=true&name={name}")).await.body["roles"][0].clone()
    }
}

impl Answer {
    /// The location of the first problem of a 422, joined by dots.
    pub fn problem(&self) -> String {
        assert_eq!(self.status, 422, "{:?}", self.body);
        let parts = self.body["detail"][0]["loc"].as_array().unwrap().iter();
        parts.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect::<Vec<_>>().join(".")
    }
}

fn request(method: &str, path: &str, body: &Value, token: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    request.header("content-type", "application/json").body(body).unwrap()
}

async fn send(sandbox: &Sandbox, request: Request<Body>) -> Answer {
    let response = sandbox.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: parts.status.as_u16(), body, headers: parts.headers }
}

pub fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A grant that opens the owner's conversations in part.
pub fn owner_grant(permission_name: &str) -> Value {
    json!({
        "permission_name": permission_name,
        "conditions": {
            "org_id": { "type": "Equals", "value": "acme" },
            "conversation_user_id": { "type": "Equals", "value": OWNER },
        },
    })
}

/// A request for temporary access of the engineer.
pub fn access(permission_name: &str) -> Value {
    json!({
        "user_id": ENGINEER,
        "duration": "PT2H",
        "permission_grant": owner_grant(permission_name),
        "tags": {},
        "justification": "Looking into a report",
    })
}

/// A role that reads the owner's messages.
pub fn reviewer() -> Value {
    json!({
        "role_name": "message reviewer",
        "description": "Reads messages",
        "permission_grants": [owner_grant("Conversation:GetMessage")],
        "frontend_view": "admin",
    })
}

/// `value` with one member replaced, or removed if it is null.
pub fn altered(mut value: Value, pointer: &str, member: &str, new: Value) -> Value {
    let object = value.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
    if new.is_null() {
        object.remove(member);
    } else {
        object.insert(member.to_owned(), new);
    }
    value
}
