//! Why a Deny has no equivalent, in words.

use std::fmt;

use super::{Failure, MOST_STEPS, region};
use crate::{
    Condition, PermissionGrant, VARIABLES, Value,
    compare::is_nothing,
    evaluate,
    lines::{Line, Lines},
    region::{Steps, Wording},
};

/// A Deny that Allow grants cannot stand in for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "permissionGrants[{deny}] denies {permission_name} and permissionGrants[{allow}] allows it, and no Allow grants say \
     what is left: {why}"
)]
pub struct NoEquivalent {
    /// The Deny, by its index in the role.
    pub deny: usize,
    /// The Allow of which it takes a part, by its index in the role.
    pub allow: usize,
    /// The permission of both.
    pub permission_name: String,
    /// What cannot be said.
    pub why: Unsayable,
}

/// What no condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsayable {
    /// The attribute is absent, or has not every value: every condition needs its attribute.
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
    /// It depends on who asks whether a variable equals another value.
    DependsOnCaller {
        /// The attribute.
        attribute: String,
    },
    /// Too many combinations to settle.
    TooLarge,
}

impl NoEquivalent {
    /// What to write instead.
    #[must_use]
    pub fn advice(&self) -> String {
        let Self { allow, why, .. } = self;
        let narrow = match why {
            Unsayable::AbsentOr { attribute, denied } => {
                let instead = match denied {
                    Condition::Equals { value } => Condition::NotEquals { value: value.clone() }.to_string(),
                    Condition::NotEquals { value } => Condition::Equals { value: value.clone() }.to_string(),
                    Condition::In { .. } => "In with the values to allow".to_owned(),
                };
                format!("give permissionGrants[{allow}] the condition {attribute} {instead}")
            }
            Unsayable::Excludes { attribute } | Unsayable::DependsOnCaller { attribute } => {
                format!("list the values to allow in permissionGrants[{allow}].conditions.{attribute}")
            }
            Unsayable::TooLarge => format!("narrow permissionGrants[{allow}] itself"),
        };
        format!("remove the Deny and {narrow}")
    }
}

impl fmt::Display for Unsayable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AbsentOr { attribute, .. } => {
                write!(formatter, "no condition holds both without {attribute} and with only some values of it")
            }
            Self::Excludes { attribute } => write!(formatter, "no condition on {attribute} excludes several values"),
            Self::DependsOnCaller { attribute } => {
                write!(formatter, "it depends on who asks which values of {attribute} it takes")
            }
            Self::TooLarge => formatter.write_str("there are too many combinations to settle it"),
        }
    }
}

/// Which Deny to name for a failure, against which Allow, and why.
pub(super) fn explain(lines: &Lines<'_>, failure: &Failure, first: (Line<'_>, Line<'_>)) -> NoEquivalent {
    let mut steps = Steps::new(MOST_STEPS);
    let pairs = lines.allows.iter().flat_map(|allow| lines.denies.iter().map(move |deny| (*allow, *deny)));
    // The Allow that the request is about comes first, and then a pair that has no equivalent even by itself.
    let blamed = pairs.min_by_key(|(allow, deny)| {
        let meet = is_nothing(&[allow.1], &[allow.1, deny.1], &mut steps) != Some(true);
        let alone = Lines { allows: vec![*allow], denies: vec![*deny] };
        (!meet, !concerns(failure, allow.1), alone.rewrite(&mut steps).is_ok())
    });
    let (allow, deny) = blamed.unwrap_or(first);
    let why = match failure {
        Failure::Differs(_) => unsayable(allow.1, deny.1),
        Failure::TooLarge => Unsayable::TooLarge,
    };
    NoEquivalent { deny: deny.0, allow: allow.0, permission_name: deny.1.permission_name.clone(), why }
}

fn concerns(failure: &Failure, allow: &PermissionGrant) -> bool {
    let Failure::Differs(request) = failure else { return true };
    let allow = std::slice::from_ref(allow);
    evaluate(allow, &[], request.caller(), &request.permission_name, &request.attributes).is_allowed()
}

fn unsayable(allow: &PermissionGrant, deny: &PermissionGrant) -> Unsayable {
    for piece in region(allow).around(&region(deny)) {
        let Err((attribute, wording)) = piece.conditions(&allow.conditions, |_| None) else { continue };
        let attribute = attribute.to_owned();
        match deny.conditions.get(&attribute) {
            Some(denied) if wording == Wording::AbsentOr => {
                return Unsayable::AbsentOr { attribute, denied: denied.clone() };
            }
            _ => return Unsayable::Excludes { attribute },
        }
    }
    let is_variable = |value: &Value| value.text().is_some_and(|text| VARIABLES.contains(&text));
    let differ = |attribute: &&String| {
        let conditions = [allow, deny].map(|grant| grant.conditions.get(*attribute));
        conditions[0] != conditions[1] && conditions.into_iter().flatten().flat_map(Condition::values).any(is_variable)
    };
    match deny.conditions.keys().find(differ) {
        Some(attribute) => Unsayable::DependsOnCaller { attribute: attribute.clone() },
        None => Unsayable::TooLarge,
    }
}
