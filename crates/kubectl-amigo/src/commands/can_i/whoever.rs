//! A user whose id is not known: an answer stands if it is the same whoever the user is.

use std::collections::BTreeSet;

use amigo_permissions::{Attributes, Condition, VARIABLES, Value};

use super::subject::{Subject, UNKNOWN_USER};
use crate::{
    Failure,
    verdict::{ConditionResult, Verdict},
};

/// The answer for a user of unknown id, and what to say about it. `answer` tells it for an id.
///
/// # Errors
/// When it depends on the id.
pub fn whoever(
    (subject, permission, given): (&Subject, &str, &Attributes),
    answer: &dyn Fn(&str) -> Verdict,
) -> Result<(Verdict, Option<String>), Failure> {
    let stranger = answer(UNKNOWN_USER);
    let mut note = None;
    for id in ids(subject, permission, given) {
        let verdict = answer(id);
        let Some(check) = difference(&stranger, &verdict) else { continue };
        let who = subject.label.as_deref().unwrap_or("the user");
        let is_value = check.value.as_ref().and_then(Value::text) == Some(id);
        let what = if is_value { format!("{} {id:?}", check.attribute) } else { format!("{id:?}") };
        let unknown = format!("whether {what} is {who} is not known");
        if stranger.allowed == verdict.allowed {
            note.get_or_insert(format!("{unknown}, and the answer is the same in both cases"));
            continue;
        }
        let ask = if is_value { format!(", or ask with --attr {}={{self}}", check.attribute) } else { String::new() };
        return Err(Failure::failed(format!("{unknown}: the condition is {} {}", check.attribute, check.condition))
            .advise(format!("say the user's id with --user-id ID{ask}")));
    }
    Ok((stranger, note))
}

/// The ids that could matter: every text that is compared. All others are like one that stands nowhere.
fn ids<'a>(subject: &'a Subject, permission: &str, given: &'a Attributes) -> BTreeSet<&'a str> {
    let grants = subject.role.iter().chain(&subject.temporary).map(|source| &source.grant);
    let named = grants.filter(|grant| grant.permission_name == permission);
    let wanted = named.flat_map(|grant| grant.conditions.values()).flat_map(Condition::values);
    let texts = given.values().chain(wanted).filter_map(Value::text);
    texts.filter(|text| !text.is_empty() && !VARIABLES.contains(text)).collect()
}

/// The first condition that holds in one story of the same grants and not in the other.
fn difference<'a>(one: &'a Verdict, other: &Verdict) -> Option<&'a ConditionResult> {
    let lines = one.grants.iter().zip(&other.grants);
    let mut checks = lines.flat_map(|(one, other)| one.conditions.iter().zip(&other.conditions));
    checks.find(|(one, other)| one.met != other.met).map(|(one, _)| one)
}
