//! What an Organization's status says.

use amigo_api::{
    Organization, OrganizationStatus,
    conditions::{self, Standing},
    reasons::{self, condition},
};
use amigo_lifecycle::grant::{Setback, SetbackClass};
use jiff::{SignedDuration, Timestamp};

/// How long before its end an API key is warned about.
const WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Sets the conditions from what the connection came to, and from why the Secret could not be read, if it could not.
pub fn conclude(
    organization: &Organization,
    status: &mut OrganizationStatus,
    (outcome, unread): (&Result<(), Setback>, Option<&Setback>),
    now: Timestamp,
) {
    let stamp = (organization.metadata.generation.unwrap_or_default(), now);
    status.observed_generation = Some(stamp.0);
    let (standing, reason, message) = credentials(status, (outcome, unread), now);
    conditions::set(&mut status.conditions, (condition::CREDENTIALS_VALID, standing, reason), message, stamp);
    let (standing, reason, message) = match outcome {
        Err(setback) => (Standing::False, setback.reason, setback.message.clone()),
        Ok(()) if organization.spec.suspend => (
            Standing::False,
            reasons::SUSPENDED,
            "suspended: nothing is changed at Amigo; reading and expiry go on".to_owned(),
        ),
        Ok(()) => (Standing::True, reasons::READY, "connected".to_owned()),
    };
    conditions::set(&mut status.conditions, (condition::READY, standing, reason), message, stamp);
    match outcome {
        Err(setback) if setback.class != SetbackClass::Transient => {
            let stalled = (condition::STALLED, Standing::True, setback.reason);
            conditions::set(&mut status.conditions, stalled, setback.message.clone(), stamp);
        }
        _ => conditions::remove(&mut status.conditions, condition::STALLED),
    }
}

fn credentials(
    status: &OrganizationStatus,
    (outcome, unread): (&Result<(), Setback>, Option<&Setback>),
    now: Timestamp,
) -> (Standing, &'static str, String) {
    let refused = [reasons::SECRET_NOT_FOUND, reasons::SECRET_INCOMPLETE, reasons::CREDENTIALS_REJECTED];
    match (outcome, unread) {
        (Err(setback), _) if refused.contains(&setback.reason) => {
            (Standing::False, setback.reason, setback.message.clone())
        }
        (Err(setback), _) => (Standing::Unknown, setback.reason, setback.message.clone()),
        (Ok(()), Some(unread)) => {
            let message = format!("the credentials read before are still in use; {}", unread.message);
            (Standing::Unknown, unread.reason, message)
        }
        (Ok(()), None) => {
            let user = status.service_user_id.as_deref().unwrap_or_default();
            match status.api_key_expires_at.filter(|end| now.duration_until(*end) < WARNING) {
                Some(end) => {
                    let message =
                        format!("signs in as {user}, but the API key ends at {end}: put a new one into the Secret");
                    (Standing::True, reasons::CREDENTIALS_EXPIRE_SOON, message)
                }
                None => (Standing::True, reasons::CREDENTIALS_VALID, format!("signs in as {user}")),
            }
        }
    }
}
