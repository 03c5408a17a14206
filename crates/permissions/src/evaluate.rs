//! One permission check (guide to role-based permissions, "How Permissions Are Checked").
//!
//! # Guarantees
//! A deny whose conditions hold wins over every allow. Temporary grants only add: a temporary deny has no effect.
//! Values of different types are never equal. The allow path does not allocate.
//!
//! # Assumptions
//! An attribute that the request does not carry fulfils no condition, `NotEquals` included: a rule about something
//! unknown does not apply. The guide is silent here. For an allow this fails closed; a deny that should hit
//! requests without the attribute must not name it.

use std::collections::BTreeMap;

use super::{Action, Condition, PermissionGrant, Value};

/// What a request is about: attribute name to value, for example `org_id` or `conversation_user_id`.
pub type Attributes = BTreeMap<String, Value>;

/// Who asks; gives the variables `{self}`, `{self_org_id}` and `{self_role_name}` their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The value of `{self}`.
    pub user_id: &'a str,
    /// The value of `{self_org_id}`.
    pub org_id: &'a str,
    /// The value of `{self_role_name}`.
    pub role_name: &'a str,
}

/// Where a grant stands in what [`evaluate`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantIndex {
    /// Index into the role's grants.
    Role(usize),
    /// Index into the live temporary grants.
    Temporary(usize),
}

/// The outcome of a check, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; `by` is the first grant that matched, role before temporary. [`matching`] lists them all.
    Allowed {
        /// The first allow that matched.
        by: GrantIndex,
    },
    /// Denied.
    Denied(Denial),
}

/// Why a check denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// This deny matched, and deny wins.
    Deny {
        /// The first deny that matched.
        by: GrantIndex,
    },
    /// Grants name the permission, but of each at least one condition failed.
    ConditionsFailed(Vec<FailedCondition>),
    /// No grant allows the permission under any condition.
    NoGrant,
}

/// The first condition of an allow that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCondition {
    /// The grant that did not match.
    pub grant: GrantIndex,
    /// Which of the grant's conditions failed, in their order.
    pub condition: usize,
    /// Whether the request lacked the attribute altogether.
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
    /// The text that `variable` stands for, if it is one.
    #[must_use]
    pub fn variable(self, variable: &str) -> Option<&'a str> {
        match variable {
            "{self}" => Some(self.user_id),
            "{self_org_id}" => Some(self.org_id),
            "{self_role_name}" => Some(self.role_name),
            _ => None,
        }
    }

    /// Whether the attribute's value equals the rule's value, its variable resolved, without any coercion.
    fn equals(self, attribute: &Value, rule: &Value) -> bool {
        match (attribute, rule) {
            (Value::String(attribute), Value::String(rule)) => {
                attribute.as_str() == self.variable(rule).unwrap_or(rule)
            }
            _ => attribute == rule,
        }
    }

    /// Whether an attribute's value meets a condition.
    #[must_use]
    pub fn fulfils(self, attribute: &Value, condition: &Condition) -> bool {
        match condition {
            Condition::Equals { value } => self.equals(attribute, value),
            Condition::NotEquals { value } => !self.equals(attribute, value),
            Condition::In { values } => values.iter().any(|value| self.equals(attribute, value)),
        }
    }

    /// The first condition that does not hold: which one, and whether the request lacks its attribute.
    fn failed(self, grant: &PermissionGrant, attributes: &Attributes) -> Option<(usize, bool)> {
        grant.conditions.iter().enumerate().find_map(|(place, (name, condition))| match attributes.get(name) {
            Some(attribute) if self.fulfils(attribute, condition) => None,
            attribute => Some((place, attribute.is_none())),
        })
    }
}

/// Decides whether `caller`, with a role of the grants `role` and the live grants `temporary`, may do
/// `permission_name` on what `attributes` describe.
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

/// Every grant, allow or deny, that names the permission and whose conditions all hold.
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
    fn an_unconditional_allow_allows() {
        assert_eq!(check(&[allow()], &about("x", true)), Decision::Allowed { by: GrantIndex::Role(0) });
    }

    #[test]
    fn deny_wins_wherever_it_stands() {
        let won = |index| Decision::Denied(Denial::Deny { by: GrantIndex::Role(index) });
        assert_eq!(check(&[deny(), allow()], &Attributes::new()), won(0));
        assert_eq!(check(&[allow(), deny()], &Attributes::new()), won(1));
    }

    #[test]
    fn a_deny_whose_condition_fails_takes_nothing() {
        let role = [allow(), when(deny(), "org_id", equals("evil"))];
        assert!(check(&role, &about("org_id", "acme")).is_allowed());
    }

    #[test]
    fn variables_stand_for_the_caller() {
        for (variable, value) in [("{self}", "eve"), ("{self_org_id}", "acme"), ("{self_role_name}", "reader")] {
            assert!(check(&[when(allow(), "x", equals(variable))], &about("x", value)).is_allowed());
            assert!(!check(&[when(allow(), "x", not_equals(variable))], &about("x", value)).is_allowed());
        }
    }

    #[test]
    fn a_variable_inside_a_longer_text_is_text() {
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
    fn an_absent_attribute_fulfils_nothing() {
        for condition in [equals("a"), not_equals("a"), Condition::In { values: vec!["a".into()] }] {
            let decision = check(&[when(allow(), "x", condition)], &Attributes::new());
            let failed = FailedCondition { grant: GrantIndex::Role(0), condition: 0, attribute_absent: true };
            assert_eq!(decision, Decision::Denied(Denial::ConditionsFailed(vec![failed])));
        }
    }

    #[test]
    fn in_needs_one_of_its_values() {
        let role = [when(allow(), "x", Condition::In { values: vec!["a".into(), "{self}".into()] })];
        assert!(check(&role, &about("x", "eve")).is_allowed());
        assert!(!check(&role, &about("x", "b")).is_allowed());
    }

    #[test]
    fn temporary_grants_add_and_never_take() {
        let (give, take) = (allow(), deny());
        let none = Attributes::new();
        let by = GrantIndex::Temporary(0);
        assert_eq!(evaluate(&[], &[&give], EVE, READ, &none), Decision::Allowed { by });
        assert!(evaluate(&[allow()], &[&take], EVE, READ, &none).is_allowed());
        assert!(!evaluate(&[deny()], &[&give], EVE, READ, &none).is_allowed());
    }

    #[test]
    fn matching_lists_every_grant_that_holds() {
        let role = [allow(), when(allow(), "x", equals("a")), allow()];
        let none = Attributes::new();
        let found: Vec<_> = matching(&role, &[], EVE, READ, &none).collect();
        assert_eq!(found, [GrantIndex::Role(0), GrantIndex::Role(2)]);
    }
}
