//! Apply: send the plan, and read back what must not go wrong.

use std::time::Duration;

use amigo_api::{DenyRecord, ManagementPolicy, reasons};
use amigo_client::{Endpoint, Error, ErrorKind, RemoteGrants, RemoteRole, RoleChange};
use amigo_lifecycle::{
    Failure, RetryClass,
    role::{self, DesiredRole, Plan, PlanInput},
};

use super::{observe, plan::Planned, report::in_sync, status::StatusDraft};
use crate::controller::{access::Target, context::ReconcileError};

/// How often a taken name whose role is not listed causes a new listing.
const NAME_TAKEN_LISTING: Duration = Duration::from_secs(30);

/// The outcome of a reconcile without a failure.
pub struct Applied {
    pub reason: &'static str,
    pub message: String,
}

/// Sends the plan, unless Amigo rejected the same change recently.
///
/// # Errors
/// Errors of the Kubernetes API, before anything was sent.
pub async fn apply(
    planned: Planned<'_>,
    draft: &mut StatusDraft<'_>,
    target: &Target<'_>,
) -> Result<Result<Applied, Failure>, ReconcileError> {
    let (changes_role, key) = (planned.changes_role(), planned.change_key());
    let observed = &target.connection.observed;
    // A rejection lasts a while: other events that wake the object must cause no request and no status write.
    let rejection = observed.refusal(&key, draft.context.clock.boot());
    if !changes_role {
        draft.release_turn();
    }
    if let Some(rejection) = rejection.filter(|_| changes_role && !draft.is_resync_requested()) {
        return Ok(Err(rejection));
    }
    let applied = execute(planned, draft, target).await?;
    if let Some(failure) = applied.as_ref().err().filter(|_| changes_role) {
        let retry_at = draft.context.clock.boot() + draft.context.settings.tick * 5;
        observed.refused(key, failure, retry_at);
    }
    Ok(applied)
}

async fn execute(
    planned: Planned<'_>,
    draft: &mut StatusDraft<'_>,
    target: &Target<'_>,
) -> Result<Result<Applied, Failure>, ReconcileError> {
    let deny = planned.input.deny_record(&planned.plan);
    let Planned { input, plan, observed_id, owned_id } = planned;
    match plan {
        Plan::Keep { id, adopted } => Ok(Ok(keep(&input, id, adopted, draft))),
        Plan::Skip(failure) => {
            if owned_id.is_some() {
                draft.status.role_id = owned_id;
            }
            Ok(Err(failure))
        }
        Plan::RemoveGrants => Ok(Err(remove_grants(&input, draft, target).await)),
        Plan::Create(new) => {
            let client = match draft.claim_turn(&target.client, Endpoint::CreateRole) {
                Ok(client) => client,
                Err(queued) => return Ok(Err(queued)),
            };
            draft.record_intent(input.sent(draft.context.clock.now(), None), deny).await?;
            let response = client.create_role(&new).await;
            if response.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict) {
                draft.discard_intent(&input);
                return Ok(Err(name_taken(input.name, draft, target).await));
            }
            Ok(record(response, &input, "created", draft, target).await)
        }
        Plan::Update { change, fields } => {
            let client = match draft.claim_turn(&target.client, Endpoint::ModifyRole) {
                Ok(client) => client,
                Err(queued) => return Ok(Err(queued)),
            };
            // An adopted role is this object's to empty, even if the response is lost.
            if input.status.role_id.is_none() {
                draft.status.role_id = observed_id;
            }
            draft.record_intent(None, deny).await?;
            let response = client.modify_role(input.name, &change).await;
            Ok(record(response, &input, &format!("changed in {}", fields.join(", ")), draft, target).await)
        }
    }
}

fn keep(input: &PlanInput<'_>, id: String, adopted: bool, draft: &mut StatusDraft<'_>) -> Applied {
    if input.spec.management_policy == ManagementPolicy::Manage {
        draft.record_in_sync(input, id);
    }
    if !adopted {
        return Applied { reason: reasons::READY, message: in_sync(input.name, draft.compiled_away) };
    }
    let message = format!("role {} at Amigo matched the spec; the operator adopted it", input.name);
    Applied { reason: reasons::ADOPTED, message }
}

/// Records the response to a creation or a change.
async fn record(
    response: Result<String, Error>,
    input: &PlanInput<'_>,
    what: &str,
    draft: &mut StatusDraft<'_>,
    target: &Target<'_>,
) -> Result<Applied, Failure> {
    let role_cache = &target.connection.role_cache;
    let id = match response {
        Ok(id) => id,
        Err(error) => {
            if !error.ambiguous() {
                draft.discard_intent(input);
            }
            // The listing is out of date: list again before the next attempt.
            if error.ambiguous() || error.kind() == ErrorKind::NotFound {
                role_cache.forget();
            }
            return Err(Failure::from(&error));
        }
    };
    draft.status.role_id = Some(id.clone());
    draft.status.sent = input.sent(draft.context.clock.now(), Some(id.clone()));
    let message = format!("role {} was {what} at Amigo", input.name);
    draft.emit(reasons::APPLIED, &message);
    if draft.status.deny.is_some() {
        verify_deny(input, &id, draft, target).await?;
    } else {
        role_cache.put(role::role_after(input, id.clone()));
    }
    draft.record_in_sync(input, id);
    Ok(Applied { reason: reasons::APPLIED, message })
}

/// Reads the role back: a Deny that was sent must be a Deny at Amigo.
async fn verify_deny(
    input: &PlanInput<'_>,
    id: &str,
    draft: &mut StatusDraft<'_>,
    target: &Target<'_>,
) -> Result<(), Failure> {
    target.connection.role_cache.forget();
    let roles = observe(target, observe::EVIDENCE, draft.context).await.map_err(|failure| {
        let message =
            format!("role {} was sent with a Deny, but cannot be verified yet: {}", input.name, failure.message);
        Failure { message, ..failure }
    })?;
    let Some(listed) = roles.listed.iter().find(|role| role.id == id) else {
        target.connection.role_cache.forget();
        let message = format!("role {} was sent with a Deny, but Amigo does not list it yet", input.name);
        return Err(Failure::new(reasons::PENDING, RetryClass::Transient, message));
    };
    if let RemoteGrants::Raw { reason, .. } = &listed.grants {
        // Neither a Deny nor an Allow: the record stays until the grants can be parsed.
        return Err(role::unreadable(input.name, reason));
    }
    let dropped = PlanInput::has_dropped(&DesiredRole::uncompiled(input.spec).denied_digests(), listed);
    if dropped { Err(remove_grants(input, draft, target).await) } else { Ok(()) }
}

/// Removes what a Deny that became an Allow grants.
async fn remove_grants(input: &PlanInput<'_>, draft: &mut StatusDraft<'_>, target: &Target<'_>) -> Failure {
    draft.status.deny = Some(DenyRecord { digest: input.digest(), dropped: true });
    let change = RoleChange { permission_grants: Some(Vec::new()), ..RoleChange::default() };
    match target.client.modify_role(input.name, &change).await {
        Ok(id) => {
            draft.status.role_id = Some(id.clone());
            draft.status.denied_digests.clear();
            let emptied = RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..role::role_after(input, id) };
            target.connection.role_cache.put(emptied);
            role::deny_dropped(input.name)
        }
        Err(error) => {
            target.connection.role_cache.forget();
            let failure = Failure::from(&error);
            let message = format!(
                "Amigo stored the Deny grants of role {} as Allow grants, and the operator could not remove them: {}",
                input.name, failure.message
            );
            Failure { message, ..failure }
        }
    }
}

/// The failure of a creation whose name is taken by a role that the listing did not show.
async fn name_taken(name: &str, draft: &StatusDraft<'_>, target: &Target<'_>) -> Failure {
    let roles = match observe(target, NAME_TAKEN_LISTING, draft.context).await {
        Ok(roles) => roles,
        Err(failure) => return failure,
    };
    if role::current(&roles.listed, name).is_some() {
        let message = format!("role {name} was created at Amigo in the meantime; the operator will compare it");
        return Failure::new(reasons::PENDING, RetryClass::Transient, message);
    }
    let message = format!(
        "cannot create role {name}: a role that the operator's user cannot see has this name. Grant that user \
         Role:GetRole, or choose another roleName"
    );
    Failure::new(reasons::NAME_TAKEN, RetryClass::Persistent, message)
}
