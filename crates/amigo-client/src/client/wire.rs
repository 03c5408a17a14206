//! Parses responses: ignores unused members, and requires only the used ones.

use std::collections::BTreeMap;

use amigo_permissions::{Action, Condition, Conditions, Value as Operand};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{paging::Page, response::ApiResponse};
use crate::{
    Cause, CreatedGrant, Error, Excerpt, FrontendView, RemoteConversation, RemoteGrant, RemoteGrants,
    RemotePermissionGrant, RemoteRole, RemoteUser,
};

/// A page of a listing.
#[derive(Deserialize)]
struct PageBody<T> {
    #[serde(alias = "temporary_permission_grants", alias = "conversations", alias = "users")]
    items: Vec<T>,
    has_more: bool,
    #[serde(default)]
    continuation_token: Option<i64>,
}

#[derive(Deserialize)]
struct RolesBody {
    roles: Vec<RoleBody>,
}

#[derive(Deserialize)]
struct RoleBody {
    id: String,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    frontend_view: Value,
    #[serde(default)]
    permission_grants: Value,
}

#[derive(Deserialize)]
struct RoleGrantBody {
    permission_name: String,
    conditions: BTreeMap<String, ConditionBody>,
    #[serde(default)]
    action: Option<Action>,
    #[serde(default)]
    description: Option<String>,
}

/// A condition in a response. Manifests are parsed more strictly, because a misspelled member there would widen a role.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum ConditionBody {
    Equals { value: Operand },
    NotEquals { value: Operand },
    In { values: Vec<Operand> },
}

#[derive(Deserialize)]
struct RoleIdBody {
    role_id: String,
}

#[derive(Deserialize)]
struct CreatedGrantBody {
    temporary_permission_grant_id: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct GrantBody {
    #[serde(rename = "_id")]
    id: String,
    user_id: String,
    permission_grant: TemporaryBody,
    expires_at: Timestamp,
    #[serde(default)]
    created_at: Option<Timestamp>,
    creator: CreatorBody,
    tags: BTreeMap<String, Option<String>>,
    #[serde(default)]
    justification: String,
}

#[derive(Deserialize)]
struct TemporaryBody {
    permission_name: String,
    conditions: Value,
}

#[derive(Deserialize)]
struct CreatorBody {
    user_id: String,
}

#[derive(Deserialize)]
struct UserBody {
    user_id: String,
    email: String,
    role: String,
}

#[derive(Deserialize)]
struct ConversationBody {
    id: String,
    user_id: String,
}

/// The body as `T`.
pub(super) fn parse<T: DeserializeOwned>(response: &ApiResponse) -> Result<T, Error> {
    serde_json::from_slice(&response.body).map_err(|error| malformed(response, &error.to_string()))
}

/// The roles of a listing with grants.
pub(super) fn roles(response: &ApiResponse) -> Result<Vec<RemoteRole>, Error> {
    Ok(parse::<RolesBody>(response)?.roles.into_iter().map(|body| role(response, body)).collect())
}

/// The ID of a role after it was created, changed or assigned.
pub(super) fn role_id(response: &ApiResponse) -> Result<String, Error> {
    let RoleIdBody { role_id } = parse(response)?;
    present(response, role_id)
}

/// The created grant.
pub(super) fn created_grant(response: &ApiResponse) -> Result<CreatedGrant, Error> {
    let CreatedGrantBody { temporary_permission_grant_id, expires_at } = parse(response)?;
    Ok(CreatedGrant { id: present(response, temporary_permission_grant_id)?, expires_at })
}

/// A page of grants.
pub(super) fn grants(response: &ApiResponse) -> Result<Page<RemoteGrant>, Error> {
    page(response, |body: GrantBody| RemoteGrant {
        id: body.id,
        user_id: body.user_id,
        permission_name: body.permission_grant.permission_name,
        conditions: serde_json::from_value(body.permission_grant.conditions).ok().map(conditions),
        expires_at: body.expires_at,
        created_at: body.created_at,
        creator: body.creator.user_id,
        tags: body.tags,
        justification: body.justification,
    })
}

/// A page of users.
pub(super) fn users(response: &ApiResponse) -> Result<Page<RemoteUser>, Error> {
    page(response, |UserBody { user_id, email, role }| RemoteUser { user_id, email, role_id: role })
}

/// A page of conversations.
pub(super) fn conversations(response: &ApiResponse) -> Result<Page<RemoteConversation>, Error> {
    page(response, |ConversationBody { id, user_id }| RemoteConversation { id, user_id })
}

fn page<B: DeserializeOwned, T>(response: &ApiResponse, read: fn(B) -> T) -> Result<Page<T>, Error> {
    let PageBody { items, has_more, continuation_token } = parse::<PageBody<B>>(response)?;
    Ok(Page { items: items.into_iter().map(read).collect(), has_more, continuation_token })
}

fn role(response: &ApiResponse, body: RoleBody) -> RemoteRole {
    let grants = match Vec::<RoleGrantBody>::deserialize(&body.permission_grants) {
        Ok(grants) => RemoteGrants::Understood(grants.into_iter().map(role_grant).collect()),
        Err(error) => {
            RemoteGrants::Raw { value: body.permission_grants, reason: redacted(response, &error.to_string()) }
        }
    };
    let frontend_view = match body.frontend_view.as_str() {
        Some("client") => Some(FrontendView::Client),
        Some("admin") => Some(FrontendView::Admin),
        _ => None,
    };
    RemoteRole {
        id: body.id,
        name: body.name,
        description: body.description.unwrap_or_default(),
        frontend_view,
        grants,
    }
}

fn role_grant(body: RoleGrantBody) -> RemotePermissionGrant {
    let RoleGrantBody { permission_name, conditions, action, description } = body;
    RemotePermissionGrant { permission_name, conditions: self::conditions(conditions), action, description }
}

fn conditions(bodies: BTreeMap<String, ConditionBody>) -> Conditions {
    let condition = |body| match body {
        ConditionBody::Equals { value } => Condition::Equals { value },
        ConditionBody::NotEquals { value } => Condition::NotEquals { value },
        ConditionBody::In { values } => Condition::In { values },
    };
    bodies.into_iter().map(|(attribute, body)| (attribute, condition(body))).collect()
}

fn present(response: &ApiResponse, id: String) -> Result<String, Error> {
    if id.trim().is_empty() { Err(malformed(response, "the ID is empty")) } else { Ok(id) }
}

fn malformed(response: &ApiResponse, detail: &str) -> Error {
    Error::new(response.endpoint, Cause::Malformed { status: response.status, detail: redacted(response, detail) })
}

/// The detail of an error. The JSON library quotes its input, and a server may echo a request.
fn redacted(response: &ApiResponse, detail: &str) -> Excerpt {
    Excerpt::new(&response.secrets.removed_from(detail))
}
