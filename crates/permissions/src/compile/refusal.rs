//! Why a Deny has no equivalent in Allow grants.

use std::fmt;

use super::{Failure, MAX_STEPS, region};
use crate::{
    Condition, PermissionGrant, VARIABLES, Value,
    compare::has_no_excess,
    evaluate,
    indexed::{IndexedGrant, PermissionGrants},
    region::{Expression, Steps},
};

/// A Deny without equivalent Allow grants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "permissionGrants[{deny}] denies {permission_name} and permissionGrants[{allow}] allows it, but no Allow grants express \
     the difference: {why}"
)]
pub struct NoEquivalent {
    /// The Deny, by its index in the role.
    pub deny: usize,
    /// The Allow that it restricts, by its index in the role.
    pub allow: usize,
    /// The permission of both.
    pub permission_name: String,
    /// What no condition expresses.
    pub why: Inexpressible,
}

/// A restriction that no condition expresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inexpressible {
    /// The attribute is absent or has some values: every condition requires its attribute.
    AbsentOr {
        /// The attribute.
        attribute: String,
        /// The Deny's condition on it.
        denied: Condition,
    },
    /// The attribute differs from several values: a condition excludes only one.
    Excludes {
        /// The attribute.
        attribute: String,
    },
    /// Whether a variable equals another value depends on the caller.
    DependsOnCaller {
        /// The attribute.
        attribute: String,
    },
    /// A text has braces and is no known variable, so what it equals is unknown.
    UnknownVariable {
        /// The attribute.
        attribute: String,
        /// The text.
        text: String,
    },
    /// There are too many combinations to check.
    TooLarge,
}

impl NoEquivalent {
    /// What to change in the role.
    #[must_use]
    pub fn advice(&self) -> String {
        let Self { allow, why, .. } = self;
        let narrow = match why {
            Inexpressible::UnknownVariable { attribute, text } => {
                return format!("remove the Deny, or write another value than {text:?} for {attribute}");
            }
            Inexpressible::AbsentOr { attribute, denied } => {
                let instead = match denied {
                    Condition::Equals { value } => Condition::NotEquals { value: value.clone() }.to_string(),
                    Condition::NotEquals { value } => Condition::Equals { value: value.clone() }.to_string(),
                    Condition::In { .. } => "In with the allowed values".to_owned(),
                };
                format!("add the condition {attribute} {instead} to permissionGrants[{allow}]")
            }
            Inexpressible::Excludes { attribute } | Inexpressible::DependsOnCaller { attribute } => {
                format!("list the allowed values in permissionGrants[{allow}].conditions.{attribute}")
            }
            Inexpressible::TooLarge => format!("narrow permissionGrants[{allow}]"),
        };
        format!("remove the Deny and {narrow}")
    }
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AbsentOr { attribute, .. } => {
                write!(formatter, "no condition matches both a missing {attribute} and some of its values")
            }
            Self::Excludes { attribute } => write!(formatter, "no condition on {attribute} excludes several values"),
            Self::DependsOnCaller { attribute } => {
                write!(formatter, "the denied values of {attribute} depend on the caller")
            }
            Self::UnknownVariable { attribute, text } => {
                write!(
                    formatter,
                    "{attribute} is compared with {text:?}, which may be a variable that is not known here"
                )
            }
            Self::TooLarge => formatter.write_str("there are too many combinations to check"),
        }
    }
}

/// The refusal of a permission that is compared with a text in braces which is no known variable.
pub(super) fn unknown_variable(
    lines: &PermissionGrants<'_>,
    (allow, deny): (IndexedGrant<'_>, IndexedGrant<'_>),
) -> Option<NoEquivalent> {
    let unknown = |(_, grant): &IndexedGrant<'_>| {
        let values = grant.conditions.iter().flat_map(|(attribute, condition)| {
            condition.values().iter().filter_map(move |value| Some((attribute, value.text()?)))
        });
        let mut values = values.filter(|(_, text)| text.contains(['{', '}']) && !VARIABLES.contains(text));
        let (attribute, text) = values.next()?;
        Some(Inexpressible::UnknownVariable { attribute: attribute.clone(), text: text.to_owned() })
    };
    let of = |all: &[IndexedGrant<'_>]| all.iter().find_map(|grant| Some((grant.0, unknown(grant)?)));
    let (allow, deny, why) = match of(&lines.denies) {
        Some((deny, why)) => (allow.0, deny, why),
        None => of(&lines.allows).map(|(allow, why)| (allow, deny.0, why))?,
    };
    Some(NoEquivalent { deny, allow, permission_name: lines.denies.first()?.1.permission_name.clone(), why })
}

/// Selects the Deny and the Allow to report for a failure, with the reason.
pub(super) fn explain(
    lines: &PermissionGrants<'_>,
    failure: &Failure,
    first: (IndexedGrant<'_>, IndexedGrant<'_>),
) -> NoEquivalent {
    let mut steps = Steps::new(MAX_STEPS);
    let pairs = lines.allows.iter().flat_map(|allow| lines.denies.iter().map(move |deny| (*allow, *deny)));
    // Prefers the Allow of the failed request, and then a pair that has no equivalent on its own.
    let pair = pairs.min_by_key(|(allow, deny)| {
        let intersect = has_no_excess(&[allow.1], &[allow.1, deny.1], &mut steps) != Some(true);
        let alone = PermissionGrants { allows: vec![*allow], denies: vec![*deny] };
        (!intersect, !concerns(failure, allow.1), alone.rewrite(&mut steps).is_ok())
    });
    let (allow, deny) = pair.unwrap_or(first);
    let why = match failure {
        Failure::Differs(_) => inexpressible(allow.1, deny.1),
        Failure::TooLarge => Inexpressible::TooLarge,
    };
    NoEquivalent { deny: deny.0, allow: allow.0, permission_name: deny.1.permission_name.clone(), why }
}

fn concerns(failure: &Failure, allow: &PermissionGrant) -> bool {
    let Failure::Differs(request) = failure else { return true };
    let allow = std::slice::from_ref(allow);
    evaluate(allow, &[], request.caller(), &request.permission_name, &request.attributes).is_allowed()
}

fn inexpressible(allow: &PermissionGrant, deny: &PermissionGrant) -> Inexpressible {
    for piece in region(allow).around(&region(deny)) {
        let Err((attribute, expression)) = piece.conditions(&allow.conditions, |_| None) else { continue };
        let attribute = attribute.to_owned();
        match deny.conditions.get(&attribute) {
            Some(denied) if expression == Expression::AbsentOr => {
                return Inexpressible::AbsentOr { attribute, denied: denied.clone() };
            }
            _ => return Inexpressible::Excludes { attribute },
        }
    }
    let is_variable = |value: &Value| value.text().is_some_and(|text| VARIABLES.contains(&text));
    let differ = |attribute: &&String| {
        let conditions = [allow, deny].map(|grant| grant.conditions.get(*attribute));
        conditions[0] != conditions[1] && conditions.into_iter().flatten().flat_map(Condition::values).any(is_variable)
    };
    match deny.conditions.keys().find(differ) {
        Some(attribute) => Inexpressible::DependsOnCaller { attribute: attribute.clone() },
        None => Inexpressible::TooLarge,
    }
}
