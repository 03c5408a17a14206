//! Reading answers: members that are not used are ignored, and only what is used is required.

use std::collections::BTreeMap;

use amigo_permissions::{Action, Condition, Conditions, Value as Operand};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Cause, CreatedGrant, Error, FrontendView, RemoteConversation, RemoteGrant, RemoteGrants, RemotePermissionGrant,
    RemoteRole, RemoteUser, excerpt::Excerpt, paging::Page, transport::Answer,
};

/// A listing's page around its items.
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

/// A condition as answers have it. Manifests are read more strictly, since there a misspelt member would widen a role.
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
pub(super) fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| malformed(answer, &error.to_string()))
}

/// The roles of a listing with grants.
pub(super) fn roles(answer: &Answer) -> Result<Vec<RemoteRole>, Error> {
    Ok(parse::<RolesBody>(answer)?.roles.into_iter().map(|body| role(answer, body)).collect())
}

/// The id of the role that was made, changed or assigned.
pub(super) fn role_id(answer: &Answer) -> Result<String, Error> {
    let RoleIdBody { role_id } = parse(answer)?;
    present(answer, role_id)
}

/// The grant that was made.
pub(super) fn created_grant(answer: &Answer) -> Result<CreatedGrant, Error> {
    let CreatedGrantBody { temporary_permission_grant_id, expires_at } = parse(answer)?;
    Ok(CreatedGrant { id: present(answer, temporary_permission_grant_id)?, expires_at })
}

/// A page of grants.
pub(super) fn grants(answer: &Answer) -> Result<Page<RemoteGrant>, Error> {
    page(answer, |body: GrantBody| RemoteGrant {
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
pub(super) fn users(answer: &Answer) -> Result<Page<RemoteUser>, Error> {
    page(answer, |UserBody { user_id, email, role }| RemoteUser { user_id, email, role_id: role })
}

/// A page of conversations.
pub(super) fn conversations(answer: &Answer) -> Result<Page<RemoteConversation>, Error> {
    page(answer, |ConversationBody { id, user_id }| RemoteConversation { id, user_id })
}

fn page<B: DeserializeOwned, T>(answer: &Answer, read: fn(B) -> T) -> Result<Page<T>, Error> {
    let PageBody { items, has_more, continuation_token } = parse::<PageBody<B>>(answer)?;
    Ok(Page { items: items.into_iter().map(read).collect(), has_more, continuation_token })
}

fn role(answer: &Answer, body: RoleBody) -> RemoteRole {
    let grants = match Vec::<RoleGrantBody>::deserialize(&body.permission_grants) {
        Ok(grants) => RemoteGrants::Understood(grants.into_iter().map(role_grant).collect()),
        Err(error) => RemoteGrants::Raw { value: body.permission_grants, reason: told(answer, &error.to_string()) },
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

fn present(answer: &Answer, id: String) -> Result<String, Error> {
    if id.trim().is_empty() { Err(malformed(answer, "the id is empty")) } else { Ok(id) }
}

fn malformed(answer: &Answer, detail: &str) -> Error {
    Error::new(answer.endpoint, Cause::Malformed { status: answer.status, detail: told(answer, detail) })
}

/// What is wrong with an answer. The JSON library quotes what it meets, and a server may echo what it was sent.
fn told(answer: &Answer, detail: &str) -> Excerpt {
    Excerpt::new(&answer.secrets.removed_from(detail))
}
