//! The callers for which two roles can differ.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Attributes, PermissionGrant, Request, VARIABLES, Value,
    region::{Region, Steps, subtract},
};

/// The maximum number of callers to compare.
const MAX_CALLERS: usize = 4_096;

/// One caller: the value of each variable.
pub(super) struct Variables {
    values: [Value; 3],
}

impl Variables {
    /// Every caller for which two roles can differ: each variable equals a text that it may be compared with, another
    /// variable, or an unrelated text. `None` if there are too many.
    pub(super) fn all(grants: &[&PermissionGrant]) -> Option<Vec<Self>> {
        let choices = choices(grants);
        if choices.iter().map(Vec::len).product::<usize>() > MAX_CALLERS {
            return None;
        }
        let mut callers = Vec::new();
        for user in &choices[0] {
            for org in &choices[1] {
                for role in &choices[2] {
                    let values = [user, org, role].map(|text| Value::String(text.clone()));
                    callers.push(Self { values });
                }
            }
        }
        Some(callers)
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Value::String(text) = value else { return value };
        VARIABLES.iter().position(|variable| text == variable).map_or(value, |index| &self.values[index])
    }

    fn regions<'a>(&'a self, grants: &[&'a PermissionGrant], action: Action) -> Vec<Region<'a>> {
        let grants = grants.iter().filter(|grant| grant.action == action);
        grants
            .map(|grant| Region::from_grant(grant, |value| self.resolve(value)))
            .filter(|region| !region.is_empty())
            .collect()
    }

    /// The requests that `first` allows and `second` does not, for this caller; `None` if the steps run out.
    pub(super) fn excess<'a>(
        &'a self,
        first: &[&'a PermissionGrant],
        second: &[&'a PermissionGrant],
        steps: &mut Steps,
    ) -> Option<Vec<Region<'a>>> {
        steps.take(first.len() + second.len())?;
        let allowed = subtract(self.regions(first, Action::Allow), &self.regions(first, Action::Deny), steps)?;
        let denies = self.regions(second, Action::Deny);
        steps.take(1 + allowed.len() * denies.len())?;
        let overlaps = allowed.iter().flat_map(|region| denies.iter().map(|deny| region.and(deny)));
        let mut excess: Vec<_> = overlaps.filter(|region| !region.is_empty()).collect();
        excess.extend(subtract(allowed, &self.regions(second, Action::Allow), steps)?);
        Some(excess)
    }

    pub(super) fn request(&self, permission_name: &str, attributes: Attributes) -> Request {
        let text = |index: usize| match &self.values[index] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Request {
            permission_name: permission_name.to_owned(),
            attributes,
            user_id: text(0),
            org_id: text(1),
            role_name: text(2),
        }
    }
}

/// The texts that each variable can equal. Variables and literals influence each other only if conditions on the same
/// attribute connect them, directly or through other variables.
fn choices(grants: &[&PermissionGrant]) -> [Vec<String>; 3] {
    let texts = texts_of_attributes(grants);
    let is_literal = |text: &&str| !VARIABLES.contains(text);
    let literals: BTreeSet<&str> = texts.values().flatten().copied().filter(is_literal).collect();
    let unrelated: [String; 3] = std::array::from_fn(|index| unrelated_text(index, &literals));
    VARIABLES.map(|variable| {
        let mut connected: BTreeSet<&str> = [variable].into();
        for _ in VARIABLES {
            let is_connected = |text: &&str| VARIABLES.contains(text) && connected.contains(text);
            let connected_texts: Vec<&str> =
                texts.values().filter(|texts| texts.iter().any(&is_connected)).flatten().copied().collect();
            connected.extend(connected_texts);
        }
        let choice = |text: &str| match VARIABLES.iter().position(|variable| *variable == text) {
            Some(index) => unrelated[index].clone(),
            None => text.to_owned(),
        };
        connected.into_iter().map(choice).collect()
    })
}

/// The literals and variables that each attribute is compared with.
fn texts_of_attributes<'a>(grants: &[&'a PermissionGrant]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut texts = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (attribute, condition) in grants.iter().flat_map(|grant| &grant.conditions) {
        texts.entry(attribute).or_default().extend(condition.values().iter().filter_map(Value::text));
    }
    texts
}

fn unrelated_text(index: usize, taken: &BTreeSet<&str>) -> String {
    let mut name = ["other-user", "other-organization", "other-role"][index].to_owned();
    while taken.contains(name.as_str()) {
        name.push('_');
    }
    name
}
