//! The control paths, with which tests and people inspect and steer the sandbox. They need no credentials.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Sandbox, faults::Fault};

pub(super) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/", get(about))
        .route("/sandbox/faults", post(add_fault).get(list_faults).delete(clear_faults))
        .route("/sandbox/journal", get(journal))
        .route("/sandbox/requests", get(requests))
        .route("/sandbox/grants", get(grants))
}

async fn about(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(
        json!({ "sandbox": "This is amigo-sandbox, a local test API. It is not Amigo, and its data is fictional.", "organizations": sandbox.organizations() }),
    )
}

async fn add_fault(State(sandbox): State<Sandbox>, body: Bytes) -> (StatusCode, Json<Value>) {
    match serde_json::from_slice::<Fault>(&body) {
        Ok(fault) => {
            sandbox.add_fault(fault);
            (StatusCode::CREATED, Json(json!({ "faults": sandbox.faults() })))
        }
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": error.to_string() }))),
    }
}

async fn list_faults(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(json!({ "faults": sandbox.faults() }))
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.clear_faults();
    StatusCode::NO_CONTENT
}

async fn journal(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(json!({ "commits": sandbox.journal() }))
}

async fn requests(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(json!(sandbox.requests()))
}

/// The active temporary grants, by organization.
async fn grants(State(sandbox): State<Sandbox>) -> Json<Value> {
    let live = sandbox.organizations().into_iter().map(|organization| {
        let grants: Vec<Value> = sandbox
            .live_grants(&organization)
            .into_iter()
            .map(|grant| {
                let mut rendered = json!(grant);
                rendered["permission_name"] = json!(grant.permission_name());
                rendered["conditions"] = json!(grant.conditions());
                rendered
            })
            .collect();
        (organization, json!(grants))
    });
    Json(Value::Object(live.collect()))
}
