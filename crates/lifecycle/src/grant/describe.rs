//! What a grant's status says to people and programs: phase and conditions.

use amigo_api::{
    Phase, TemporaryPermissionGrantStatus,
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use jiff::Timestamp;

use super::{Now, Spec, Status};
use crate::{Failure, RetryClass};

/// Reasons that end a request's attempts for good; kept in the `Stalled` condition.
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

/// Why no further permission will be asked for, if so; what is live may go on.
#[must_use]
pub fn given_up(record: &TemporaryPermissionGrantStatus) -> Option<&'static str> {
    let stalled = conditions::find(&record.conditions, condition::STALLED)?;
    FINAL_REASONS.into_iter().find(|reason| stalled.status == "True" && stalled.reason == *reason)
}

/// What is added to whatever else there is to say of an object that is being deleted.
const BEING_DELETED: &str = "the object is being deleted, and nothing more is issued";

/// One thing to say: standing, reason, message.
type Saying = (ConditionStatus, &'static str, String);

impl Status {
    /// Whether no further permission will be asked for.
    pub(super) fn is_given_up(&self) -> bool {
        self.final_reason().is_some()
    }

    fn final_reason(&self) -> Option<&'static str> {
        given_up(&self.record)
    }

    /// Ends the attempts: what is live goes on to its end, and nothing more is asked for.
    pub(super) fn give_up(&mut self, spec: &Spec, reason: &'static str, message: String, now: Now) {
        // The condition is the memory of it, so what is final must have a final reason.
        let reason = if FINAL_REASONS.contains(&reason) { reason } else { reasons::INVALID_REQUEST };
        let live = !self.record.grants.is_empty();
        self.say(spec, condition::STALLED, (ConditionStatus::True, reason, message.clone()), now);
        if !live {
            self.record.phase = Some(Phase::Failed);
            self.record.intent = None;
            self.record.observed_generation = Some(spec.generation);
            self.say(spec, condition::ISSUED, (ConditionStatus::False, reason, message.clone()), now);
            self.say(spec, condition::READY, (ConditionStatus::False, reason, message), now);
        }
    }

    /// Says that the time is over.
    pub(super) fn expire(&mut self, spec: &Spec, ended_at: Timestamp, now: Now) {
        self.record.phase = Some(Phase::Expired);
        self.record.intent = None;
        self.record.observed_generation = Some(spec.generation);
        conditions::remove(&mut self.record.conditions, condition::STALLED);
        let message = format!("access ended at {ended_at}");
        self.say(spec, condition::READY, (ConditionStatus::False, reasons::EXPIRED, message), now);
    }

    /// Says how things stand, for a grant whose life is not over.
    pub(super) fn describe(&mut self, spec: &Spec, now: Now) {
        if self.is_over() {
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
        let issued = format!("{live} of {slots} permissions issued");
        let mut trouble = self.trouble(now);
        if spec.being_deleted {
            trouble = match trouble {
                // An open question outlives the deletion: the answer says until when access goes on.
                (ConditionStatus::Unknown, reason, message) => {
                    (ConditionStatus::Unknown, reason, format!("{message}; {BEING_DELETED}"))
                }
                _ => (ConditionStatus::False, reasons::TERMINATING, BEING_DELETED.to_owned()),
            };
        }
        if all_live {
            let until = self.record.expires_at.unwrap_or(now.wall);
            let mut message = format!("access is live until {until}");
            if spec.being_deleted {
                message = format!("{message}; {BEING_DELETED}");
            }
            self.say(spec, condition::READY, (ConditionStatus::True, reasons::ACTIVE, message), now);
            self.say(spec, condition::ISSUED, (ConditionStatus::True, reasons::ACTIVE, issued), now);
        } else if live > 0 {
            let (standing, reason, message) = trouble.clone();
            let unknown = standing == ConditionStatus::Unknown;
            let ready =
                (standing, if unknown { reason } else { reasons::PARTIALLY_ISSUED }, format!("{issued}; {message}"));
            self.say(spec, condition::READY, ready, now);
            self.say(spec, condition::ISSUED, (standing, reason, format!("{issued}; {message}")), now);
        } else {
            self.say(spec, condition::READY, trouble.clone(), now);
            self.say(spec, condition::ISSUED, trouble, now);
        }
        self.describe_stall(spec, all_live, now);
    }

    fn describe_stall(&mut self, spec: &Spec, all_live: bool, now: Now) {
        // Where all is live, nothing is missing that could be given up.
        if self.is_given_up() && !all_live {
            return;
        }
        // Only a request that is given up for good says so with a final reason.
        let lasting =
            |failure: &&Failure| failure.class != RetryClass::Transient && !FINAL_REASONS.contains(&failure.reason);
        let failure = self.memory.failure.as_ref().filter(lasting).cloned();
        let odd = (!self.memory.odd.is_empty() && self.record.intent.is_some()).then_some(());
        match (all_live, failure, odd) {
            (false, Some(failure), _) => {
                self.say(spec, condition::STALLED, (ConditionStatus::True, failure.reason, failure.message), now);
            }
            (false, None, Some(())) => {
                let (_, reason, message) = self.trouble(now);
                self.say(spec, condition::STALLED, (ConditionStatus::True, reason, message), now);
            }
            _ => conditions::remove(&mut self.record.conditions, condition::STALLED),
        }
    }

    /// Why not all of it is live.
    fn trouble(&self, now: Now) -> Saying {
        let failure = self.memory.failure.as_ref();
        if let Some(intent) = &self.record.intent {
            let number = intent.attempt;
            if self.memory.unsent.as_ref() == Some(&intent.nonce) {
                let message = format!("attempt {number} asks Amigo for {} permissions", intent.slots.len());
                return (ConditionStatus::Unknown, reasons::ISSUING, message);
            }
            if !self.memory.odd.is_empty() {
                let message = format!(
                    "a record with the tags of attempt {number} is at Amigo but is not what was asked for (another user, \
                     condition, creator or a later end); nothing more is asked for: look at it there"
                );
                return (ConditionStatus::Unknown, reasons::OUTCOME_UNKNOWN, message);
            }
            let why = failure.map_or_else(String::new, |failure| format!(" ({})", failure.message));
            let message = format!(
                "whether attempt {number} reached Amigo is not known{why}; the listing is being asked, and nothing is sent before it is clear"
            );
            return (ConditionStatus::Unknown, reasons::OUTCOME_UNKNOWN, message);
        }
        if let Some(reason) = self.final_reason() {
            let stalled = conditions::find(&self.record.conditions, condition::STALLED);
            let message = stalled.map(|stalled| stalled.message.clone()).unwrap_or_default();
            return (ConditionStatus::False, reason, message);
        }
        if let Some(failure) = failure {
            return (ConditionStatus::False, failure.reason, failure.message.clone());
        }
        match self.memory.turn.filter(|turn| *turn > now.wall) {
            Some(_) => {
                (ConditionStatus::False, reasons::QUEUED, "waits for its turn under Amigo's rate limit".to_owned())
            }
            None => (ConditionStatus::False, reasons::PENDING, "waits to be issued".to_owned()),
        }
    }

    fn say(&mut self, spec: &Spec, type_: &str, (status, reason, message): Saying, now: Now) {
        let stamp = Stamp { generation: spec.generation, now: now.wall };
        conditions::set(&mut self.record.conditions, Change { type_, status, reason, message }, stamp);
    }
}
