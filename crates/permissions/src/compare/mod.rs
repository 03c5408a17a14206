//! Which of two roles has more privileges ("Role Hierarchy Requirements" in the guide to role-based permissions).
//!
//! A role is the set of requests it allows. A role is greater if it allows everything that the other allows, and more.
//! Both roles are evaluated for the same callers, so `{self}` is the same user on both sides.
//!
//! # Guarantees
//! `Greater`, `Equal` and `Less` are proven. A comparison that exceeds the limits is `Incomparable`, which must not grant
//! any privilege.

use std::{collections::BTreeSet, fmt};

use super::{
    Attributes, Caller, Condition, PermissionGrant, VARIABLES, Value,
    callers::Variables,
    region::{Region, Steps},
};

/// The maximum number of steps of a comparison.
const MAX_STEPS: usize = 100_000;

/// How the privileges of the first role compare to those of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// The first role allows everything that the second allows, and more.
    Greater,
    /// Both roles allow the same requests.
    Equal,
    /// The second role allows everything that the first allows, and more.
    Less,
    /// Each role allows a request that the other does not, or the comparison exceeds the limits.
    Incomparable,
}

/// The result of a comparison, with examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How the privileges of the first role compare to those of the second.
    pub privilege: Privilege,
    /// A request that only the first role allows, if one was found.
    pub first_only: Option<Request>,
    /// A request that only the second role allows, if one was found.
    pub second_only: Option<Request>,
}

/// One permission check, as [`evaluate`](super::evaluate()) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The requested permission.
    pub permission_name: String,
    /// The attributes of the object.
    pub attributes: Attributes,
    /// The value of `{self}`.
    pub user_id: String,
    /// The value of `{self_org_id}`.
    pub org_id: String,
    /// The value of `{self_role_name}`.
    pub role_name: String,
}

/// The requests that one role allows and another does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// None: the second role allows every request that the first allows.
    Nothing,
    /// At least this request.
    Request(Box<Request>),
    /// The comparison exceeds the limits.
    Unknown,
}

impl Request {
    /// The caller of the request.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        Caller { user_id: &self.user_id, org_id: &self.org_id, role_name: &self.role_name }
    }
}

/// Displays the permission and its attributes, with variables for values of the caller.
impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.permission_name)?;
        let own = [&self.user_id, &self.org_id, &self.role_name].into_iter().zip(VARIABLES);
        for (index, (attribute, value)) in self.attributes.iter().enumerate() {
            write!(formatter, "{} {attribute} = {value}", if index == 0 { " on" } else { "," })?;
            let variable = own.clone().find(|(text, _)| value.text() == Some(text.as_str()));
            if let Some((_, variable)) = variable {
                write!(formatter, " ({variable})")?;
            }
        }
        Ok(())
    }
}

/// Compares the privileges of two roles over all requests and all callers.
#[must_use]
pub fn compare(first: &[PermissionGrant], second: &[PermissionGrant]) -> Comparison {
    let (beyond, lacking) = (excess(first, second), excess(second, first));
    let privilege = match (&beyond, &lacking) {
        (Excess::Nothing, Excess::Nothing) => Privilege::Equal,
        (Excess::Request(_), Excess::Nothing) => Privilege::Greater,
        (Excess::Nothing, Excess::Request(_)) => Privilege::Less,
        _ => Privilege::Incomparable,
    };
    let request = |excess| match excess {
        Excess::Request(request) => Some(*request),
        Excess::Nothing | Excess::Unknown => None,
    };
    Comparison { privilege, first_only: request(beyond), second_only: request(lacking) }
}

/// Finds a request that `first` allows and `second` does not.
#[must_use]
pub fn excess(first: &[PermissionGrant], second: &[PermissionGrant]) -> Excess {
    let (first, second): (Vec<_>, Vec<_>) = (first.iter().collect(), second.iter().collect());
    excess_within(&first, &second, &mut Steps::new(MAX_STEPS))
}

/// Like [`excess`], with a limit of steps.
pub(super) fn excess_within(first: &[&PermissionGrant], second: &[&PermissionGrant], steps: &mut Steps) -> Excess {
    let names: BTreeSet<&str> = first.iter().map(|grant| grant.permission_name.as_str()).collect();
    let mut outcome = Excess::Nothing;
    for name in names {
        match excess_of(name, &named(first, name), &named(second, name), steps) {
            Excess::Nothing => {}
            Excess::Unknown => outcome = Excess::Unknown,
            excess @ Excess::Request(_) => return excess,
        }
    }
    outcome
}

/// Whether `first` allows nothing beyond `second`; `None` if the steps run out.
pub(super) fn has_no_excess(
    first: &[&PermissionGrant],
    second: &[&PermissionGrant],
    steps: &mut Steps,
) -> Option<bool> {
    match excess_within(first, second, steps) {
        Excess::Nothing => Some(true),
        Excess::Request(_) => Some(false),
        Excess::Unknown => None,
    }
}

/// The grants with the variables of a role replaced: its organization and its name.
#[must_use]
pub fn bind(grants: &[PermissionGrant], org_id: &str, role_name: &str) -> Vec<PermissionGrant> {
    let replace = |value: &mut Value| {
        if let Value::String(text) = value {
            match text.as_str() {
                "{self_org_id}" => org_id.clone_into(text),
                "{self_role_name}" => role_name.clone_into(text),
                _ => {}
            }
        }
    };
    let mut bound = grants.to_vec();
    for condition in bound.iter_mut().flat_map(|grant| grant.conditions.values_mut()) {
        match condition {
            Condition::Equals { value } | Condition::NotEquals { value } => replace(value),
            Condition::In { values } => values.iter_mut().for_each(replace),
        }
    }
    bound
}

fn named<'g>(grants: &[&'g PermissionGrant], name: &str) -> Vec<&'g PermissionGrant> {
    grants.iter().copied().filter(|grant| grant.permission_name == name).collect()
}

fn excess_of(name: &str, first: &[&PermissionGrant], second: &[&PermissionGrant], steps: &mut Steps) -> Excess {
    let Some(callers) = Variables::all(&[first, second].concat()) else { return Excess::Unknown };
    for caller in &callers {
        let Some(regions) = caller.excess(first, second, steps) else { return Excess::Unknown };
        if let Some(attributes) = regions.iter().find_map(Region::sample) {
            return Excess::Request(Box::new(caller.request(name, attributes)));
        }
    }
    Excess::Nothing
}

#[cfg(test)]
mod tests;
