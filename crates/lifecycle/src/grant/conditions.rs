//! Phase and conditions of a grant's status.

use amigo_api::{
    Phase, TemporaryPermissionGrantStatus,
    conditions::{self, Change, ConditionStatus, Stamp},
    duration,
    reasons::{self, condition},
};
use jiff::{SignedDuration, Timestamp};

use super::{Now, Spec, Status};
use crate::{Failure, RetryClass};

/// Reasons that end the attempts for good; stored in the `Stalled` condition.
pub const FINAL_REASONS: [&str; 10] = [
    reasons::INVALID_REQUEST,
    reasons::INVALID_SPEC,
    reasons::INVALID_DURATION,
    reasons::DENY_NOT_SUPPORTED,
    reasons::CONFLICT,
    reasons::ORGANIZATION_MISMATCH,
    reasons::ACTIVATION_DEADLINE_EXCEEDED,
    reasons::NOT_AFTER_PASSED,
    reasons::TOO_LITTLE_TIME,
    reasons::EXPIRED,
];

/// Why no further permission will be requested, if so; live permissions continue to their end.
#[must_use]
pub fn final_reason(record: &TemporaryPermissionGrantStatus) -> Option<&'static str> {
    let stalled = conditions::find(&record.conditions, condition::STALLED)?;
    FINAL_REASONS.into_iter().find(|reason| stalled.status == "True" && stalled.reason == *reason)
}

const BEING_DELETED: &str = "the object is being deleted; nothing more will be issued";

/// A condition without its type.
#[derive(Clone)]
struct Report {
    status: ConditionStatus,
    reason: &'static str,
    message: String,
}

impl Report {
    fn new(status: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    fn with_prefix(self, prefix: &str) -> Self {
        Self { message: format!("{prefix}; {}", self.message), ..self }
    }

    fn with_suffix(self, suffix: &str) -> Self {
        Self { message: format!("{}; {suffix}", self.message), ..self }
    }
}

impl Status {
    /// Whether no further permission will be requested.
    pub(super) fn is_given_up(&self) -> bool {
        final_reason(&self.record).is_some()
    }

    /// Ends the attempts: live permissions continue to their end, and nothing more is requested.
    pub(super) fn give_up(&mut self, spec: &Spec, reason: &'static str, message: String, now: Now) {
        // The condition is the only record of the decision, so it needs a final reason.
        let reason = if FINAL_REASONS.contains(&reason) { reason } else { reasons::INVALID_REQUEST };
        self.set_condition(spec, condition::STALLED, Report::new(ConditionStatus::True, reason, message.clone()), now);
        if self.record.grants.is_empty() {
            self.record.phase = Some(Phase::Failed);
            self.record.intent = None;
            self.record.observed_generation = Some(spec.generation);
            let report = Report::new(ConditionStatus::False, reason, message);
            self.set_condition(spec, condition::ISSUED, report.clone(), now);
            self.set_condition(spec, condition::READY, report, now);
        }
    }

    /// Reports that the access has ended.
    pub(super) fn expire(&mut self, spec: &Spec, ended_at: Timestamp, now: Now) {
        self.record.phase = Some(Phase::Expired);
        self.record.intent = None;
        self.record.observed_generation = Some(spec.generation);
        conditions::remove(&mut self.record.conditions, condition::STALLED);
        let report = Report::new(ConditionStatus::False, reasons::EXPIRED, format!("access ended at {ended_at}"));
        self.set_condition(spec, condition::READY, report, now);
    }

    /// Sets phase and conditions of a grant that is neither expired nor failed.
    pub(super) fn update_conditions(&mut self, spec: &Spec, now: Now) {
        if self.is_terminal() {
            return;
        }
        self.record.observed_generation = Some(spec.generation);
        let slots = spec.request.slots();
        let live = self.record.grants.iter().filter(|grant| grant.expires_at > now.wall).count();
        let all_live = u32::try_from(live).is_ok_and(|live| live == slots);
        self.record.phase = Some(match (live, &self.record.intent) {
            (1.., _) => Phase::Active,
            (0, Some(_)) => Phase::Issuing,
            (0, None) => Phase::Pending,
        });
        let count = format!("{live} of {slots} permissions issued");
        let (ready, issued) = if all_live {
            let ready = self.live_report(spec, now);
            let ready = if spec.being_deleted { ready.with_suffix(BEING_DELETED) } else { ready };
            (ready, Report::new(ConditionStatus::True, reasons::ACTIVE, count))
        } else {
            let mut report = self.why_not_issued(now);
            if spec.being_deleted {
                // An unknown outcome outlives the deletion: it decides how long access continues.
                report = match report.status {
                    ConditionStatus::Unknown => report.with_suffix(BEING_DELETED),
                    _ => Report::new(ConditionStatus::False, reasons::TERMINATING, BEING_DELETED),
                };
            }
            if live == 0 {
                (report.clone(), report)
            } else {
                let issued = report.with_prefix(&count);
                let unknown = issued.status == ConditionStatus::Unknown;
                let reason = if unknown { issued.reason } else { reasons::PARTIALLY_ISSUED };
                (Report { reason, ..issued.clone() }, issued)
            }
        };
        self.set_condition(spec, condition::READY, ready, now);
        self.set_condition(spec, condition::ISSUED, issued, now);
        self.update_stalled(spec, all_live, now);
    }

    fn live_report(&self, spec: &Spec, now: Now) -> Report {
        let until = self.record.expires_at.unwrap_or(now.wall);
        let report = Report::new(ConditionStatus::True, reasons::ACTIVE, format!("access is live until {until}"));
        let Some(difference) = spec.end_difference(&self.record) else { return report };
        let direction = if difference.is_positive() { "later" } else { "earlier" };
        let difference = duration::format(SignedDuration::from_secs(difference.abs().as_secs()));
        let message = format!(
            "{}, {difference} {direction} than requested. Compare the clocks of the operator and of Amigo",
            report.message
        );
        Report { reason: reasons::END_DIFFERS, message, ..report }
    }

    fn update_stalled(&mut self, spec: &Spec, all_live: bool, now: Now) {
        // If everything is live, no slot remains to give up.
        if self.is_given_up() && !all_live {
            return;
        }
        // Only `give_up` sets a final reason.
        let lasting =
            |failure: &&Failure| failure.class != RetryClass::Transient && !FINAL_REASONS.contains(&failure.reason);
        let failure = self.memory.failure.as_ref().filter(lasting).cloned();
        let mismatched = !self.memory.mismatched.is_empty() && self.record.intent.is_some();
        let report = match failure {
            _ if all_live => None,
            Some(failure) => Some(Report::new(ConditionStatus::True, failure.reason, failure.message)),
            None => mismatched.then(|| Report { status: ConditionStatus::True, ..self.why_not_issued(now) }),
        };
        match report {
            Some(report) => self.set_condition(spec, condition::STALLED, report, now),
            None => conditions::remove(&mut self.record.conditions, condition::STALLED),
        }
    }

    fn why_not_issued(&self, now: Now) -> Report {
        use ConditionStatus::{False, Unknown};
        let failure = self.memory.failure.as_ref();
        if let Some(intent) = &self.record.intent {
            let attempt = format!("attempt {}", intent.attempt);
            if self.memory.unsent.as_ref() == Some(&intent.nonce) {
                let message = format!("{attempt}: requesting {} permissions from Amigo", intent.slots.len());
                return Report::new(Unknown, reasons::ISSUING, message);
            }
            if !self.memory.mismatched.is_empty() {
                let message = format!(
                    "{attempt}: Amigo lists a record with this attempt's tags that does not match the request (user, \
                     permission, condition, creator or end time). Nothing more is requested. Check the record at Amigo"
                );
                return Report::new(Unknown, reasons::OUTCOME_UNKNOWN, message);
            }
            let why = failure.map_or_else(String::new, |failure| format!(" ({})", failure.message));
            let message = format!("{attempt}: outcome unknown{why}; checking Amigo before retrying");
            return Report::new(Unknown, reasons::OUTCOME_UNKNOWN, message);
        }
        if let Some(reason) = final_reason(&self.record) {
            let stalled = conditions::find(&self.record.conditions, condition::STALLED);
            let message = stalled.map(|stalled| stalled.message.clone()).unwrap_or_default();
            return Report::new(False, reason, message);
        }
        if let Some(failure) = failure {
            return Report::new(False, failure.reason, failure.message.clone());
        }
        match self.memory.queued_until.filter(|until| *until > now.boot) {
            Some(_) => Report::new(False, reasons::QUEUED, "waiting for Amigo's rate limit"),
            None => Report::new(False, reasons::PENDING, "waiting to be issued"),
        }
    }

    fn set_condition(&mut self, spec: &Spec, type_: &str, report: Report, now: Now) {
        let Report { status, reason, message } = report;
        let stamp = Stamp { generation: spec.generation, now: now.wall };
        conditions::set(&mut self.record.conditions, Change { type_, status, reason, message }, stamp);
    }
}
