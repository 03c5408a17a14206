//! API keys.

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    access::organization_attributes,
    call::Call,
    errors::Refusal,
    journal::Change,
    reply::Reply,
    state::ApiKey,
    time,
    validation::{Problems, TextRule, body_object, parse_body, text},
};

const MOST_KEYS: usize = 20;
const SHORTEST: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 90);

struct KeyRequest {
    name: Option<String>,
    duration: SignedDuration,
    role_name: String,
}

/// `POST /organization/api_key/`.
pub(super) fn create(call: &mut Call<'_>, user: &str) -> Result<Reply, Refusal> {
    let request = read(call)?;
    let rights = call.rights(user)?;
    rights.require("Organization:CreateAPIKey", &organization_attributes(call.organization))?;
    let role = call.organization.role(&request.role_name).ok_or(Refusal::NotFound("The role is not found."))?;
    let (role_id, role_name) = (role.id.clone(), role.name.clone());
    rights.require_rank(call.organization.behavior.role_hierarchy, &role.permission_grants, &role.name)?;
    if call.organization.keys.iter().filter(|key| call.now < key.expires_at).count() >= MOST_KEYS {
        return Err(Refusal::BadRequest("The organization has as many API keys as it may have."));
    }
    let expires_at = call.now.saturating_add(request.duration).unwrap_or(call.now);
    let key = ApiKey {
        document_id: call.ids.document(),
        key_id: call.ids.uuid(),
        secret: call.ids.secret("sandbox-key"),
        name: request.name,
        role_id,
        creator: user.to_owned(),
        created_at: call.now,
        expires_at,
    };
    let reply = Reply::created(json!({
        "api_key_id": key.key_id,
        "api_key": key.secret.expose_secret(),
        "expires_at": call.timestamp(expires_at),
    }));
    call.commit(user, Change::ApiKeyCreated { api_key_id: key.key_id.clone(), role_name, expires_at });
    call.organization.keys.push(key);
    Ok(reply)
}

fn read(call: &Call<'_>) -> Result<KeyRequest, Refusal> {
    let body = parse_body(&call.input.body)?;
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
    let duration = body.required_text("duration", TextRule::ANY, &mut problems);
    let duration = duration.and_then(|duration| {
        let parsed = time::parse_duration(&duration);
        match parsed {
            None => problems.add(body.at("duration"), "time_delta_parsing", "Input should be a valid duration"),
            Some(duration) if !(SHORTEST..=LONGEST).contains(&duration) => {
                problems.out_of_range(body.at("duration"), "value_error", "Value should be between 1 and 90 days");
            }
            Some(_) => {}
        }
        parsed
    });
    let (Some(duration), Some(role_name)) = (duration, role_name) else { return Err(problems.refusal()) };
    problems.refuse_if_any()?;
    Ok(KeyRequest { name, duration, role_name })
}

/// `GET /organization/api_key/`.
pub(super) fn list(call: &mut Call<'_>, user: &str) -> Result<Reply, Refusal> {
    let organization = &*call.organization;
    let visible = call.rights(user)?.allow("Organization:GetAPIKey", &organization_attributes(organization));
    let keys = organization.keys.iter().filter(|key| visible && call.now < key.expires_at).map(|key| {
        json!({
            "_id": key.document_id,
            "name": key.name,
            "org_id": organization.id,
            "created_at": call.timestamp(key.created_at),
            "updated_at": call.timestamp(key.created_at),
            "key_id": key.key_id,
            "expires_at": call.timestamp(key.expires_at),
            "creator": { "user_id": key.creator, "org_id": organization.id },
            "role_id": key.role_id,
        })
    });
    Ok(Reply::ok(json!({ "api_keys": keys.collect::<Vec<_>>() })))
}

/// `DELETE /organization/api_key/{api_key_id}/`.
pub(super) fn delete(call: &mut Call<'_>, user: &str) -> Result<Reply, Refusal> {
    let attributes = organization_attributes(call.organization);
    call.rights(user)?.require("Organization:DeleteAPIKey", &attributes)?;
    let key_id = call.input.parameter("api_key_id");
    let found = call.organization.keys.iter().position(|key| key.key_id == key_id);
    let index = found.ok_or(Refusal::NotFound("The API key is not found."))?;
    let key = call.organization.keys.remove(index);
    call.commit(user, Change::ApiKeyDeleted { api_key_id: key.key_id.clone() });
    Ok(Reply::ok(json!({ "deleted_key_id": key.key_id })))
}
