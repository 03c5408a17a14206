//! Responses that no documented API sends: edits of valid ones. `make fuzz` runs longer.

use bolero::check;
use serde_json::json;

use super::super::{response::ApiResponse, secrets::Secrets, wire};
use crate::{
    Endpoint,
    testing::{API_KEY, Edit, edited},
};

fn response(endpoint: Endpoint, body: String) -> ApiResponse {
    ApiResponse { endpoint, status: 200, body: body.into(), date: None, secrets: Secrets::new([API_KEY.into()]) }
}

#[test]
fn fuzz_grants_are_read_or_refused() {
    let grant = json!({"_id": "1", "user_id": API_KEY, "org_id": "acme", "expires_at": "2026-01-01T00:00:00Z",
        "permission_grant": {"permission_name": "A:B", "conditions": {"x": {"type": "In", "values": ["a", 1]}}},
        "tags": {"slot": "0_0", API_KEY: null}, "justification": "because", "creator": {"org_id": "a", "user_id": "b"},
        "created_at": null});
    let page = json!({"temporary_permission_grants": [grant], "has_more": true, "continuation_token": 10}).to_string();
    assert_eq!(wire::grants(&response(Endpoint::ListGrants, page.clone())).unwrap().items.len(), 1);
    check!().with_type::<Vec<Edit>>().for_each(|edits| {
        if let Err(error) = wire::grants(&response(Endpoint::ListGrants, edited(&page, edits))) {
            assert!(!format!("{error} {error:?}").contains(API_KEY), "{error}");
        }
    });
}

#[test]
fn fuzz_roles_are_read_or_refused() {
    let grant =
        json!({"permission_name": API_KEY, "action": "Deny", "conditions": {"x": {"type": "Equals", "value": 1}}});
    let role =
        json!({"id": "1", "name": "r", "description": null, "frontend_view": "client", "permission_grants": [grant]});
    let roles = json!({"roles": [role]}).to_string();
    assert_eq!(wire::roles(&response(Endpoint::ListRoles, roles.clone())).unwrap().len(), 1);
    check!().with_type::<Vec<Edit>>().for_each(|edits| {
        if let Err(error) = wire::roles(&response(Endpoint::ListRoles, edited(&roles, edits))) {
            assert!(!format!("{error} {error:?}").contains(API_KEY), "{error}");
        }
    });
}
