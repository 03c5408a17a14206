//! Sign-in: exchanges an API key and a user id for a token.

use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    access::outranks, behavior::Hierarchy, context::RequestContext, errors::ApiError, reply::Reply, state::Token,
    validation::Problems,
};

/// `POST /user/signin_with_api_key`. An unknown, wrong or expired key and an unknown user are the same 401.
pub(super) fn sign_in(context: &mut RequestContext<'_>) -> Result<Reply, ApiError> {
    let mut problems = Problems::default();
    let mut header = |name: &'static str| {
        let value = context.request.header(name);
        if value.is_none() {
            problems.add(vec![json!("header"), json!(name)], "missing", "Field required");
        }
        value
    };
    let (secret, key_id, user_id) = (header("x-api-key"), header("x-api-key-id"), header("x-user-id"));
    let (Some(secret), Some(key_id), Some(user_id)) = (secret, key_id, user_id) else {
        return Err(problems.into_error());
    };
    check(context, secret, key_id, user_id).ok_or(ApiError::Unauthorized)?;
    let token = context.ids.secret("sandbox-token");
    let expires_at = context.now.saturating_add(context.organization.behavior.token_lifetime).unwrap_or(context.now);
    let entry = Token { user_id: user_id.to_owned(), expires_at };
    context.organization.tokens.insert(token.expose_secret().to_owned(), entry);
    Ok(Reply::ok(json!({ "id_token": token.expose_secret(), "expires_at": context.timestamp(expires_at) })))
}

fn check(context: &RequestContext<'_>, secret: &str, key_id: &str, user_id: &str) -> Option<()> {
    let organization = &*context.organization;
    let key = organization.keys.iter().find(|key| key.key_id == key_id)?;
    if key.secret.expose_secret() != secret || context.now >= key.expires_at {
        return None;
    }
    let user_role = organization.role_by_id(&organization.user(user_id)?.role_id)?;
    let key_role = organization.role_by_id(&key.role_id)?;
    outranks(Hierarchy::EqualAllowed, &organization.id, key_role.into(), user_role.into()).then_some(())
}
