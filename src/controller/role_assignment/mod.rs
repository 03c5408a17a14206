//! Role assignments: observe → validate → plan → apply → status.

mod finalizer;
mod user;

use std::{sync::Arc, time::Duration};

use amigo_api::{
    Role, RoleAssignment, RoleAssignmentStatus,
    conditions::{self, Stamp},
    reasons::{self, condition},
};
use amigo_client::{Client, Error, RemoteRole, RemoteUser};
use amigo_lifecycle::{Failure, RetryClass};
use kube::{
    Resource as _, ResourceExt as _,
    runtime::{controller::Action, reflector::ObjectRef},
};

use super::{
    announce,
    audit::AuditLine,
    connection::{Connection, existing},
    context::{Announcement, Context, Lookup, NOT_READY_RETRY, ReconcileError, SharedContext, holds},
    finalizers, jitter, readiness,
};
use crate::telemetry::labels::Outcome;

/// How old a listing may be that shows that a role is missing, or that a user has another one.
const RECENT_LISTING: Duration = Duration::from_secs(30);

/// How old a look at a user may be right before the role is changed.
const RECENT: Duration = Duration::from_secs(2);

/// What a pass came to.
#[derive(Default)]
struct Came {
    organization: Option<String>,
    user_id: Option<String>,
    role_name: Option<String>,
    assigned: Option<String>,
    /// The object as it was written before its role was assigned.
    written: Option<RoleAssignment>,
}

/// One connection, and the object that uses it.
#[derive(Clone, Copy)]
struct Desk<'a> {
    assignment: &'a RoleAssignment,
    connection: &'a Connection,
    client: &'a Client,
    context: &'a Context,
}

/// One pass over one assignment.
///
/// # Errors
/// Those of the Kubernetes API; whatever Amigo says goes into the status.
pub async fn reconcile(
    assignment: Arc<RoleAssignment>,
    context: SharedContext,
) -> Result<(Action, Outcome), ReconcileError> {
    let connection = match context.organization(&assignment.spec.organization_ref.name).await {
        Lookup::Found(connection) => Some(connection),
        Lookup::Missing => None,
        Lookup::NotReady => return Ok((Action::requeue(NOT_READY_RETRY), Outcome::Waiting)),
    };
    let holds = holds(&context, connection.as_ref(), assignment.as_ref(), &context.stores.assignments);
    if assignment.meta().deletion_timestamp.is_some() {
        return finalizer::cleanup(&assignment, (connection.as_deref(), holds), &context).await;
    }
    // A start must not take all Roles for missing.
    if assignment.spec.role_ref.is_some() && !context.roles_filled.wait().await {
        return Ok((Action::requeue(NOT_READY_RETRY), Outcome::Waiting));
    }
    let wanted = assignment.spec.fallback_role_name.is_some();
    let kept = finalizers::ensure_finalizer(assignment, (finalizer::NAME, wanted), &context);
    let assignment = kept.await?;
    let mut came = Came::default();
    let result = match usable(&assignment, connection.as_deref()) {
        Ok((connection, client)) => {
            let client = client.with_precondition(holds);
            pursue(Desk { assignment: &assignment, connection, client: &client, context: &context }, &mut came).await?
        }
        Err(failure) => Err(failure),
    };
    let (wait, outcome) = readiness::requeue_after(result.as_ref().copied(), connection.as_deref(), &context);
    let assignment = came.written.take().map_or(assignment, Arc::new);
    report(&assignment, came, &result, &context).await?;
    Ok((Action::requeue(jitter(wait)), outcome))
}

fn usable<'a>(
    assignment: &RoleAssignment,
    connection: Option<&'a Connection>,
) -> Result<(&'a Connection, Client), Failure> {
    let connection = existing(connection, &assignment.spec.organization_ref.name)?;
    let client = connection.client_for(&assignment.namespace().unwrap_or_default())?.clone();
    Ok((connection, client))
}

/// Makes the user's role the one the object says. The outer error is the Kubernetes API's, before anything was sent.
async fn pursue(desk: Desk<'_>, came: &mut Came) -> Result<Result<(), Failure>, ReconcileError> {
    let (user, role_name) = match look(desk, came).await {
        Ok(Some(missing)) => missing,
        Ok(None) => return Ok(Ok(())),
        Err(failure) => return Ok(Err(failure)),
    };
    if let Err(failure) = desk.may_assign(&user, &role_name) {
        return Ok(Err(failure));
    }
    came.written = desk.write_ahead(&user, &role_name).await?;
    let assigned = desk.assign(user, &role_name).await;
    Ok(assigned.map(|told| {
        came.assigned = Some(told);
        came.role_name = Some(role_name);
    }))
}

/// The user who lacks the role, and the role; `None` if the user has it.
async fn look(desk: Desk<'_>, came: &mut Came) -> Result<Option<(RemoteUser, String)>, Failure> {
    came.organization = Some(desk.client.organization_id().to_owned());
    let role_name = wanted_role(desk.assignment, desk.context)?;
    let interval = desk.connection.resync_interval().mul_f64(0.9);
    let user = desk.user(interval).await?;
    came.user_id = Some(user.user_id.clone());
    desk.yield_to_senior(&user)?;
    let (user, has_role) = if desk.connection.spec.suspend {
        // Nothing is changed: what was read for all is enough to say so, and rest asks nothing more.
        let has_role = desk.documents(&role_name, interval).await?.iter().any(|role| role.id == user.role_id);
        (user, has_role)
    } else {
        desk.compare(user, &role_name).await?
    };
    if has_role {
        came.role_name = Some(role_name);
        return Ok(None);
    }
    Ok(Some((user, role_name)))
}

impl Desk<'_> {
    /// Whether the user has the role. What was read for all may be an interval old, and the role may have been made
    /// anew since: "no" is said only after another look at both.
    async fn compare(&self, user: RemoteUser, role_name: &str) -> Result<(RemoteUser, bool), Failure> {
        let has = |documents: &[RemoteRole], user: &RemoteUser| documents.iter().any(|role| role.id == user.role_id);
        let interval = self.connection.resync_interval().mul_f64(0.9);
        let documents = self.documents(role_name, interval).await?;
        if has(&documents, &user) {
            return Ok((user, true));
        }
        let user = self.observe(&user.user_id, RECENT).await?.ok_or_else(|| self.not_visible())?;
        let documents = self.documents(role_name, RECENT_LISTING.min(interval)).await?;
        if has(&documents, &user) || self.is_listed_as(&user.role_id, None).await {
            let has_role = has(&documents, &user);
            return Ok((user, has_role));
        }
        // The user's role is in no listing: one of the two looks was before a change that the other one saw.
        let user = self.observe(&user.user_id, Duration::ZERO).await?.ok_or_else(|| self.not_visible())?;
        let documents = self.documents(role_name, Duration::ZERO).await?;
        let has_role = has(&documents, &user);
        Ok((user, has_role))
    }

    /// Whether the last listing has a role of this id, under that name or, without one, under whatever name.
    async fn is_listed_as(&self, role_id: &str, name: Option<&str>) -> bool {
        let same = |role: &RemoteRole| role.id == role_id && name.is_none_or(|name| role.name == name);
        self.connection.role_cache.last().await.is_some_and(|roles| roles.listed.iter().any(same))
    }

    /// Whether the role may be assigned now. A refusal stands for a while: roles and Organizations wake all assignments.
    fn may_assign(&self, user: &RemoteUser, role_name: &str) -> Result<(), Failure> {
        if self.connection.spec.suspend {
            let message = format!(
                "user {} has another role, and nothing is changed while Organization {} is suspended",
                user.user_id, self.connection.name
            );
            return Err(Failure::new(reasons::SUSPENDED, RetryClass::Transient, message));
        }
        let refusal = self.connection.observed.refusal(&change(&user.user_id, role_name), self.context.clock.boot());
        refusal.map_or(Ok(()), Err)
    }

    /// Writes down which role is about to be assigned, so that the fallback comes whatever becomes of the answer. Under
    /// the version that was read: nothing is assigned for an object that was changed or deleted since.
    async fn write_ahead(&self, user: &RemoteUser, role_name: &str) -> Result<Option<RoleAssignment>, ReconcileError> {
        let organization = self.client.organization_id();
        let before = self.assignment.status.clone().unwrap_or_default();
        let mut status = known(&before, Some(organization));
        // An earlier assignment may have come through without an answer.
        if let Some(earlier) = status.assigning.take()
            && self.is_listed_as(&user.role_id, Some(&earlier)).await
        {
            status.role_name = Some(earlier);
        }
        status.organization = Some(organization.to_owned());
        status.user_id = Some(user.user_id.clone());
        status.assigning = Some(role_name.to_owned());
        if status == before {
            return Ok(None);
        }
        let object = RoleAssignment { status: Some(status), ..self.assignment.clone() };
        let api = self.context.api_of(self.assignment);
        self.context.write_status(&api, &object).await.map(Some)
    }

    /// Gives the user the role and says so.
    async fn assign(&self, user: RemoteUser, role_name: &str) -> Result<String, Failure> {
        let role_id = self.change(&user.user_id, role_name).await?;
        let told = format!("user {} was given role {role_name}", user.user_id);
        self.connection.user_cache.put(RemoteUser { role_id, ..user }, &self.context.clock).await;
        Ok(told)
    }

    /// Changes the user's role, and remembers a refusal.
    async fn change(&self, user_id: &str, role_name: &str) -> Result<String, Failure> {
        let error = match self.send(user_id, role_name).await {
            Ok(role_id) => return Ok(role_id),
            Err(error) => error,
        };
        let failure = Failure::from(&error);
        let message = format!("cannot assign role {role_name} to user {user_id}: {}", failure.message);
        let failure = Failure { message, ..failure };
        let until = self.context.clock.boot() + self.context.settings.tick * 5;
        self.connection.observed.refused(change(user_id, role_name), &failure, until);
        Err(failure)
    }

    /// Sends one assignment. Without its answer, what was read of the user may not be true any more.
    async fn send(&self, user_id: &str, role_name: &str) -> Result<String, Error> {
        let answer = self.client.assign_role(role_name, user_id).await;
        if answer.as_ref().is_err_and(Error::ambiguous) {
            self.connection.user_cache.forget(user_id).await;
        }
        answer
    }

    /// The role's documents: more than one of a name may be listed for a day after a change.
    async fn documents(&self, name: &str, age: Duration) -> Result<Vec<RemoteRole>, Failure> {
        for age in [age, age.min(RECENT_LISTING)] {
            let roles = self.connection.role_cache.get(self.client, &self.context.clock, age).await;
            let roles = roles.map_err(|error| Failure::from(&error))?;
            let named: Vec<RemoteRole> = roles.listed.iter().filter(|role| role.name == name).cloned().collect();
            if !named.is_empty() {
                return Ok(named);
            }
        }
        let organization = self.client.organization_id();
        let message = format!("role {name} does not exist in {organization} or is not visible to the operator's user");
        Err(Failure::new(reasons::NOT_FOUND, RetryClass::Persistent, message))
    }
}

/// What a refusal is remembered under.
fn change(user_id: &str, role_name: &str) -> String {
    format!("{user_id} {role_name}")
}

/// What of a status holds in an organization: ids of another one mean nothing there.
fn known(before: &RoleAssignmentStatus, organization: Option<&str>) -> RoleAssignmentStatus {
    match organization {
        Some(organization) if before.organization.as_deref() != Some(organization) => {
            RoleAssignmentStatus { conditions: before.conditions.clone(), ..RoleAssignmentStatus::default() }
        }
        _ => before.clone(),
    }
}

/// The name of the role at Amigo: named directly, or by a Role object that is ready.
fn wanted_role(assignment: &RoleAssignment, context: &Context) -> Result<String, Failure> {
    let Some(reference) = &assignment.spec.role_ref else {
        return Ok(assignment.spec.role_name.clone().unwrap_or_default());
    };
    let namespace = assignment.namespace().unwrap_or_default();
    let role = context.stores.roles.get(&ObjectRef::<Role>::new(&reference.name).within(&namespace));
    let not_ready = |message: String| Failure::new(reasons::ROLE_NOT_READY, RetryClass::Transient, message);
    let Some(role) = role else {
        return Err(not_ready(format!("Role {namespace}/{} does not exist", reference.name)));
    };
    if role.spec.organization_ref != assignment.spec.organization_ref {
        let message =
            format!("Role {namespace}/{} belongs to Organization {}", reference.name, role.spec.organization_ref.name);
        return Err(Failure::new(reasons::INVALID_SPEC, RetryClass::Persistent, message));
    }
    let ready = role.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, condition::READY));
    if ready {
        Ok(role.remote_name())
    } else {
        Err(not_ready(format!("Role {namespace}/{} is not ready", reference.name)))
    }
}

async fn report(
    assignment: &RoleAssignment,
    came: Came,
    result: &Result<(), Failure>,
    context: &Context,
) -> Result<(), ReconcileError> {
    let before = assignment.status.clone().unwrap_or_default();
    let known = known(&before, came.organization.as_deref());
    // What was about to be assigned is over once a role was seen.
    let assigning = known.assigning.filter(|_| came.role_name.is_none());
    let mut after = RoleAssignmentStatus {
        observed_generation: assignment.metadata.generation,
        organization: came.organization.or(known.organization),
        user_id: came.user_id.or(known.user_id),
        role_name: came.role_name.or(known.role_name),
        assigning,
        conditions: before.conditions.clone(),
    };
    let role_name = after.role_name.clone().unwrap_or_default();
    let message = format!("user {} has role {role_name}", assignment.spec.user.label());
    let generation = assignment.metadata.generation.unwrap_or_default();
    let stamp = Stamp { generation, now: context.clock.now() };
    readiness::set_ready(&mut after.conditions, result.as_ref().map(|()| (reasons::READY, message)), stamp);
    let told = came.assigned.map(|message| Announcement { reason: reasons::ASSIGNED, message, warning: false });
    let news =
        readiness::readiness_event(&before.conditions, &after.conditions).filter(|news| told.is_none() || news.warning);
    let about = about(assignment, &after);
    // What was done is told even if the status cannot be written: the next pass finds it done.
    if let Some(told) = told {
        announce::emit(assignment, told, about.clone(), context);
    }
    if after != before {
        let object = RoleAssignment { status: Some(after), ..assignment.clone() };
        context.write_status(&context.api_of(assignment), &object).await?;
    }
    if let Some(news) = news {
        announce::emit(assignment, news, about, context);
    }
    Ok(())
}

/// What an audit line says of every assignment.
fn about(assignment: &RoleAssignment, status: &RoleAssignmentStatus) -> AuditLine {
    AuditLine {
        organization: assignment.spec.organization_ref.name.clone(),
        user: Some(assignment.spec.user.label().to_owned()),
        user_id: status.user_id.clone(),
        access: status.assigning.iter().chain(&status.role_name).take(1).cloned().collect(),
        ..AuditLine::default()
    }
}
