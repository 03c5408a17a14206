//! Sign-in: an API key and a user for a token.

use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    access::outranks, behavior::Hierarchy, call::Call, errors::Refusal, reply::Reply, state::Token,
    validation::Problems,
};

/// `POST /user/signin_with_api_key`. Key unknown, key wrong, key expired, user unknown: all are one 401.
pub(super) fn sign_in(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let mut problems = Problems::default();
    let mut header = |name: &'static str| {
        let value = call.input.header(name);
        if value.is_none() {
            problems.add(vec![json!("header"), json!(name)], "missing", "Field required");
        }
        value
    };
    let (secret, key_id, user_id) = (header("x-api-key"), header("x-api-key-id"), header("x-user-id"));
    let (Some(secret), Some(key_id), Some(user_id)) = (secret, key_id, user_id) else {
        return Err(problems.refusal());
    };
    check(call, secret, key_id, user_id).ok_or(Refusal::Unauthorized)?;
    let token = call.ids.secret("sandbox-token");
    let expires_at = call.now.saturating_add(call.organization.behavior.token_lifetime).unwrap_or(call.now);
    let entry = Token { user_id: user_id.to_owned(), expires_at };
    call.organization.tokens.insert(token.expose_secret().to_owned(), entry);
    Ok(Reply::ok(json!({ "id_token": token.expose_secret(), "expires_at": call.timestamp(expires_at) })))
}

fn check(call: &Call<'_>, secret: &str, key_id: &str, user_id: &str) -> Option<()> {
    let organization = &*call.organization;
    let key = organization.keys.iter().find(|key| key.key_id == key_id)?;
    if key.secret.expose_secret() != secret || call.now >= key.expires_at {
        return None;
    }
    let user_role = organization.role_by_id(&organization.user(user_id)?.role_id)?;
    let key_role = organization.role_by_id(&key.role_id)?;
    outranks(Hierarchy::EqualAllowed, &organization.id, key_role.into(), user_role.into()).then_some(())
}
