//! Roles under both permission models.

use std::sync::Arc;

use amigo_permissions::{Action, Condition, Conditions, DescribedGrant, PermissionGrant};
use serde_json::{Value, json};

use crate::testing::{Server, ok, respond};
use crate::{
    ErrorKind, FrontendView, NewRole, PermissionModel, RemoteGrants, RemoteRole, RoleChange, permission_model,
};

fn grant(action: Action) -> DescribedGrant {
    let permission_name = "Conversation:GetMessage".to_owned();
    DescribedGrant {
        grant: PermissionGrant { action, permission_name, conditions: Conditions::new() },
        description: Some("why".to_owned()),
    }
}

fn role(action: Action, model: PermissionModel) -> NewRole {
    NewRole {
        name: "reviewer".to_owned(),
        description: "Reads".to_owned(),
        frontend_view: FrontendView::Admin,
        permission_grants: vec![grant(action)],
        is_base_role: None,
        model,
    }
}

async fn role_server(status: u16) -> Server {
    Server::signed_in(move |_| respond(status, &json!({"role_id": "r1"}))).await
}

async fn listed(grants: Value) -> Vec<RemoteRole> {
    let good =
        json!({"id": "1", "name": "good", "frontend_view": "client", "description": "d", "permission_grants": []});
    let roles = json!({"roles": [good, {"id": "2", "name": "other", "permission_grants": grants}]});
    let server = Server::signed_in(move |_| ok(&roles)).await;
    server.client().roles().await.unwrap()
}

#[tokio::test]
async fn allow_only_sends_neither_action_nor_description() {
    let server = role_server(201).await;
    let id = server.client().create_role(&role(Action::Allow, PermissionModel::AllowOnly)).await.unwrap();
    let request = &server.others()[0];
    assert_eq!((id.as_str(), request.target.as_str()), ("r1", "/v1/acme/role/"));
    let expected = json!({
        "role_name": "reviewer", "description": "Reads", "frontend_view": "admin",
        "permission_grants": [{"permission_name": "Conversation:GetMessage", "conditions": {}}]
    });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn allow_deny_sends_both() {
    let server = role_server(201).await;
    let role = NewRole { is_base_role: Some(true), ..role(Action::Deny, PermissionModel::AllowDeny) };
    server.client().create_role(&role).await.unwrap();
    let body = server.others()[0].json();
    assert_eq!((&body["permission_grants"][0]["action"], &body["is_base_role"]), (&json!("Deny"), &json!(true)));
    assert_eq!(body["permission_grants"][0]["description"], "why");
}

#[tokio::test]
async fn allow_only_never_sends_a_deny() {
    let server = role_server(200).await;
    let client = server.client();
    let created = client.create_role(&role(Action::Deny, PermissionModel::AllowOnly)).await;
    let change = RoleChange { permission_grants: Some(vec![grant(Action::Deny)]), ..RoleChange::default() };
    let modified = client.modify_role("reviewer", &change).await;
    let base = NewRole { is_base_role: Some(true), ..role(Action::Allow, PermissionModel::AllowOnly) };
    let errors = [created.unwrap_err(), modified.unwrap_err(), client.create_role(&base).await.unwrap_err()];
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unsupported && error.never_sent()));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn role_change_sends_only_changed_members() {
    let server = role_server(200).await;
    let change = RoleChange { description: Some("new".to_owned()), ..RoleChange::default() };
    server.client().modify_role("a b/ü", &change).await.unwrap();
    let request = &server.others()[0];
    assert_eq!(
        (request.target.as_str(), request.json()),
        ("/v1/acme/role/a%20b%2F%C3%BC", json!({"description": "new"}))
    );
}

#[tokio::test]
async fn change_is_not_sent_when_precondition_fails() {
    let roles = json!({"roles": [], "role_id": "r1"});
    let server = Server::signed_in(move |_| ok(&roles)).await;
    let client = server.client().with_precondition(Arc::new(|| false));
    let error = client.modify_role("reviewer", &RoleChange::default()).await.unwrap_err();
    assert!(error.never_sent() && error.kind() == ErrorKind::TooLate);
    assert!(client.assign_role("reviewer", "user-eng").await.unwrap_err().never_sent());
    assert!(client.roles().await.is_ok(), "a question is asked all the same");
    assert_eq!(server.others().len(), 1);
    assert!(server.client().with_precondition(Arc::new(|| true)).assign_role("reviewer", "user-eng").await.is_ok());
}

#[tokio::test]
async fn assign_role_uses_its_own_path() {
    let server = role_server(200).await;
    server.client().assign_role("re+viewer", "user-eng").await.unwrap();
    let request = &server.others()[0];
    assert_eq!(
        (request.target.as_str(), request.json()),
        ("/v1/acme/role/re%2Bviewer/assign", json!({"user_id": "user-eng"}))
    );
}

#[tokio::test]
async fn role_name_that_changes_the_path_is_an_error() {
    let server = role_server(200).await;
    for name in ["", ".", ".."] {
        let error = server.client().modify_role(name, &RoleChange::default()).await.unwrap_err();
        assert!(error.never_sent() && error.kind() == ErrorKind::Invalid);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn malformed_role_does_not_fail_the_listing() {
    let roles = listed(json!([{"permission_name": "A:B", "conditions": {"x": {"type": "Regex", "value": "."}}}])).await;
    assert!(matches!(roles[0].grants, RemoteGrants::Understood(_)));
    assert!(matches!(roles[1].grants, RemoteGrants::Raw { .. }));
    assert_eq!((roles[0].frontend_view, roles[1].frontend_view), (Some(FrontendView::Client), None));
}

#[tokio::test]
async fn unknown_members_of_a_condition_are_ignored() {
    let condition = json!({"type": "Equals", "value": "a", "case_sensitive": true});
    let roles = listed(json!([{"permission_name": "A:B", "conditions": {"x": condition}}])).await;
    let RemoteGrants::Understood(grants) = &roles[1].grants else { panic!("{:?}", roles[1].grants) };
    assert_eq!(grants[0].conditions["x"], Condition::Equals { value: "a".into() });
}

#[tokio::test]
async fn permission_model_comes_from_the_listing() {
    let plain = json!({"permission_name": "A:B", "conditions": {}});
    let with = |action: Value| json!([{"permission_name": "A:B", "conditions": {}, "action": action}]);
    for (grants, model) in [
        (json!([]), PermissionModel::AllowOnly),
        (json!([plain]), PermissionModel::AllowOnly),
        (with(Value::Null), PermissionModel::AllowOnly),
        (with(json!("Allow")), PermissionModel::AllowDeny),
        (with(json!("Audit")), PermissionModel::AllowOnly),
        (with(json!({"effect": "Deny"})), PermissionModel::AllowOnly),
    ] {
        assert_eq!(permission_model(&listed(grants.clone()).await), model, "{grants}");
    }
}
