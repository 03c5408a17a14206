//! The state behind the lock, and how it processes a request. The order of checks is: organization, credentials,
//! rate limit, schema, permission, existence.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    behavior::{Behavior, LimitScope},
    context::{ApiRequest, RequestContext},
    errors::ApiError,
    faults::Faults,
    ids::Ids,
    journal::{Journal, RequestLog},
    limits::{Limits, Quota},
    operation::Operation,
    reply::Reply,
    routes,
    state::Organization,
};

pub(super) struct SharedState {
    pub(super) organizations: BTreeMap<String, Organization>,
    pub(super) ids: Ids,
    pub(super) journal: Journal,
    pub(super) requests: RequestLog,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
}

impl SharedState {
    /// Processes one request at the wall time `now` and the boot time `boot`.
    pub(super) fn process(
        &mut self,
        operation: Operation,
        request: &ApiRequest,
        now: Timestamp,
        boot: Duration,
    ) -> Reply {
        let Some(organization) = self.organizations.get_mut(request.path_parameter("organization")) else {
            return unknown_organization(operation).render(&Behavior::default(), request);
        };
        organization.remove_expired(now);
        let (ids, journal) = (&mut self.ids, &mut self.journal);
        let mut context = RequestContext { organization, ids, journal, request, operation, now };
        let mut quota = None;
        let outcome = check_and_route(&mut context, &mut self.limits, boot, &mut quota);
        let reply = outcome.unwrap_or_else(|error| error.render(&context.organization.behavior, request));
        match quota {
            Some(quota) => with_quota_headers(reply, quota, now),
            None => reply,
        }
    }
}

fn check_and_route(
    context: &mut RequestContext<'_>,
    limits: &mut Limits,
    boot: Duration,
    quota: &mut Option<Quota>,
) -> Result<Reply, ApiError> {
    let user = match context.operation {
        Operation::SignInWithApiKey => context.request.header("x-user-id").map(str::to_owned),
        Operation::GetOrganization => None,
        _ => Some(context.signed_in_user().ok_or(ApiError::Unauthorized)?),
    };
    *quota = take_quota(context, limits, boot, user.as_deref());
    if let Some(exceeded) = quota.filter(|quota| !quota.granted) {
        return Err(ApiError::TooManyRequests { limit: exceeded.limit, retry_after_seconds: exceeded.seconds() });
    }
    match user {
        Some(user) => routes::authenticated(context, &user),
        None => routes::anonymous(context).unwrap_or(Err(ApiError::Unauthorized)),
    }
}

fn take_quota(context: &RequestContext<'_>, limits: &mut Limits, boot: Duration, user: Option<&str>) -> Option<Quota> {
    let behavior = &context.organization.behavior;
    let limit = context.operation.limit()?.saturating_mul(behavior.limit_multiplier);
    let organization = &context.organization.id;
    let scope = match behavior.limit_scope {
        LimitScope::Organization => organization.clone(),
        LimitScope::User => format!("{organization}/{}", user.unwrap_or_default()),
    };
    (limit > 0).then(|| limits.take(context.operation, scope, limit, boot))
}

fn with_quota_headers(reply: Reply, quota: Quota, now: Timestamp) -> Reply {
    let reset = now.as_second().saturating_add_unsigned(quota.seconds());
    reply
        .with_header("x-ratelimit-limit", quota.limit.to_string())
        .with_header("x-ratelimit-remaining", quota.remaining.to_string())
        .with_header("x-ratelimit-reset", reset.to_string())
}

/// The API documents no 404 for get-conversations: an unknown organization only invalidates the token.
fn unknown_organization(operation: Operation) -> ApiError {
    match operation {
        Operation::GetConversations => ApiError::Unauthorized,
        _ => ApiError::NotFound("The organization is not found."),
    }
}
