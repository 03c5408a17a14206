//! The examples against the sandbox they are written for: what the operator would send is taken.

#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use std::{fs, path::Path};

use amigo_runtime::clock::SystemClock;
use amigo_sandbox::{PermissionModel, Sandbox, Seed};
use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

/// The operator, signed in with the Secret of the examples.
struct Operator {
    sandbox: Sandbox,
    token: String,
}

impl Operator {
    async fn signed_in(model: PermissionModel) -> Self {
        let mut seed = Seed::example().unwrap();
        seed.organizations[0].model = model;
        let sandbox = Sandbox::new(seed, SystemClock::shared(), 7).unwrap();
        let secret = &examples("Secret")[0]["stringData"];
        let request = Request::post("/v1/acme/user/signin_with_api_key")
            .header("x-api-key", text(&secret["apiKey"]))
            .header("x-api-key-id", text(&secret["apiKeyId"]))
            .header("x-user-id", text(&secret["userId"]));
        let (_, answer) = send(&sandbox, request.body(Body::empty()).unwrap()).await;
        Self { sandbox, token: text(&answer["id_token"]).to_owned() }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(format!("/v1/acme{path}"));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        send(&self.sandbox, request.header("content-type", "application/json").body(body).unwrap()).await
    }

    async fn user_id(&self, user: &Value) -> String {
        let query = match user["email"].as_str() {
            Some(email) => format!("email={email}"),
            None => format!("user_id={}", text(&user["userId"])),
        };
        let (_, answer) = self.call("GET", &format!("/user/?{query}"), Value::Null).await;
        text(&answer["users"][0]["user_id"]).to_owned()
    }

    /// What a grant asks for: its permissions, or the three that a conversation stands for.
    async fn permissions(&self, spec: &Value) -> Vec<Value> {
        if let Some(permissions) = spec["permissions"].as_array() {
            return permissions.clone();
        }
        let conversation = &spec["conversation"];
        let id = conversation["id"].as_str().or_else(|| text(&conversation["url"]).rsplit('/').next()).unwrap();
        let (_, answer) = self.call("GET", &format!("/conversation/?id={id}"), Value::Null).await;
        let owner = text(&answer["conversations"][0]["user_id"]);
        let equals = |value: &str| json!({ "type": "Equals", "value": value });
        let conditions = json!({ "org_id": equals("acme"), "conversation_user_id": equals(owner) });
        let actions = ["GetConversation", "GetMessage", "GetInteractionInsights"];
        let permission =
            |action| json!({ "permissionName": format!("Conversation:{action}"), "conditions": conditions });
        actions.map(permission).to_vec()
    }
}

#[tokio::test]
async fn roles_and_assignments_are_taken() {
    for model in [PermissionModel::AllowOnly, PermissionModel::AllowDeny] {
        let operator = Operator::signed_in(model).await;
        for role in examples("Role") {
            let (status, answer) = operator.call("POST", "/role/", role_request(&role, model)).await;
            assert_eq!(status, 201, "{model:?} {role}: {answer}");
        }
        for assignment in examples("RoleAssignment") {
            let path = format!("/role/{}/assign", remote_name_of(&assignment["spec"]["roleRef"]));
            let user = json!({ "user_id": operator.user_id(&assignment["spec"]["user"]).await });
            let (status, answer) = operator.call("POST", &path, user).await;
            assert_eq!(status, 200, "{model:?} {assignment}: {answer}");
        }
    }
}

#[tokio::test]
async fn grants_are_issued() {
    let operator = Operator::signed_in(PermissionModel::AllowOnly).await;
    for grant in examples("TemporaryPermissionGrant") {
        let spec = &grant["spec"];
        let user = operator.user_id(&spec["user"]).await;
        for permission in operator.permissions(spec).await {
            let request = json!({
                "user_id": user, "duration": spec["duration"].as_str().unwrap_or("PT2H"), "tags": {},
                "justification": spec["justification"], "permission_grant": wire(&permission),
            });
            let (status, answer) = operator.call("POST", "/role/temporary_permission_grant/", request).await;
            assert_eq!(status, 201, "{grant}: {answer}");
        }
    }
}

/// The objects of a kind in all examples.
fn examples(kind: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let texts = files.map(|path| fs::read_to_string(path).unwrap());
    let objects = texts.flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap());
    let objects: Vec<_> = objects.filter(|object| object["kind"] == kind).collect();
    assert!(!objects.is_empty(), "no example of {kind}");
    objects
}

/// The request for a role. No example denies what it allows, so without Deny it is just the Allows.
fn role_request(role: &Value, model: PermissionModel) -> Value {
    let spec = &role["spec"];
    let knows_deny = model == PermissionModel::AllowDeny;
    let grants = spec["permissionGrants"].as_array().unwrap().iter();
    let grants = grants.filter(|grant| knows_deny || grant["action"] != "Deny");
    let grant = |grant: &Value| {
        let mut line = wire(grant);
        if knows_deny {
            line["action"] = json!(grant["action"].as_str().unwrap_or("Allow"));
        }
        line
    };
    json!({
        "role_name": remote_name(role), "description": spec["description"], "frontend_view": spec["frontendView"],
        "permission_grants": grants.map(grant).collect::<Vec<_>>(),
    })
}

/// A permission as the Amigo API writes it.
fn wire(permission: &Value) -> Value {
    let conditions = permission["conditions"].as_object().cloned().unwrap_or_default();
    json!({ "permission_name": permission["permissionName"], "conditions": conditions })
}

fn remote_name(role: &Value) -> &str {
    role["spec"]["roleName"].as_str().unwrap_or_else(|| text(&role["metadata"]["name"]))
}

fn remote_name_of(reference: &Value) -> String {
    let roles = examples("Role");
    remote_name(roles.iter().find(|role| role["metadata"]["name"] == reference["name"]).unwrap()).to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

async fn send(sandbox: &Sandbox, request: Request<Body>) -> (u16, Value) {
    let response = sandbox.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}
