//! One permission check with its whole story: what was asked, every grant that names the permission, and why the
//! answer is what it is.

mod sources;
mod told;

use amigo_permissions::{
    Action, Attributes, Caller, Condition, Decision, Denial, GrantIndex, PermissionGrant, Value, evaluate, matching,
};
use serde::{Deserialize, Serialize};

use super::manifests::Place;

pub use sources::{Found, Unclear};
pub use told::quoted;

/// A grant, and how people find it.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it gives or takes.
    pub grant: PermissionGrant,
    /// Its place in the object, such as `permissionGrants[2]`.
    pub path: String,
    /// The kind of the object: Role or `TemporaryPermissionGrant`; empty where there is no object.
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    /// Why it is there.
    pub description: Option<String>,
    /// Where it stands, if it comes from a file.
    pub place: Option<Place>,
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: Caller<'a>,
    /// What for.
    pub permission: &'a str,
    /// On what.
    pub attributes: &'a Attributes,
    /// Whether a Deny of the role also bars what temporary grants give: it does where the API knows Deny. Elsewhere
    /// the role is sent without them, and temporary grants add to what is left.
    pub deny_bars_temporary: bool,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Whether the caller may.
    pub allowed: bool,
    /// Why.
    pub reason: Reason,
    /// Every grant that names the permission, the role's first.
    pub grants: Vec<Line>,
}

/// Why a check ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// A grant of the role allows it.
    RoleGrant,
    /// A temporary grant allows it.
    TemporaryGrant,
    /// A deny matched, and deny wins.
    DenyGrant,
    /// Of each grant that could allow it a condition failed.
    ConditionFailed,
    /// No grant allows the permission under any condition.
    NoGrant,
}

/// One grant in the story.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Whether it gives or takes.
    pub action: Action,
    /// Its place in the object, such as `permissionGrants[2]`.
    pub path: String,
    /// The kind of the object.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub kind: &'static str,
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why the grant is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it stands, if it comes from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether all its conditions hold.
    pub applies: bool,
    /// Whether the answer rests on it.
    pub decides: bool,
    /// Its conditions.
    pub conditions: Vec<Check>,
}

/// One condition against what was asked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The attribute.
    pub attribute: String,
    /// What it must be.
    pub condition: Condition,
    /// What the variables in the condition stand for, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// What it is; null if it is not given.
    pub value: Option<Value>,
    /// Whether the condition holds.
    pub holds: bool,
}

impl Question<'_> {
    /// Answers by the role's grants and the live temporary ones.
    #[must_use]
    pub fn answer(&self, role: &[Source], temporary: &[Source]) -> Verdict {
        let role_grants: Vec<_> = role.iter().map(|source| source.grant.clone()).collect();
        let temporary_grants: Vec<_> = temporary.iter().map(|source| &source.grant).collect();
        let decide =
            |role: &[PermissionGrant]| evaluate(role, &temporary_grants, self.caller, self.permission, self.attributes);
        let mut decision = decide(&role_grants);
        if !self.deny_bars_temporary && matches!(decision, Decision::Denied(Denial::Deny { .. })) {
            let added = decide(&[]);
            if added.is_allowed() {
                decision = added;
            }
        }
        let applying: Vec<_> =
            matching(&role_grants, &temporary_grants, self.caller, self.permission, self.attributes).collect();
        let line = |(index, source): (GrantIndex, &Source)| {
            self.line(source, applying.contains(&index), rests_on(&decision, index))
        };
        let sources = role.iter().enumerate().map(|(index, source)| (GrantIndex::Role(index), source));
        let sources = sources
            .chain(temporary.iter().enumerate().map(|(index, source)| (GrantIndex::Temporary(index), source)))
            .filter(|(_, source)| source.grant.permission_name == self.permission);
        Verdict { allowed: decision.is_allowed(), reason: reason(&decision), grants: sources.map(line).collect() }
    }

    fn line(&self, source: &Source, applies: bool, decides: bool) -> Line {
        let checks = source.grant.conditions.iter().map(|(attribute, condition)| self.check(attribute, condition));
        Line {
            action: source.grant.action,
            path: source.path.clone(),
            kind: source.kind,
            name: source.name.clone(),
            description: source.description.clone(),
            place: source.place.clone(),
            applies,
            decides,
            conditions: checks.collect(),
        }
    }

    fn check(&self, attribute: &str, condition: &Condition) -> Check {
        let value = self.attributes.get(attribute);
        let variables = condition.values().iter().filter_map(Value::text);
        Check {
            attribute: attribute.to_owned(),
            condition: condition.clone(),
            variables: variables.filter_map(|text| self.caller.variable(text)).map(str::to_owned).collect(),
            value: value.cloned(),
            holds: value.is_some_and(|value| self.caller.satisfies(value, condition)),
        }
    }
}

/// The attributes with `{self}`, `{self_org_id}` and `{self_role_name}` replaced by what they stand for.
#[must_use]
pub fn resolved(attributes: Attributes, caller: Caller<'_>) -> Attributes {
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

fn rests_on(decision: &Decision, index: GrantIndex) -> bool {
    match decision {
        Decision::Allowed { by } | Decision::Denied(Denial::Deny { by }) => *by == index,
        Decision::Denied(Denial::ConditionsFailed(failed)) => failed.iter().any(|failed| failed.grant == index),
        Decision::Denied(Denial::NoGrant) => false,
    }
}

#[cfg(test)]
mod tests;
