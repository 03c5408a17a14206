//! Report: conditions, Events, audit lines, and the status if it changed.

use amigo_api::{RoleAssignment, RoleAssignmentStatus, conditions::Stamp, reasons};
use amigo_lifecycle::Failure;

use crate::controller::{
    announce,
    audit::AuditLine,
    connection::api_endpoint::ApiEndpoint,
    context::{Announcement, Context, ReconcileError},
    readiness, resync,
};

/// The facts that a reconcile established. The status keeps them even if a later step fails.
#[derive(Default)]
pub struct Progress {
    pub endpoint: Option<ApiEndpoint>,
    pub user_id: Option<String>,
    pub role_name: Option<String>,
    /// The message about a new assignment.
    pub assigned: Option<String>,
    /// The object as written before the assignment.
    pub written: Option<RoleAssignment>,
}

/// Whether the status is about the user at this endpoint.
pub fn describes(status: &RoleAssignmentStatus, endpoint: &ApiEndpoint) -> bool {
    endpoint.is_recorded(status.organization.as_ref(), status.api_origin.as_ref())
}

/// The status at this endpoint: IDs of another one are not valid here.
pub fn status_at(endpoint: &ApiEndpoint, before: &RoleAssignmentStatus) -> RoleAssignmentStatus {
    if describes(before, endpoint) {
        return before.clone();
    }
    RoleAssignmentStatus {
        organization: Some(endpoint.organization.clone()),
        api_origin: Some(endpoint.origin.clone()),
        conditions: before.conditions.clone(),
        last_handled_resync: before.last_handled_resync.clone(),
        ..RoleAssignmentStatus::default()
    }
}

/// Writes the status if it changed, and announces changes.
///
/// # Errors
/// Errors of the Kubernetes API.
pub async fn report(
    assignment: &RoleAssignment,
    mut progress: Progress,
    result: &Result<(), Failure>,
    context: &Context,
) -> Result<(), ReconcileError> {
    let written = progress.written.take();
    let assignment = written.as_ref().unwrap_or(assignment);
    let before = assignment.status.clone().unwrap_or_default();
    let announcement =
        progress.assigned.take().map(|message| Announcement { reason: reasons::ASSIGNED, message, warning: false });
    let mut after = status_after(assignment, &before, progress);
    let role_name = after.role_name.clone().unwrap_or_default();
    let message = format!("user {} has role {role_name}", assignment.spec.user.label());
    let stamp = Stamp { generation: assignment.metadata.generation.unwrap_or_default(), now: context.clock.now() };
    readiness::set_ready(&mut after.conditions, result.as_ref().map(|()| (reasons::READY, message)), stamp);
    let event = readiness::readiness_event(&before.conditions, &after.conditions)
        .filter(|event| announcement.is_none() || event.warning);
    let audit_line = audit_line(assignment, &after);
    // Announced even if the status write fails, because the next reconcile finds nothing to announce.
    if let Some(announcement) = announcement {
        announce::emit(assignment, announcement, audit_line.clone(), context);
    }
    if after != before {
        let object = RoleAssignment { status: Some(after), ..assignment.clone() };
        context.write_status(&context.api_of(assignment), &object).await?;
    }
    if let Some(event) = event {
        announce::emit(assignment, event, audit_line, context);
    }
    Ok(())
}

/// The new status, with the conditions as they were.
fn status_after(
    assignment: &RoleAssignment,
    before: &RoleAssignmentStatus,
    progress: Progress,
) -> RoleAssignmentStatus {
    let known = progress.endpoint.as_ref().map_or_else(|| before.clone(), |endpoint| status_at(endpoint, before));
    RoleAssignmentStatus {
        observed_generation: assignment.metadata.generation,
        // An intent is over once the user's role was seen.
        assigning: known.assigning.filter(|_| progress.role_name.is_none()),
        last_handled_resync: resync::value(assignment),
        user_id: progress.user_id.or(known.user_id),
        role_name: progress.role_name.or(known.role_name),
        ..known
    }
}

/// The audit fields of every assignment.
pub fn audit_line(assignment: &RoleAssignment, status: &RoleAssignmentStatus) -> AuditLine {
    AuditLine {
        organization: assignment.spec.organization_ref.name.clone(),
        user: Some(assignment.spec.user.label().to_owned()),
        user_id: status.user_id.clone(),
        access: status.assigning.iter().chain(&status.role_name).take(1).cloned().collect(),
        ..AuditLine::default()
    }
}
