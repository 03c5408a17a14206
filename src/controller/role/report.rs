//! Report: conditions, Events, audit lines, and the status if it changed.

use amigo_api::{
    conditions::{self, Stamp},
    reasons::{self, condition},
};
use amigo_lifecycle::Failure;

use super::{
    apply::Applied,
    lint,
    status::{StatusDraft, audit_line},
};
use crate::controller::{announce, context::ReconcileError, readiness, resync};

/// Writes the status if it changed, and announces changes.
///
/// # Errors
/// Errors of the Kubernetes API.
pub async fn report(mut draft: StatusDraft<'_>, result: Result<Applied, Failure>) -> Result<(), ReconcileError> {
    let (role, context) = (draft.role, draft.context);
    let stamp = Stamp { generation: role.metadata.generation.unwrap_or_default(), now: context.clock.now() };
    let name = role.remote_name();
    let announced = match &result {
        Ok(Applied { reason: reasons::ADOPTED, message }) => {
            draft.emit(reasons::ADOPTED, message);
            true
        }
        // `apply` announced it.
        Ok(applied) => applied.reason == reasons::APPLIED,
        Err(_) => false,
    };
    // The Events say Applied and Adopted once. The condition states what lasts.
    let ready = result.as_ref().map(|_| (reasons::READY, in_sync(&name, draft.compiled_away)));
    readiness::set_ready(&mut draft.status.conditions, ready, stamp);
    lint::set(role, &mut draft.status.conditions, stamp);
    draft.status.observed_generation = role.metadata.generation;
    draft.status.role_name = Some(name);
    draft.status.last_handled_resync = resync::value(role);
    if draft.has_changed() {
        draft.write().await?;
    }
    let before = role.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let after = &draft.status.conditions;
    // Assignments wait for their roles. Only a change of readiness wakes them, because each can cause a request.
    if conditions::is_true(before, condition::READY) != conditions::is_true(after, condition::READY) {
        context.triggers.assignments.pull();
    }
    let event = readiness::readiness_event(before, after).filter(|event| !announced || event.warning);
    if let Some(event) = event {
        announce::emit(role, event, audit_line(role), context);
    }
    Ok(())
}

/// The message of a role that matches its spec.
pub fn in_sync(name: &str, compiled_away: usize) -> String {
    let in_sync = format!("role {name} matches the spec");
    let count = match compiled_away {
        0 => return in_sync,
        1 => "1 Deny grant".to_owned(),
        count => format!("{count} Deny grants"),
    };
    format!(
        "{in_sync}. The operator compiled {count} into Allow grants, because this organization's API supports only Allow. \
         Temporary grants are not subject to compiled Deny grants"
    )
}
