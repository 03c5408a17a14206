//! A permission check with its explanation: every grant of the permission, and which of them decides.

mod located_grant;
mod render;

use amigo_permissions::{
    Action, Attributes, Caller, Condition, Decision, Denial, GrantIndex, PermissionGrant, Value, evaluate, matching,
};
use serde::Serialize;

use super::manifests::Reason;

pub use self::{
    located_grant::{LoadedObject, LocatedGrant, Origin, UnresolvedGrant},
    render::format_attributes,
};

#[derive(Clone, Copy, Debug)]
pub struct PermissionCheck<'a> {
    pub caller: Caller<'a>,
    pub permission: &'a str,
    pub attributes: &'a Attributes,
    /// Whether a Deny of the role also limits temporary grants. This is so only if the API supports Deny. Otherwise the
    /// operator sends the role without Deny grants, and Amigo adds the temporary grants to it.
    pub deny_limits_temporary: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub allowed: bool,
    pub reason: Reason,
    /// Every grant of the permission, those of the role first.
    pub grants: Vec<GrantResult>,
}

/// The effect of one grant on a check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantResult {
    pub action: Action,
    #[serde(flatten)]
    pub origin: Origin,
    /// Whether all its conditions are met.
    pub applies: bool,
    /// Whether it decides the verdict.
    pub decides: bool,
    pub conditions: Vec<ConditionResult>,
}

/// A condition and the attribute that it was compared with.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionResult {
    pub attribute: String,
    pub condition: Condition,
    /// The values of the variables in the condition, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// The value of the attribute; null if it is not set.
    pub value: Option<Value>,
    pub met: bool,
}

impl PermissionCheck<'_> {
    pub fn evaluate(&self, role: &[LocatedGrant], temporary: &[LocatedGrant]) -> Verdict {
        let role_grants: Vec<_> = role.iter().map(|located| located.grant.clone()).collect();
        let temporary_grants: Vec<_> = temporary.iter().map(|located| &located.grant).collect();
        let decide =
            |role: &[PermissionGrant]| evaluate(role, &temporary_grants, self.caller, self.permission, self.attributes);
        let mut decision = decide(&role_grants);
        if !self.deny_limits_temporary && matches!(decision, Decision::Denied(Denial::Deny { .. })) {
            let without_role = decide(&[]);
            if without_role.is_allowed() {
                decision = without_role;
            }
        }
        let applying: Vec<_> =
            matching(&role_grants, &temporary_grants, self.caller, self.permission, self.attributes).collect();
        let role = role.iter().enumerate().map(|(index, located)| (GrantIndex::Role(index), located));
        let temporary = temporary.iter().enumerate().map(|(index, located)| (GrantIndex::Temporary(index), located));
        let grants = role.chain(temporary).filter(|(_, located)| located.grant.permission_name == self.permission).map(
            |(index, located)| GrantResult {
                action: located.grant.action,
                origin: located.origin.clone(),
                applies: applying.contains(&index),
                decides: decides(&decision, index),
                conditions: self.conditions(&located.grant),
            },
        );
        Verdict { allowed: decision.is_allowed(), reason: reason(&decision), grants: grants.collect() }
    }

    fn conditions(&self, grant: &PermissionGrant) -> Vec<ConditionResult> {
        let result = |(attribute, condition): (&String, &Condition)| {
            let value = self.attributes.get(attribute);
            let variables = condition.values().iter().filter_map(Value::text);
            ConditionResult {
                attribute: attribute.clone(),
                condition: condition.clone(),
                variables: variables.filter_map(|text| self.caller.variable(text)).map(str::to_owned).collect(),
                value: value.cloned(),
                met: value.is_some_and(|value| self.caller.satisfies(value, condition)),
            }
        };
        grant.conditions.iter().map(result).collect()
    }
}

/// Replaces `{self}`, `{self_org_id}` and `{self_role_name}` by their values.
pub fn resolve_variables(attributes: Attributes, caller: Caller<'_>) -> Attributes {
    let resolve = |value: Value| match value.text().and_then(|text| caller.variable(text)) {
        Some(text) => text.into(),
        None => value,
    };
    attributes.into_iter().map(|(name, value)| (name, resolve(value))).collect()
}

fn reason(decision: &Decision) -> Reason {
    match decision {
        Decision::Allowed { by: GrantIndex::Role(_) } => Reason::RoleGrant,
        Decision::Allowed { by: GrantIndex::Temporary(_) } => Reason::TemporaryGrant,
        Decision::Denied(Denial::Deny { .. }) => Reason::DenyGrant,
        Decision::Denied(Denial::ConditionsFailed(_)) => Reason::ConditionFailed,
        Decision::Denied(Denial::NoGrant) => Reason::NoGrant,
    }
}

fn decides(decision: &Decision, index: GrantIndex) -> bool {
    match decision {
        Decision::Allowed { by } | Decision::Denied(Denial::Deny { by }) => *by == index,
        Decision::Denied(Denial::ConditionsFailed(failed)) => failed.iter().any(|failed| failed.grant == index),
        Decision::Denied(Denial::NoGrant) => false,
    }
}

#[cfg(test)]
mod tests;
