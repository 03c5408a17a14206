//! API keys.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    access::organization_attributes,
    context::RequestContext,
    errors::ApiError,
    journal::Change,
    reply::Reply,
    state::ApiKey,
    validation::{Problems, TextRule, body_object, parse_body, text},
};

const MAX_KEYS: usize = 20;
const DURATION: RangeInclusive<SignedDuration> = SignedDuration::from_hours(24)..=SignedDuration::from_hours(24 * 90);

struct KeyRequest {
    name: Option<String>,
    duration: SignedDuration,
    role_name: String,
}

/// `POST /organization/api_key/`.
pub(super) fn create(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let request = read(context)?;
    let rights = context.rights(user)?;
    rights.require("Organization:CreateAPIKey", &organization_attributes(context.organization))?;
    let role = context.organization.role(&request.role_name).ok_or(ApiError::NotFound("The role is not found."))?;
    let (role_id, role_name) = (role.id.clone(), role.name.clone());
    rights.require_rank(context.organization.behavior.role_hierarchy, &role.permission_grants, &role.name)?;
    if context.organization.keys.iter().filter(|key| context.now < key.expires_at).count() >= MAX_KEYS {
        return Err(ApiError::BadRequest("The organization has as many API keys as it may have."));
    }
    let expires_at = context.now.saturating_add(request.duration).unwrap_or(context.now);
    let key = ApiKey {
        document_id: context.ids.document(),
        key_id: context.ids.uuid(),
        secret: context.ids.secret("sandbox-key"),
        name: request.name,
        role_id,
        creator: user.to_owned(),
        created_at: context.now,
        expires_at,
    };
    let reply = Reply::created(json!({
        "api_key_id": key.key_id,
        "api_key": key.secret.expose_secret(),
        "expires_at": context.timestamp(expires_at),
    }));
    context.commit(user, Change::ApiKeyCreated { api_key_id: key.key_id.clone(), role_name, expires_at });
    context.organization.keys.push(key);
    Ok(reply)
}

fn read(context: &RequestContext<'_>) -> Result<KeyRequest, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    let name = match body.required("name", &mut problems) {
        None | Some(Value::Null) => None,
        Some(name) => text(name, TextRule::NOT_BLANK, body.at("name"), &mut problems),
    };
    let role_name = match body.members.get("role_name") {
        None => Some("DefaultAdministratorRole".to_owned()),
        Some(role_name) => text(role_name, TextRule::ANY, body.at("role_name"), &mut problems),
    };
    let duration = body.required_duration("duration", &DURATION, "1 and 90 days", &mut problems);
    let (Some((_, duration)), Some(role_name)) = (duration, role_name) else { return Err(problems.into_error()) };
    problems.into_result()?;
    Ok(KeyRequest { name, duration, role_name })
}

/// `GET /organization/api_key/`.
pub(super) fn list(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let organization = &*context.organization;
    let visible = context.rights(user)?.allow("Organization:GetAPIKey", &organization_attributes(organization));
    let keys = organization.keys.iter().filter(|key| visible && context.now < key.expires_at).map(|key| {
        json!({
            "_id": key.document_id,
            "name": key.name,
            "org_id": organization.id,
            "created_at": context.timestamp(key.created_at),
            "updated_at": context.timestamp(key.created_at),
            "key_id": key.key_id,
            "expires_at": context.timestamp(key.expires_at),
            "creator": { "user_id": key.creator, "org_id": organization.id },
            "role_id": key.role_id,
        })
    });
    Ok(Reply::ok(json!({ "api_keys": keys.collect::<Vec<_>>() })))
}

/// `DELETE /organization/api_key/{api_key_id}/`.
pub(super) fn delete(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let attributes = organization_attributes(context.organization);
    context.rights(user)?.require("Organization:DeleteAPIKey", &attributes)?;
    let key_id = context.request.path_parameter("api_key_id");
    let found = context.organization.keys.iter().position(|key| key.key_id == key_id);
    let index = found.ok_or(ApiError::NotFound("The API key is not found."))?;
    let key = context.organization.keys.remove(index);
    context.commit(user, Change::ApiKeyDeleted { api_key_id: key.key_id.clone() });
    Ok(Reply::ok(json!({ "deleted_key_id": key.key_id })))
}
