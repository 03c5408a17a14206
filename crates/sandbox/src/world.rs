//! Everything behind the lock, and the order in which a call is judged: organization, credentials, rate limit,
//! schema, permission, existence.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    behavior::{Behavior, LimitScope},
    call::{Call, Input},
    errors::Refusal,
    faults::Faults,
    ids::Ids,
    journal::{Journal, RequestLog},
    limits::{Limits, Quota},
    operation::Operation,
    reply::Reply,
    routes,
    state::Organization,
};

/// The whole sandbox behind its lock.
pub(super) struct World {
    pub(super) organizations: BTreeMap<String, Organization>,
    pub(super) ids: Ids,
    pub(super) journal: Journal,
    pub(super) requests: RequestLog,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
}

impl World {
    /// Carries out one call at the wall time `now` and the boot time `boot`.
    pub(super) fn perform(&mut self, operation: Operation, input: &Input, now: Timestamp, boot: Duration) -> Reply {
        let Some(organization) = self.organizations.get_mut(input.parameter("organization")) else {
            return unknown_organization(operation).render(&Behavior::default());
        };
        organization.forget_expired(now);
        let (ids, journal) = (&mut self.ids, &mut self.journal);
        let mut call = Call { organization, ids, journal, input, operation, now };
        let mut quota = None;
        let outcome = judge(&mut call, &mut self.limits, boot, &mut quota);
        let behavior = &call.organization.behavior;
        let reply = outcome.unwrap_or_else(|refusal| refusal.render(behavior));
        match quota {
            Some(quota) => with_quota(reply, quota, now),
            None => reply,
        }
    }
}

fn judge(
    call: &mut Call<'_>,
    limits: &mut Limits,
    boot: Duration,
    quota: &mut Option<Quota>,
) -> Result<Reply, Refusal> {
    let user = match call.operation {
        Operation::SignInWithApiKey => call.input.header("x-user-id").map(str::to_owned),
        Operation::GetOrganization => None,
        _ => Some(call.signed_in().ok_or(Refusal::Unauthorized)?),
    };
    *quota = take_quota(call, limits, boot, user.as_deref());
    if let Some(exceeded) = quota.filter(|quota| !quota.granted) {
        return Err(Refusal::TooManyRequests { limit: exceeded.limit, retry_after_seconds: exceeded.seconds() });
    }
    match user {
        Some(user) => routes::authenticated(call, &user),
        None => routes::anonymous(call).unwrap_or(Err(Refusal::Unauthorized)),
    }
}

fn take_quota(call: &Call<'_>, limits: &mut Limits, boot: Duration, user: Option<&str>) -> Option<Quota> {
    let behavior = &call.organization.behavior;
    let limit = call.operation.limit()?.saturating_mul(behavior.limit_multiplier);
    let organization = &call.organization.id;
    let sharer = match behavior.limit_scope {
        LimitScope::Organization => organization.clone(),
        LimitScope::User => format!("{organization}/{}", user.unwrap_or_default()),
    };
    (limit > 0).then(|| limits.take(call.operation, sharer, limit, boot))
}

fn with_quota(reply: Reply, quota: Quota, now: Timestamp) -> Reply {
    let reset = now.as_second().saturating_add_unsigned(quota.seconds());
    reply
        .with_header("x-ratelimit-limit", quota.limit.to_string())
        .with_header("x-ratelimit-remaining", quota.remaining.to_string())
        .with_header("x-ratelimit-reset", reset.to_string())
}

/// get-conversations lists no 404: there a foreign organization only makes the token worthless.
fn unknown_organization(operation: Operation) -> Refusal {
    match operation {
        Operation::GetConversations => Refusal::Unauthorized,
        _ => Refusal::NotFound("The organization is not found."),
    }
}
