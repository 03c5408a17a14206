//! Which of two roles has more privileges ("Role Hierarchy Requirements" in the guide to role-based permissions).
//!
//! A role is the set of requests it allows. One role is greater if it allows everything the other allows, and more.
//! Both sides are held against every caller, each as the same caller, so `{self}` on both sides is the same user.
//!
//! # Guarantees
//! `Greater`, `Equal` and `Less` are proven. What could not be settled within the bounds is `Incomparable`, which
//! gives nobody a privilege.

use std::{collections::BTreeSet, fmt};

use super::{
    Attributes, Caller, Condition, PermissionGrant, VARIABLES, Value,
    region::{Region, Steps},
    world::World,
};

/// How many steps on regions are made before giving up.
const MOST_STEPS: usize = 100_000;

/// How the first role's privileges stand to the second's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// The first allows all that the second allows, and more.
    Greater,
    /// Both allow the same.
    Equal,
    /// The second allows all that the first allows, and more.
    Less,
    /// Each allows something the other does not, or the question is too large to settle.
    Incomparable,
}

/// How two roles compare, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How the first role's privileges stand to the second's.
    pub privilege: Privilege,
    /// A request that only the first allows, if one was found.
    pub first_only: Option<Request>,
    /// A request that only the second allows, if one was found.
    pub second_only: Option<Request>,
}

/// One check that can be put to `evaluate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The permission asked for.
    pub permission_name: String,
    /// What it is asked on.
    pub attributes: Attributes,
    /// The value of `{self}`.
    pub user_id: String,
    /// The value of `{self_org_id}`.
    pub org_id: String,
    /// The value of `{self_role_name}`.
    pub role_name: String,
}

/// What one role allows beyond another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Nothing: every request the first allows, the second allows too.
    Nothing,
    /// At least this request.
    Request(Box<Request>),
    /// Too many combinations to settle.
    Unknown,
}

impl Request {
    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        Caller { user_id: &self.user_id, org_id: &self.org_id, role_name: &self.role_name }
    }
}

/// Displayed as the permission and its attributes, those of the caller by their variables.
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
    excess_within(&first, &second, &mut Steps::new(MOST_STEPS))
}

/// As [`excess`], in the steps given.
pub(super) fn excess_within(first: &[&PermissionGrant], second: &[&PermissionGrant], steps: &mut Steps) -> Excess {
    let names: BTreeSet<&str> = first.iter().map(|grant| grant.permission_name.as_str()).collect();
    let mut outcome = Excess::Nothing;
    for name in names {
        match excess_of(name, &named(first, name), &named(second, name), steps) {
            Excess::Nothing => {}
            Excess::Unknown => outcome = Excess::Unknown,
            found @ Excess::Request(_) => return found,
        }
    }
    outcome
}

/// Whether `first` allows nothing beyond `second`; `None` if the steps do not suffice to settle it.
pub(super) fn is_nothing(first: &[&PermissionGrant], second: &[&PermissionGrant], steps: &mut Steps) -> Option<bool> {
    match excess_within(first, second, steps) {
        Excess::Nothing => Some(true),
        Excess::Request(_) => Some(false),
        Excess::Unknown => None,
    }
}

/// The grants with the variables replaced that a role's place already fixes: its organization and its name.
#[must_use]
pub fn bind(grants: &[PermissionGrant], org_id: &str, role_name: &str) -> Vec<PermissionGrant> {
    let fix = |value: &mut Value| {
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
            Condition::Equals { value } | Condition::NotEquals { value } => fix(value),
            Condition::In { values } => values.iter_mut().for_each(fix),
        }
    }
    bound
}

fn named<'g>(grants: &[&'g PermissionGrant], name: &str) -> Vec<&'g PermissionGrant> {
    grants.iter().copied().filter(|grant| grant.permission_name == name).collect()
}

fn excess_of(name: &str, first: &[&PermissionGrant], second: &[&PermissionGrant], steps: &mut Steps) -> Excess {
    let Some(worlds) = World::all(&[first, second].concat()) else { return Excess::Unknown };
    for world in &worlds {
        let Some(regions) = world.excess(first, second, steps) else { return Excess::Unknown };
        if let Some(attributes) = regions.iter().find_map(Region::sample) {
            return Excess::Request(Box::new(world.request(name, attributes)));
        }
    }
    Excess::Nothing
}

#[cfg(test)]
mod tests;
