//! Temporary permission grants.

use std::{cmp::Ordering, collections::BTreeMap, ops::RangeInclusive, slice};

use amigo_permissions::{Action, PermissionGrant};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    access::user_id_attributes,
    context::RequestContext,
    errors::ApiError,
    grant_wire,
    journal::{Change, GrantCreated},
    query::{self, matches_filter},
    reply::Reply,
    state::TemporaryGrant,
    validation::{Object, Problems, TextRule, body_object, parse_body},
};

const DURATION: RangeInclusive<SignedDuration> = SignedDuration::from_mins(1)..=SignedDuration::from_hours(72);
const JUSTIFICATION: TextRule = TextRule { min: 10, max: usize::MAX };

struct GrantRequest {
    user_id: String,
    /// As written, and parsed.
    duration: (String, SignedDuration),
    grant: PermissionGrant,
    tags: BTreeMap<String, Option<String>>,
    justification: String,
}

/// `POST /role/temporary_permission_grant/`.
pub(super) fn create(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let request = read(context)?;
    let organization = &*context.organization;
    organization.user(&request.user_id).ok_or(ApiError::NotFound("The user is not found."))?;
    let rights = context.rights(user)?;
    let attributes = user_id_attributes(organization, &request.user_id);
    rights.require("Role:CreateTemporaryPermissionGrant", &attributes)?;
    let hierarchy = organization.behavior.grant_hierarchy;
    rights.require_rank(hierarchy, slice::from_ref(&request.grant), &rights.role.name)?;
    let (written, duration) = request.duration;
    let grant = TemporaryGrant {
        id: context.ids.document(),
        user_id: request.user_id,
        permission_grant: request.grant,
        created_at: context.now,
        expires_at: context.now.saturating_add(duration).unwrap_or(context.now),
        justification: request.justification,
        creator: user.to_owned(),
        tags: request.tags,
    };
    let expires_at = context.timestamp(grant.expires_at);
    let reply = Reply::created(json!({ "temporary_permission_grant_id": grant.id, "expires_at": expires_at }));
    context.commit(user, Change::GrantCreated(record(&grant, written)));
    context.organization.grants.push(grant);
    Ok(reply)
}

fn record(grant: &TemporaryGrant, duration: String) -> GrantCreated {
    GrantCreated {
        id: grant.id.clone(),
        user_id: grant.user_id.clone(),
        action: grant.permission_grant.action,
        permission_name: grant.permission_grant.permission_name.clone(),
        conditions: grant.permission_grant.conditions.clone(),
        tags: grant.tags.clone(),
        duration,
        justification: grant.justification.clone(),
        expires_at: grant.expires_at,
    }
}

fn read(context: &RequestContext<'_>) -> Result<GrantRequest, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    let user_id = body.required_text("user_id", TextRule::ANY, &mut problems);
    let duration = body.required_duration("duration", &DURATION, "1 minute and 3 days", &mut problems);
    let grant = read_grant(context, &body, &mut problems);
    let tags = body.required("tags", &mut problems).and_then(|tags| body.tags("tags", tags, &mut problems));
    let justification = body.required_text("justification", JUSTIFICATION, &mut problems);
    let (Some(user_id), Some(duration), Some(grant), Some(tags), Some(justification)) =
        (user_id, duration, grant, tags, justification)
    else {
        return Err(problems.into_error());
    };
    problems.into_result()?;
    Ok(GrantRequest { user_id, duration, grant, tags, justification })
}

fn read_grant(context: &RequestContext<'_>, body: &Object<'_>, problems: &mut Problems) -> Option<PermissionGrant> {
    let location = body.at("permission_grant");
    let sent = body.required("permission_grant", problems)?;
    let grant = grant_wire::read(context.organization, sent, location.clone(), problems)?.grant;
    if grant.action == Action::Deny {
        problems.add(location, "value_error", "Value error, a temporary grant can only allow");
    }
    Some(grant)
}

/// `GET /role/temporary_permission_grants/`.
pub(super) fn list(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let parameters = &context.request.query;
    let mut problems = Problems::default();
    let ids = parameters.document_ids("id", &mut problems);
    let (users, creators) = (parameters.texts("user_id"), parameters.texts("creator"));
    let permission_name = parameters.one("permission_grant_name");
    let is_expired = parameters.boolean("is_expired", &mut problems);
    let tags = parameters.tags(&mut problems);
    let fields = ["user_id", "expires_at", "permission_grant.permission_name"];
    let sort_by = parameters.sort_by(&fields, &mut problems);
    let pagination = parameters.pagination(0, 10, &mut problems);
    problems.into_result()?;
    let organization = &*context.organization;
    let rights = context.rights(user)?;
    let visible = |grant: &TemporaryGrant| {
        rights.allow("Role:GetTemporaryPermissionGrant", &user_id_attributes(organization, &grant.user_id))
    };
    let found = organization.grants.iter().filter(|grant| {
        matches_filter(&ids, &grant.id)
            && matches_filter(&users, &grant.user_id)
            && matches_filter(&creators, &grant.creator)
            && permission_name.is_none_or(|name| name == grant.permission_grant.permission_name)
            && is_expired.is_none_or(|wanted| wanted == grant.is_expired(context.now))
            && tags.matches(&grant.tags, organization.behavior.repeated_tags)
            && visible(grant)
    });
    let mut found: Vec<_> = found.collect();
    query::sort(&mut found, &sort_by, |left, right, field| compare(left, right, field));
    let (grants, has_more, token) = pagination.apply(found);
    Ok(Reply::ok(json!({
        "temporary_permission_grants": grants.into_iter().map(|grant| render(context, grant)).collect::<Vec<_>>(),
        "has_more": has_more,
        "continuation_token": token,
    })))
}

fn compare(left: &TemporaryGrant, right: &TemporaryGrant, field: &str) -> Ordering {
    match field {
        "user_id" => left.user_id.cmp(&right.user_id),
        "expires_at" => left.expires_at.cmp(&right.expires_at),
        _ => left.permission_grant.permission_name.cmp(&right.permission_grant.permission_name),
    }
}

fn render(context: &RequestContext<'_>, grant: &TemporaryGrant) -> Value {
    let organization = &*context.organization;
    json!({
        "_id": grant.id,
        "org_id": organization.id,
        "created_at": context.timestamp(grant.created_at),
        "updated_at": context.timestamp(grant.created_at),
        "user_id": grant.user_id,
        "expires_at": context.timestamp(grant.expires_at),
        "permission_grant": grant_wire::write(organization.model, &grant.permission_grant, None),
        "justification": grant.justification,
        "creator": { "org_id": organization.id, "user_id": grant.creator },
        "tags": grant.tags,
    })
}
