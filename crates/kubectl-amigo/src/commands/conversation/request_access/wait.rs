//! Waiting for the operator: what each look at the request means.

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
    look::{Look, Looks},
    report::Report,
};
use crate::{Session, kubernetes::Kubernetes};

/// An operator that runs has looked at a request by then.
pub const FIRST_LOOK: Duration = Duration::from_secs(15);

/// How often the progress line and the deadlines are looked after.
const TICK: Duration = Duration::from_secs(1);

/// Characters of the progress line, besides the time.
const PROGRESS_WIDTH: usize = 64;

/// Why a wait ended without the access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The operator gave the request up, and why.
    Refused(String),
    /// The request cannot be served until somebody changes something, and why.
    Stalled(String),
    /// The operator never looked at the request.
    Untouched,
    /// The time of `--timeout` passed, and what the request waits for.
    TimedOut(String),
    /// The time of the access is over.
    Ended,
    /// Somebody deleted the request.
    Gone,
    /// The request may not be read, in the words of the API server.
    Unreadable(String),
    /// The user pressed Ctrl-C.
    Interrupted,
}

/// A wait.
pub struct Waiting<'a> {
    /// Where the request is.
    pub kubernetes: &'a Kubernetes,
    /// How long to wait.
    pub timeout: Duration,
    /// What to say.
    pub report: &'a Report,
}

impl Waiting<'_> {
    /// Waits until the access is there or something stands in its way; returns the request as it was last seen.
    pub async fn run(
        &self,
        created: TemporaryPermissionGrant,
        session: &mut Session,
    ) -> (TemporaryPermissionGrant, Result<(), Obstacle>) {
        let began = session.clock.boot();
        let mut looks = Looks::at(&created.name_any(), self.kubernetes);
        let mut interrupted = pin!(interrupted().fuse());
        // From its first poll on, Ctrl-C no longer ends the process; only then is the request told of.
        let _ = poll!(&mut interrupted);
        session.console.tell(&self.report.created());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut grant, mut trouble) = (created, None);
        loop {
            let elapsed = session.clock.boot().saturating_sub(began);
            if let Some(end) = judge(&grant, trouble.as_deref(), (elapsed, self.timeout)) {
                return (grant, end);
            }
            session.console.progress(&progress(&present(&grant, trouble.as_deref()), elapsed));
            let look = tokio::select! {
                look = looks.next() => look,
                _ = ticks.tick() => continue,
                () = &mut interrupted => return (grant, Err(Obstacle::Interrupted)),
            };
            match look {
                // A name may be used again: another object is not this request.
                Look::Here(seen) if seen.metadata.uid == grant.metadata.uid => (grant, trouble) = (*seen, None),
                Look::Here(_) | Look::Gone => return (grant, Err(Obstacle::Gone)),
                Look::Forbidden(why) => return (grant, Err(Obstacle::Unreadable(why))),
                Look::Trouble(why) => trouble = Some(why),
            }
        }
    }
}

/// Ends with Ctrl-C; never, where that cannot be caught and so ends the process.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        future::pending::<()>().await;
    }
}

/// What a look means, after so long of so long; `None`: wait on.
fn judge(
    grant: &TemporaryPermissionGrant,
    trouble: Option<&str>,
    (elapsed, timeout): (Duration, Duration),
) -> Option<Result<(), Obstacle>> {
    let status = grant.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    if conditions::is_true(conditions, condition::READY) {
        return Some(Ok(()));
    }
    match status.and_then(|status| status.phase) {
        Some(Phase::Expired) => return Some(Err(Obstacle::Ended)),
        Some(Phase::Failed) => return Some(Err(Obstacle::Refused(present(grant, None)))),
        _ => {}
    }
    if status.is_some_and(|status| final_reason(status).is_some()) {
        return Some(Err(Obstacle::Refused(present(grant, None))));
    }
    if is_stalled(grant) {
        return Some(Err(Obstacle::Stalled(present(grant, None))));
    }
    let untouched = status.is_none_or(|status| status.observed_generation.is_none()) && trouble.is_none();
    if untouched && elapsed >= FIRST_LOOK {
        return Some(Err(Obstacle::Untouched));
    }
    (elapsed >= timeout).then(|| Err(Obstacle::TimedOut(present(grant, trouble))))
}

/// Whether somebody must change something first. An Organization that is not ready may be so in a moment, and an
/// attempt whose outcome is open is nobody's refusal.
fn is_stalled(grant: &TemporaryPermissionGrant) -> bool {
    let conditions = grant.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let refused = conditions::find(conditions, condition::READY)
        .is_some_and(|ready| ready.status == ConditionStatus::False.as_str());
    let stalled = conditions::find(conditions, condition::STALLED);
    let lasting = stalled.is_some_and(|stalled| stalled.reason != reasons::ORGANIZATION_NOT_READY);
    refused && lasting && conditions::is_true(conditions, condition::STALLED)
}

/// The one line of a terminal while waiting: a terminal cannot take back what it has wrapped.
fn progress(present: &str, elapsed: Duration) -> String {
    let short: String = present.chars().take(PROGRESS_WIDTH).collect();
    let more = if short.len() < present.len() { "…" } else { "" };
    format!("{short}{more} [{}s]", elapsed.as_secs())
}

/// What the request waits for, in words.
fn present(grant: &TemporaryPermissionGrant, trouble: Option<&str>) -> String {
    if let Some(trouble) = trouble {
        return format!("the API server does not tell: {trouble}");
    }
    let conditions = grant.status.as_ref().map_or(&[][..], |status| &status.conditions);
    match conditions::find(conditions, condition::READY) {
        Some(ready) => format!("{} ({})", ready.message, ready.reason),
        None => "amigo-operator has not looked at it yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use amigo_api::{TemporaryPermissionGrantSpec, TemporaryPermissionGrantStatus};

    use super::*;
    use crate::fixtures::say;

    const SOON: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(2));
    const LATE: (Duration, Duration) = (Duration::from_mins(2), Duration::from_mins(2));

    fn untouched() -> TemporaryPermissionGrant {
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
        say(&mut status, condition::READY, is_ready, reason, "why");
        if let Some(reason) = stalled {
            say(&mut status, condition::STALLED, ConditionStatus::True, reason, "why");
        }
        TemporaryPermissionGrant { status: Some(status), ..untouched() }
    }

    #[test]
    fn a_request_that_is_ready_is_granted() {
        let grant = seen(Phase::Active, (ConditionStatus::True, reasons::ACTIVE), None);
        assert_eq!(judge(&grant, None, LATE), Some(Ok(())));
    }

    #[test]
    fn a_request_that_is_under_way_is_waited_for_until_the_timeout() {
        let grant = seen(Phase::Pending, (ConditionStatus::False, reasons::QUEUED), None);
        assert_eq!(judge(&grant, None, SOON), None);
        assert_eq!(judge(&grant, None, LATE), Some(Err(Obstacle::TimedOut("why (Queued)".to_owned()))));
    }

    #[test]
    fn a_part_is_no_grant() {
        let grant = seen(Phase::Active, (ConditionStatus::False, reasons::PARTIALLY_ISSUED), None);
        assert_eq!(judge(&grant, None, SOON), None);
        let stuck =
            seen(Phase::Active, (ConditionStatus::False, reasons::PARTIALLY_ISSUED), Some(reasons::INVALID_REQUEST));
        assert_eq!(judge(&stuck, None, SOON), Some(Err(Obstacle::Refused("why (PartiallyIssued)".to_owned()))));
        let held_up =
            seen(Phase::Active, (ConditionStatus::False, reasons::PARTIALLY_ISSUED), Some(reasons::FORBIDDEN));
        assert_eq!(judge(&held_up, None, SOON), Some(Err(Obstacle::Stalled("why (PartiallyIssued)".to_owned()))));
    }

    #[test]
    fn what_is_given_up_is_refused() {
        let grant =
            seen(Phase::Failed, (ConditionStatus::False, reasons::INVALID_REQUEST), Some(reasons::INVALID_REQUEST));
        assert_eq!(judge(&grant, None, SOON), Some(Err(Obstacle::Refused("why (Refused)".to_owned()))));
    }

    #[test]
    fn what_needs_somebodys_help_is_not_waited_for() {
        let grant =
            seen(Phase::Pending, (ConditionStatus::False, reasons::USER_NOT_FOUND), Some(reasons::USER_NOT_FOUND));
        assert_eq!(judge(&grant, None, SOON), Some(Err(Obstacle::Stalled("why (UserNotFound)".to_owned()))));
    }

    #[test]
    fn what_may_pass_by_itself_is_waited_for() {
        let not_ready = reasons::ORGANIZATION_NOT_READY;
        let closed = seen(Phase::Pending, (ConditionStatus::False, not_ready), Some(not_ready));
        let open =
            seen(Phase::Issuing, (ConditionStatus::Unknown, reasons::OUTCOME_UNKNOWN), Some(reasons::OUTCOME_UNKNOWN));
        assert_eq!((judge(&closed, None, SOON), judge(&open, None, SOON)), (None, None));
    }

    #[test]
    fn an_operator_that_never_looks_is_noticed_before_the_timeout() {
        let times = |elapsed| (elapsed, Duration::from_mins(2));
        assert_eq!(judge(&untouched(), None, times(Duration::from_secs(14))), None);
        assert_eq!(judge(&untouched(), None, times(FIRST_LOOK)), Some(Err(Obstacle::Untouched)));
        let unseen = "the API server does not tell: refused".to_owned();
        assert_eq!(judge(&untouched(), Some("refused"), times(FIRST_LOOK)), None);
        assert_eq!(judge(&untouched(), Some("refused"), LATE), Some(Err(Obstacle::TimedOut(unseen))));
    }

    #[test]
    fn a_progress_line_fits_a_terminal() {
        assert_eq!(progress("waits (Queued)", Duration::from_secs(12)), "waits (Queued) [12s]");
        let long = progress(&"é".repeat(200), Duration::from_secs(12));
        assert!(long.chars().count() < 80 && long.ends_with("… [12s]"), "{long}");
    }

    #[test]
    fn an_access_that_is_over_is_none() {
        let grant = seen(Phase::Expired, (ConditionStatus::False, reasons::EXPIRED), None);
        assert_eq!(judge(&grant, None, SOON), Some(Err(Obstacle::Ended)));
    }
}
