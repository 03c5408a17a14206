//! Checks for a user whose id is unknown. The result is valid if it is the same for every possible id.

use std::collections::BTreeSet;

use amigo_permissions::{Attributes, Condition, VARIABLES, Value};

use super::subject::{Subject, UNKNOWN_USER};
use crate::{
    Failure,
    verdict::{ConditionResult, Verdict},
};

/// The verdict, and a note about the unknown id. `evaluate` gives the verdict for an id.
///
/// # Errors
/// When the verdict depends on the id.
pub fn evaluate_unknown_user(
    subject: &Subject,
    permission: &str,
    attributes: &Attributes,
    evaluate: &dyn Fn(&str) -> Verdict,
) -> Result<(Verdict, Option<String>), Failure> {
    let other_user = evaluate(UNKNOWN_USER);
    let mut note = None;
    for id in relevant_ids(subject, permission, attributes) {
        let verdict = evaluate(id);
        let Some(condition) = first_difference(&other_user, &verdict) else { continue };
        let user = subject.label.as_deref().unwrap_or("the user");
        let is_value = condition.value.as_ref().and_then(Value::text) == Some(id);
        let subject = if is_value { format!("{} {id:?}", condition.attribute) } else { format!("{id:?}") };
        let unknown = format!("unknown whether {subject} is {user}");
        if other_user.allowed == verdict.allowed {
            note.get_or_insert(format!("{unknown}; the result is the same in both cases"));
            continue;
        }
        let ConditionResult { attribute, condition, .. } = condition;
        let alternative = if is_value { format!(", or use --attr {attribute}={{self}}") } else { String::new() };
        return Err(Failure::failed(format!("{unknown}: the condition is {attribute} {condition}"))
            .advise(format!("set the user's id with --user-id ID{alternative}")));
    }
    Ok((other_user, note))
}

/// Every string of a comparison. All other ids behave alike.
fn relevant_ids<'a>(subject: &'a Subject, permission: &str, attributes: &'a Attributes) -> BTreeSet<&'a str> {
    let grants = subject.role_grants.iter().chain(&subject.temporary_grants).map(|located| &located.grant);
    let grants = grants.filter(|grant| grant.permission_name == permission);
    let expected = grants.flat_map(|grant| grant.conditions.values()).flat_map(Condition::values);
    let texts = attributes.values().chain(expected).filter_map(Value::text);
    texts.filter(|text| !text.is_empty() && !VARIABLES.contains(text)).collect()
}

/// The first condition that only one of two verdicts over the same grants meets.
fn first_difference<'a>(one: &'a Verdict, other: &Verdict) -> Option<&'a ConditionResult> {
    let grants = one.grants.iter().zip(&other.grants);
    let mut conditions = grants.flat_map(|(one, other)| one.conditions.iter().zip(&other.conditions));
    conditions.find(|(one, other)| one.met != other.met).map(|(one, _)| one)
}
