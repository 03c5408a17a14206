//! Standard conditions: set without losing the time of the last change, compared without it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition says of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It is known not to hold.
    False,
    /// It is not known.
    Unknown,
}

impl ConditionStatus {
    /// The text of the standard `status` member.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The most characters of a condition's message; the API server takes up to 32,768.
const LONGEST_MESSAGE: usize = 1024;

/// Sets one condition. `lastTransitionTime` moves only when the standing changes.
pub fn set(
    conditions: &mut Vec<Condition>,
    (kind, standing, reason): (&str, ConditionStatus, &str),
    message: impl Into<String>,
    (generation, now): (i64, Timestamp),
) {
    let mut message: String = message.into();
    if message.chars().count() > LONGEST_MESSAGE {
        message = message.chars().take(LONGEST_MESSAGE - 1).chain(['…']).collect();
    }
    let existing = conditions.iter().position(|condition| condition.type_ == kind);
    let changed_at = existing
        .map(|index| &conditions[index])
        .filter(|condition| condition.status == standing.as_str())
        .map_or_else(|| Time(whole_second(now)), |condition| condition.last_transition_time.clone());
    let condition = Condition {
        type_: kind.to_owned(),
        status: standing.as_str().to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: changed_at,
    };
    match existing {
        Some(index) => conditions[index] = condition,
        None => conditions.push(condition),
    }
}

/// Removes a condition that has nothing to say any more.
pub fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.type_ != kind);
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether a condition of this type is `True`.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == ConditionStatus::True.as_str())
}

/// Times of conditions have whole seconds in the Kubernetes API.
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

    #[test]
    fn the_time_moves_only_with_the_standing() {
        let mut conditions = vec![];
        set(&mut conditions, ("Ready", ConditionStatus::False, "Pending"), "one", (1, at(10)));
        set(&mut conditions, ("Ready", ConditionStatus::False, "Queued"), "two", (1, at(20)));
        assert_eq!(find(&conditions, "Ready").unwrap().last_transition_time.0, at(10));
        set(&mut conditions, ("Ready", ConditionStatus::True, "Active"), "three", (1, at(30)));
        assert_eq!(find(&conditions, "Ready").unwrap().last_transition_time.0, at(30));
        assert!(holds(&conditions, "Ready"));
    }

    #[test]
    fn long_messages_are_cut() {
        let mut conditions = vec![];
        set(&mut conditions, ("Ready", ConditionStatus::Unknown, "Pending"), "é".repeat(5000), (1, at(10)));
        assert_eq!(conditions[0].message.chars().count(), LONGEST_MESSAGE);
    }
}
