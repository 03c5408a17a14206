//! One permission check (guide to role-based permissions, "How Permissions Are Checked").
//!
//! # Guarantees
//! A Deny whose conditions hold overrides every Allow. Temporary grants only add: a temporary Deny has no effect.
//! Values of different types are never equal. An allowed check does not allocate.
//!
//! # Assumptions
//! An attribute that the request lacks satisfies no condition, not even `NotEquals`. The guide does not specify this. For
//! an Allow this fails closed. A Deny that must apply to requests without the attribute must not name the attribute.

use std::collections::BTreeMap;

use super::{Action, Condition, PermissionGrant, Value};

/// The attributes of a request by name, for example `org_id` or `conversation_user_id`.
pub type Attributes = BTreeMap<String, Value>;

/// The caller, which defines the variables `{self}`, `{self_org_id}` and `{self_role_name}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The value of `{self}`.
    pub user_id: &'a str,
    /// The value of `{self_org_id}`.
    pub org_id: &'a str,
    /// The value of `{self_role_name}`.
    pub role_name: &'a str,
}

/// The index of a grant in the arguments of [`evaluate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantIndex {
    /// Index into the role's grants.
    Role(usize),
    /// Index into the live temporary grants.
    Temporary(usize),
}

/// The result of a check, and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; `by` is the first grant that matched, role before temporary. [`matching`] lists them all.
    Allowed {
        /// The first Allow that matched.
        by: GrantIndex,
    },
    /// Denied.
    Denied(Denial),
}

/// Why a check denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// A Deny matched, which overrides every Allow.
    Deny {
        /// The first Deny that matched.
        by: GrantIndex,
    },
    /// At least one condition failed in every Allow of the permission.
    ConditionsFailed(Vec<FailedCondition>),
    /// No Allow names the permission.
    NoGrant,
}

/// The first failed condition of an Allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCondition {
    /// The Allow that did not match.
    pub grant: GrantIndex,
    /// The index of the failed condition, in the order of the grant's conditions.
    pub condition: usize,
    /// Whether the request lacks the attribute.
    pub attribute_absent: bool,
}

impl Decision {
    /// Whether the permission was allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

impl<'a> Caller<'a> {
    /// The value of `variable`; `None` if it is not a variable.
    #[must_use]
    pub fn variable(self, variable: &str) -> Option<&'a str> {
        match variable {
            "{self}" => Some(self.user_id),
            "{self_org_id}" => Some(self.org_id),
            "{self_role_name}" => Some(self.role_name),
            _ => None,
        }
    }

    /// Whether the attribute's value equals the condition's value, with variables resolved and without coercion.
    fn equals(self, attribute: &Value, rule: &Value) -> bool {
        match (attribute, rule) {
            (Value::String(attribute), Value::String(rule)) => {
                attribute.as_str() == self.variable(rule).unwrap_or(rule)
            }
            _ => attribute == rule,
        }
    }

    /// Whether an attribute's value satisfies a condition.
    #[must_use]
    pub fn satisfies(self, attribute: &Value, condition: &Condition) -> bool {
        match condition {
            Condition::Equals { value } => self.equals(attribute, value),
            Condition::NotEquals { value } => !self.equals(attribute, value),
            Condition::In { values } => values.iter().any(|value| self.equals(attribute, value)),
        }
    }

    /// The first condition that fails: its index, and whether the request lacks its attribute.
    fn failed(self, grant: &PermissionGrant, attributes: &Attributes) -> Option<(usize, bool)> {
        grant.conditions.iter().enumerate().find_map(|(index, (name, condition))| match attributes.get(name) {
            Some(attribute) if self.satisfies(attribute, condition) => None,
            attribute => Some((index, attribute.is_none())),
        })
    }
}

/// Decides whether `caller`, with the grants of a `role` and live `temporary` grants, has the permission
/// `permission_name` on an object with these `attributes`.
#[must_use]
pub fn evaluate(
    role: &[PermissionGrant],
    temporary: &[&PermissionGrant],
    caller: Caller<'_>,
    permission_name: &str,
    attributes: &Attributes,
) -> Decision {
    let mut allowed = None;
    for (index, grant) in named(role, temporary, permission_name) {
        if grant.action == Action::Allow && allowed.is_some() {
            continue;
        }
        if caller.failed(grant, attributes).is_some() {
            continue;
        }
        match (grant.action, index) {
            (Action::Allow, _) => allowed = Some(index),
            (Action::Deny, GrantIndex::Role(_)) => return Decision::Denied(Denial::Deny { by: index }),
            (Action::Deny, GrantIndex::Temporary(_)) => {}
        }
    }
    match allowed {
        Some(by) => Decision::Allowed { by },
        None => Decision::Denied(explain(role, temporary, caller, permission_name, attributes)),
    }
}

/// Every Allow and Deny grant of the permission whose conditions all hold.
pub fn matching<'g>(
    role: &'g [PermissionGrant],
    temporary: &'g [&'g PermissionGrant],
    caller: Caller<'g>,
    permission_name: &'g str,
    attributes: &'g Attributes,
) -> impl Iterator<Item = GrantIndex> + 'g {
    named(role, temporary, permission_name)
        .filter(move |(_, grant)| caller.failed(grant, attributes).is_none())
        .map(|(index, _)| index)
}

fn named<'g>(
    role: &'g [PermissionGrant],
    temporary: &'g [&'g PermissionGrant],
    permission_name: &'g str,
) -> impl Iterator<Item = (GrantIndex, &'g PermissionGrant)> {
    let role = role.iter().enumerate().map(|(index, grant)| (GrantIndex::Role(index), grant));
    let temporary = temporary.iter().enumerate().map(|(index, grant)| (GrantIndex::Temporary(index), *grant));
    role.chain(temporary).filter(move |(_, grant)| grant.permission_name == permission_name)
}

fn explain(
    role: &[PermissionGrant],
    temporary: &[&PermissionGrant],
    caller: Caller<'_>,
    permission_name: &str,
    attributes: &Attributes,
) -> Denial {
    let allows = || named(role, temporary, permission_name).filter(|(_, grant)| grant.action == Action::Allow);
    let mut failed = Vec::with_capacity(allows().count());
    failed.extend(allows().filter_map(|(grant, allow)| {
        let (condition, attribute_absent) = caller.failed(allow, attributes)?;
        Some(FailedCondition { grant, condition, attribute_absent })
    }));
    if failed.is_empty() { Denial::NoGrant } else { Denial::ConditionsFailed(failed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVE: Caller<'_> = Caller { user_id: "eve", org_id: "acme", role_name: "reader" };
    const READ: &str = "Conversation:GetMessage";

    fn allow() -> PermissionGrant {
        PermissionGrant { action: Action::Allow, permission_name: READ.to_owned(), conditions: BTreeMap::new() }
    }

    fn deny() -> PermissionGrant {
        PermissionGrant { action: Action::Deny, ..allow() }
    }

    fn when(grant: PermissionGrant, attribute: &str, condition: Condition) -> PermissionGrant {
        let conditions = [(attribute.to_owned(), condition)].into();
        PermissionGrant { conditions, ..grant }
    }

    fn equals(value: impl Into<Value>) -> Condition {
        Condition::Equals { value: value.into() }
    }

    fn not_equals(value: impl Into<Value>) -> Condition {
        Condition::NotEquals { value: value.into() }
    }

    fn about(attribute: &str, value: impl Into<Value>) -> Attributes {
        [(attribute.to_owned(), value.into())].into()
    }

    fn check(role: &[PermissionGrant], attributes: &Attributes) -> Decision {
        evaluate(role, &[], EVE, READ, attributes)
    }

    #[test]
    fn no_grant_denies() {
        assert_eq!(check(&[], &Attributes::new()), Decision::Denied(Denial::NoGrant));
    }

    #[test]
    fn unconditional_allow_allows() {
        assert_eq!(check(&[allow()], &about("x", true)), Decision::Allowed { by: GrantIndex::Role(0) });
    }

    #[test]
    fn deny_wins_in_any_order() {
        let won = |index| Decision::Denied(Denial::Deny { by: GrantIndex::Role(index) });
        assert_eq!(check(&[deny(), allow()], &Attributes::new()), won(0));
        assert_eq!(check(&[allow(), deny()], &Attributes::new()), won(1));
    }

    #[test]
    fn deny_with_failed_condition_has_no_effect() {
        let role = [allow(), when(deny(), "org_id", equals("evil"))];
        assert!(check(&role, &about("org_id", "acme")).is_allowed());
    }

    #[test]
    fn variables_equal_the_callers_values() {
        for (variable, value) in [("{self}", "eve"), ("{self_org_id}", "acme"), ("{self_role_name}", "reader")] {
            assert!(check(&[when(allow(), "x", equals(variable))], &about("x", value)).is_allowed());
            assert!(!check(&[when(allow(), "x", not_equals(variable))], &about("x", value)).is_allowed());
        }
    }

    #[test]
    fn variable_inside_longer_text_is_literal() {
        let role = [when(allow(), "x", equals("u-{self}"))];
        assert!(!check(&role, &about("x", "u-eve")).is_allowed());
        assert!(check(&role, &about("x", "u-{self}")).is_allowed());
    }

    #[test]
    fn types_are_never_coerced() {
        assert!(!check(&[when(allow(), "x", equals("true"))], &about("x", true)).is_allowed());
        assert!(!check(&[when(allow(), "x", equals(1))], &about("x", true)).is_allowed());
        assert!(check(&[when(allow(), "x", not_equals("1"))], &about("x", 1)).is_allowed());
    }

    #[test]
    fn absent_attribute_satisfies_no_condition() {
        for condition in [equals("a"), not_equals("a"), Condition::In { values: vec!["a".into()] }] {
            let decision = check(&[when(allow(), "x", condition)], &Attributes::new());
            let failed = FailedCondition { grant: GrantIndex::Role(0), condition: 0, attribute_absent: true };
            assert_eq!(decision, Decision::Denied(Denial::ConditionsFailed(vec![failed])));
        }
    }

    #[test]
    fn in_requires_one_of_its_values() {
        let role = [when(allow(), "x", Condition::In { values: vec!["a".into(), "{self}".into()] })];
        assert!(check(&role, &about("x", "eve")).is_allowed());
        assert!(!check(&role, &about("x", "b")).is_allowed());
    }

    #[test]
    fn temporary_grants_only_add() {
        let (allowing, denying) = (allow(), deny());
        let none = Attributes::new();
        let by = GrantIndex::Temporary(0);
        assert_eq!(evaluate(&[], &[&allowing], EVE, READ, &none), Decision::Allowed { by });
        assert!(evaluate(&[allow()], &[&denying], EVE, READ, &none).is_allowed());
        assert!(!evaluate(&[deny()], &[&allowing], EVE, READ, &none).is_allowed());
    }

    #[test]
    fn matching_lists_every_applicable_grant() {
        let role = [allow(), when(allow(), "x", equals("a")), allow()];
        let none = Attributes::new();
        let matching: Vec<_> = matching(&role, &[], EVE, READ, &none).collect();
        assert_eq!(matching, [GrantIndex::Role(0), GrantIndex::Role(2)]);
    }
}
