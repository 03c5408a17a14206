//! Standard Kubernetes conditions in a status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// The condition is true.
    True,
    /// The condition is false.
    False,
    /// The operator does not know.
    Unknown,
}

impl ConditionStatus {
    /// The value of the `status` field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Longer messages are truncated. The API server accepts up to 32,768 characters.
const MAX_MESSAGE_CHARACTERS: usize = 1024;

/// A condition to set.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The type, of [`reasons::condition`](crate::reasons::condition).
    pub type_: &'a str,
    /// The new status.
    pub status: ConditionStatus,
    /// The new reason, of [`reasons`](crate::reasons).
    pub reason: &'a str,
    /// What happened, to which object.
    pub message: String,
}

/// When and for which generation a condition is set.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The `metadata.generation` of the reconciled object.
    pub generation: i64,
    /// The current time.
    pub now: Timestamp,
}

/// Adds a condition, or replaces the one of the same type. `lastTransitionTime` changes only with the status.
pub fn set(conditions: &mut Vec<Condition>, change: Change<'_>, stamp: Stamp) {
    let Change { type_, status, reason, mut message } = change;
    if message.chars().count() > MAX_MESSAGE_CHARACTERS {
        message = message.chars().take(MAX_MESSAGE_CHARACTERS - 1).chain(['…']).collect();
    }
    let existing = conditions.iter().position(|condition| condition.type_ == type_);
    let last_transition_time = existing
        .map(|index| &conditions[index])
        .filter(|condition| condition.status == status.as_str())
        .map_or_else(|| Time(whole_second(stamp.now)), |condition| condition.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(stamp.generation),
        last_transition_time,
    };
    match existing {
        Some(index) => conditions[index] = condition,
        None => conditions.push(condition),
    }
}

/// Removes the condition of a type.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type exists and is `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == ConditionStatus::True.as_str())
}

/// The time in whole seconds, as the Kubernetes API stores the times of conditions.
#[must_use]
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn change(status: ConditionStatus, message: String) -> Change<'static> {
        Change { type_: "Ready", status, reason: "Reason", message }
    }

    #[test]
    fn transition_time_changes_only_with_the_status() {
        let mut conditions = vec![];
        let mut set_at = |status, second| {
            let stamp = Stamp { generation: 1, now: at(second) };
            set(&mut conditions, change(status, second.to_string()), stamp);
            conditions[0].clone()
        };
        set_at(ConditionStatus::False, 10);
        let repeated = set_at(ConditionStatus::False, 20);
        assert_eq!((repeated.last_transition_time.0, repeated.message), (at(10), "20".to_owned()));
        assert_eq!(set_at(ConditionStatus::True, 30).last_transition_time.0, at(30));
        assert!(is_true(&conditions, "Ready") && conditions.len() == 1);
    }

    #[test]
    fn set_truncates_long_messages() {
        let mut conditions = vec![];
        let stamp = Stamp { generation: 1, now: at(10) };
        set(&mut conditions, change(ConditionStatus::Unknown, "é".repeat(5000)), stamp);
        assert_eq!(conditions[0].message.chars().count(), MAX_MESSAGE_CHARACTERS);
    }
}
