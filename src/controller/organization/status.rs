//! What an Organization's status says.

use amigo_api::{
    Organization, OrganizationStatus,
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use amigo_lifecycle::{Failure, RetryClass};
use jiff::{SignedDuration, Timestamp};

/// How long before its end an API key is warned about.
const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Sets the conditions from what the connection came to, and from why the Secret could not be read, if it could not.
pub fn set_ready(
    organization: &Organization,
    status: &mut OrganizationStatus,
    (outcome, unread): (&Result<(), Failure>, Option<&Failure>),
    now: Timestamp,
) {
    let stamp = Stamp { generation: organization.metadata.generation.unwrap_or_default(), now };
    status.observed_generation = Some(stamp.generation);
    let (credentials, reason, message) = credentials(status, (outcome, unread), now);
    let change = Change { type_: condition::CREDENTIALS_VALID, status: credentials, reason, message };
    conditions::set(&mut status.conditions, change, stamp);
    let (ready, reason, message) = match outcome {
        Err(failure) => (ConditionStatus::False, failure.reason, failure.message.clone()),
        Ok(()) if organization.spec.suspend => (
            ConditionStatus::False,
            reasons::SUSPENDED,
            "suspended: nothing is changed at Amigo; reading and expiry go on".to_owned(),
        ),
        Ok(()) => (ConditionStatus::True, reasons::READY, "connected".to_owned()),
    };
    let change = Change { type_: condition::READY, status: ready, reason, message };
    conditions::set(&mut status.conditions, change, stamp);
    match outcome {
        Err(failure) if failure.class != RetryClass::Transient => {
            let (reason, message) = (failure.reason, failure.message.clone());
            let change = Change { type_: condition::STALLED, status: ConditionStatus::True, reason, message };
            conditions::set(&mut status.conditions, change, stamp);
        }
        _ => conditions::remove(&mut status.conditions, condition::STALLED),
    }
}

fn credentials(
    status: &OrganizationStatus,
    (outcome, unread): (&Result<(), Failure>, Option<&Failure>),
    now: Timestamp,
) -> (ConditionStatus, &'static str, String) {
    let refused = [reasons::SECRET_NOT_FOUND, reasons::SECRET_INCOMPLETE, reasons::CREDENTIALS_REJECTED];
    match (outcome, unread) {
        (Err(failure), _) if refused.contains(&failure.reason) => {
            (ConditionStatus::False, failure.reason, failure.message.clone())
        }
        (Err(failure), _) => (ConditionStatus::Unknown, failure.reason, failure.message.clone()),
        (Ok(()), Some(unread)) => {
            let message = format!("the credentials read before are still in use; {}", unread.message);
            (ConditionStatus::Unknown, unread.reason, message)
        }
        (Ok(()), None) => {
            let user = status.service_user_id.as_deref().unwrap_or_default();
            match status.api_key_expires_at.filter(|end| now.duration_until(*end) < WARNING) {
                Some(end) => {
                    let message =
                        format!("signs in as {user}, but the API key ends at {end}: put a new one into the Secret");
                    (ConditionStatus::True, reasons::CREDENTIALS_EXPIRE_SOON, message)
                }
                None => (ConditionStatus::True, reasons::CREDENTIALS_VALID, format!("signs in as {user}")),
            }
        }
    }
}
