//! Waiting for the operator: what each observation of the request means.

use std::{pin::pin, time::Duration};

use amigo_api::{
    Phase, TemporaryPermissionGrant,
    conditions::{self, ConditionStatus},
    reasons::{self, condition},
};
use amigo_lifecycle::grant::final_reason;
use futures::{FutureExt as _, future, poll};
use kube::ResourceExt as _;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    observe::{Observation, Observations},
    outcome::{FIRST_LOOK, WaitFailure},
};
use crate::{Session, kubernetes::Kubernetes};

/// The interval in which the progress line and the deadlines are checked.
const TICK: Duration = Duration::from_secs(1);

/// Width of the progress line without the time.
const PROGRESS_WIDTH: usize = 64;

pub struct Wait<'a> {
    pub kubernetes: &'a Kubernetes,
    /// The name of the Organization.
    pub organization: &'a str,
    pub timeout: Duration,
    /// Reported once Ctrl-C no longer ends the process.
    pub announcement: String,
}

impl Wait<'_> {
    /// Waits until the access is granted or cannot be; returns the last observed request.
    pub async fn run(
        &self,
        created: TemporaryPermissionGrant,
        session: &mut Session,
    ) -> (TemporaryPermissionGrant, Result<(), WaitFailure>) {
        let began = session.clock.boot();
        let mut observations = Observations::new(&created.name_any(), self.kubernetes);
        let mut interrupted = pin!(interrupted().fuse());
        // From its first poll on, Ctrl-C no longer ends the process; only then report the request.
        let _ = poll!(&mut interrupted);
        session.console.report(&self.announcement);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut grant, mut obstacle) = (created, Obstacle::default());
        loop {
            let elapsed = session.clock.boot().saturating_sub(began);
            match judge(&grant, &obstacle, (elapsed, self.timeout)) {
                Some(Err(WaitFailure::NotProcessed)) if !obstacle.asked_organization => {
                    obstacle.asked_organization = true;
                    obstacle.organization = self.why_organization_waits().await;
                    continue;
                }
                Some(end) => return (grant, end),
                None => {}
            }
            session.console.progress(&progress(&present(&grant, &obstacle), elapsed));
            let observation = tokio::select! {
                observation = observations.next() => observation,
                _ = ticks.tick() => continue,
                () = &mut interrupted => return (grant, Err(WaitFailure::Interrupted)),
            };
            match observation {
                // A name may be reused: an object with another UID is not this request.
                Observation::Present(seen) if seen.metadata.uid == grant.metadata.uid => {
                    (grant, obstacle.error) = (*seen, None);
                }
                Observation::Present(_) | Observation::Deleted => return (grant, Err(WaitFailure::Deleted)),
                Observation::Forbidden(why) => return (grant, Err(WaitFailure::Unreadable(why))),
                Observation::Failed(why) => obstacle.error = Some(why),
            }
        }
    }
}

impl Wait<'_> {
    /// Why the Organization is not ready, if the user may read that.
    async fn why_organization_waits(&self) -> Option<String> {
        let organization = self.kubernetes.organization(self.organization).await.ok()?;
        // Without a condition, the operator may not run at all.
        let ready = conditions::find(&organization.status.as_ref()?.conditions, condition::READY)?;
        let is_ready = ready.status == ConditionStatus::True.as_str();
        (!is_ready)
            .then(|| format!("Organization {} is not ready: {} ({})", self.organization, ready.message, ready.reason))
    }
}

/// What keeps the plugin from seeing the request served.
#[derive(Default)]
struct Obstacle {
    /// Why the request cannot be read.
    error: Option<String>,
    /// Why the Organization is not ready, so that the operator may not process the request yet.
    organization: Option<String>,
    asked_organization: bool,
}

/// Completes on Ctrl-C; never when the process cannot handle it and ends.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        future::pending::<()>().await;
    }
}

/// Decides from the request, after `elapsed` of `timeout`; `None` means wait.
fn judge(
    grant: &TemporaryPermissionGrant,
    obstacle: &Obstacle,
    (elapsed, timeout): (Duration, Duration),
) -> Option<Result<(), WaitFailure>> {
    let status = grant.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    if conditions::is_true(conditions, condition::READY) {
        return Some(Ok(()));
    }
    match status.and_then(|status| status.phase) {
        Some(Phase::Expired) => return Some(Err(WaitFailure::Expired)),
        Some(Phase::Failed) => return Some(Err(WaitFailure::Refused(present(grant, &Obstacle::default())))),
        _ => {}
    }
    if status.is_some_and(|status| final_reason(status).is_some()) {
        return Some(Err(WaitFailure::Refused(present(grant, &Obstacle::default()))));
    }
    if is_stalled(grant) {
        return Some(Err(WaitFailure::Stalled(present(grant, &Obstacle::default()))));
    }
    let unprocessed = status.is_none_or(|status| status.observed_generation.is_none());
    let is_explained = obstacle.error.is_some() || obstacle.organization.is_some();
    if unprocessed && !is_explained && elapsed >= FIRST_LOOK {
        return Some(Err(WaitFailure::NotProcessed));
    }
    (elapsed >= timeout).then(|| Err(WaitFailure::TimedOut(present(grant, obstacle))))
}

/// Whether the request needs a change first. An Organization may become ready soon, and an unknown outcome is not a
/// refusal.
fn is_stalled(grant: &TemporaryPermissionGrant) -> bool {
    let conditions = grant.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let refused = conditions::find(conditions, condition::READY)
        .is_some_and(|ready| ready.status == ConditionStatus::False.as_str());
    let stalled = conditions::find(conditions, condition::STALLED);
    let lasting = stalled.is_some_and(|stalled| stalled.reason != reasons::ORGANIZATION_NOT_READY);
    refused && lasting && conditions::is_true(conditions, condition::STALLED)
}

/// The progress line, short enough not to wrap.
fn progress(present: &str, elapsed: Duration) -> String {
    let short: String = present.chars().take(PROGRESS_WIDTH).collect();
    let more = if short.len() < present.len() { "…" } else { "" };
    format!("{short}{more} [{}s]", elapsed.as_secs())
}

/// What the request waits for.
fn present(grant: &TemporaryPermissionGrant, obstacle: &Obstacle) -> String {
    if let Some(error) = &obstacle.error {
        return format!("cannot read the request: {error}");
    }
    let conditions = grant.status.as_ref().map_or(&[][..], |status| &status.conditions);
    match conditions::find(conditions, condition::READY) {
        Some(ready) => format!("{} ({})", ready.message, ready.reason),
        None => match &obstacle.organization {
            Some(why) => why.clone(),
            None => "amigo-operator has not processed the request yet".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use amigo_api::{TemporaryPermissionGrantSpec, TemporaryPermissionGrantStatus};

    use super::*;
    use crate::fixtures::set_condition;

    const SOON: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(2));
    const LATE: (Duration, Duration) = (Duration::from_mins(2), Duration::from_mins(2));

    fn unprocessed() -> TemporaryPermissionGrant {
        TemporaryPermissionGrant::new("request", TemporaryPermissionGrantSpec::default())
    }

    fn seen(
        phase: Phase,
        ready: (ConditionStatus, &'static str),
        stalled: Option<&'static str>,
    ) -> TemporaryPermissionGrant {
        let mut status = TemporaryPermissionGrantStatus {
            observed_generation: Some(1),
            phase: Some(phase),
            ..TemporaryPermissionGrantStatus::default()
        };
        let (is_ready, reason) = ready;
        set_condition(&mut status, condition::READY, is_ready, reason, "why");
        if let Some(reason) = stalled {
            set_condition(&mut status, condition::STALLED, ConditionStatus::True, reason, "why");
        }
        TemporaryPermissionGrant { status: Some(status), ..unprocessed() }
    }

    #[test]
    fn ready_request_is_granted() {
        let grant = seen(Phase::Active, (ConditionStatus::True, reasons::ACTIVE), None);
        assert_eq!(judge(&grant, &Obstacle::default(), LATE), Some(Ok(())));
    }

    #[test]
    fn pending_request_waits_until_the_timeout() {
        let grant = seen(Phase::Pending, (ConditionStatus::False, reasons::QUEUED), None);
        assert_eq!(judge(&grant, &Obstacle::default(), SOON), None);
        assert_eq!(
            judge(&grant, &Obstacle::default(), LATE),
            Some(Err(WaitFailure::TimedOut("why (Queued)".to_owned())))
        );
    }

    #[test]
    fn partial_access_is_not_granted() {
        let grant = seen(Phase::Active, (ConditionStatus::False, reasons::PARTIALLY_ISSUED), None);
        assert_eq!(judge(&grant, &Obstacle::default(), SOON), None);
        let stuck =
            seen(Phase::Active, (ConditionStatus::False, reasons::PARTIALLY_ISSUED), Some(reasons::INVALID_REQUEST));
        assert_eq!(
            judge(&stuck, &Obstacle::default(), SOON),
            Some(Err(WaitFailure::Refused("why (PartiallyIssued)".to_owned())))
        );
        let held_up =
            seen(Phase::Active, (ConditionStatus::False, reasons::PARTIALLY_ISSUED), Some(reasons::FORBIDDEN));
        assert_eq!(
            judge(&held_up, &Obstacle::default(), SOON),
            Some(Err(WaitFailure::Stalled("why (PartiallyIssued)".to_owned())))
        );
    }

    #[test]
    fn failed_request_is_refused() {
        let grant =
            seen(Phase::Failed, (ConditionStatus::False, reasons::INVALID_REQUEST), Some(reasons::INVALID_REQUEST));
        assert_eq!(
            judge(&grant, &Obstacle::default(), SOON),
            Some(Err(WaitFailure::Refused("why (InvalidRequest)".to_owned())))
        );
    }

    #[test]
    fn stalled_request_ends_the_wait() {
        let grant =
            seen(Phase::Pending, (ConditionStatus::False, reasons::USER_NOT_FOUND), Some(reasons::USER_NOT_FOUND));
        assert_eq!(
            judge(&grant, &Obstacle::default(), SOON),
            Some(Err(WaitFailure::Stalled("why (UserNotFound)".to_owned())))
        );
    }

    #[test]
    fn temporary_failures_continue_the_wait() {
        let not_ready = reasons::ORGANIZATION_NOT_READY;
        let closed = seen(Phase::Pending, (ConditionStatus::False, not_ready), Some(not_ready));
        let open =
            seen(Phase::Issuing, (ConditionStatus::Unknown, reasons::OUTCOME_UNKNOWN), Some(reasons::OUTCOME_UNKNOWN));
        assert_eq!(
            (judge(&closed, &Obstacle::default(), SOON), judge(&open, &Obstacle::default(), SOON)),
            (None, None)
        );
    }

    #[test]
    fn missing_operator_ends_the_wait_early() {
        let times = |elapsed| (elapsed, Duration::from_mins(2));
        assert_eq!(judge(&unprocessed(), &Obstacle::default(), times(Duration::from_secs(14))), None);
        assert_eq!(
            judge(&unprocessed(), &Obstacle::default(), times(FIRST_LOOK)),
            Some(Err(WaitFailure::NotProcessed))
        );
        let unreadable = "cannot read the request: refused".to_owned();
        let refused = Obstacle { error: Some("refused".to_owned()), ..Obstacle::default() };
        assert_eq!(judge(&unprocessed(), &refused, times(FIRST_LOOK)), None);
        assert_eq!(judge(&unprocessed(), &refused, LATE), Some(Err(WaitFailure::TimedOut(unreadable))));
    }

    #[test]
    fn organization_not_ready_is_waited_for() {
        let why = "Organization production is not ready: why (Unreachable)".to_owned();
        let waits = Obstacle { organization: Some(why.clone()), ..Obstacle::default() };
        assert_eq!(judge(&unprocessed(), &waits, (FIRST_LOOK, Duration::from_mins(2))), None);
        assert_eq!(judge(&unprocessed(), &waits, LATE), Some(Err(WaitFailure::TimedOut(why))));
    }

    #[test]
    fn progress_line_fits_a_terminal() {
        assert_eq!(progress("waits (Queued)", Duration::from_secs(12)), "waits (Queued) [12s]");
        let long = progress(&"é".repeat(200), Duration::from_secs(12));
        assert!(long.chars().count() < 80 && long.ends_with("… [12s]"), "{long}");
    }

    #[test]
    fn expired_request_ends_the_wait() {
        let grant = seen(Phase::Expired, (ConditionStatus::False, reasons::EXPIRED), None);
        assert_eq!(judge(&grant, &Obstacle::default(), SOON), Some(Err(WaitFailure::Expired)));
    }
}
