//! The callers that make a difference between two roles.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Attributes, PermissionGrant, Request, VARIABLES, Value,
    region::{Region, Steps, subtract},
};

/// How many callers are looked at before giving up.
const MOST_WORLDS: usize = 4_096;

/// One caller: what each variable stands for.
pub(super) struct World {
    variables: [Value; 3],
}

impl World {
    /// Every caller who makes a difference: each variable equals a text it may be compared with, another variable,
    /// or nothing known. `None` if there are too many.
    pub(super) fn all(grants: &[&PermissionGrant]) -> Option<Vec<Self>> {
        let choices = choices(grants);
        if choices.iter().map(Vec::len).product::<usize>() > MOST_WORLDS {
            return None;
        }
        let mut worlds = Vec::new();
        for user in &choices[0] {
            for org in &choices[1] {
                for role in &choices[2] {
                    let variables = [user, org, role].map(|text| Value::String(text.clone()));
                    worlds.push(Self { variables });
                }
            }
        }
        Some(worlds)
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Value::String(text) = value else { return value };
        VARIABLES.iter().position(|variable| text == variable).map_or(value, |index| &self.variables[index])
    }

    fn regions<'a>(&'a self, grants: &[&'a PermissionGrant], action: Action) -> Vec<Region<'a>> {
        let grants = grants.iter().filter(|grant| grant.action == action);
        grants.map(|grant| Region::of(grant, |value| self.resolve(value))).filter(|region| !region.is_empty()).collect()
    }

    /// What `first` allows and `second` does not, for this caller; `None` if the steps run out.
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
        let taken = allowed.iter().flat_map(|region| denies.iter().map(|deny| region.and(deny)));
        let mut found: Vec<_> = taken.filter(|region| !region.is_empty()).collect();
        found.extend(subtract(allowed, &self.regions(second, Action::Allow), steps)?);
        Some(found)
    }

    pub(super) fn request(&self, permission_name: &str, attributes: Attributes) -> Request {
        let text = |index: usize| match &self.variables[index] {
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

/// The texts each variable may turn out to be. Only variables and literals that meet on some attribute, in one or more
/// steps, can make a difference to one another.
fn choices(grants: &[&PermissionGrant]) -> [Vec<String>; 3] {
    let texts = texts_of_attributes(grants);
    let is_literal = |text: &&str| !VARIABLES.contains(text);
    let literals: BTreeSet<&str> = texts.values().flatten().copied().filter(is_literal).collect();
    let strangers: [String; 3] = std::array::from_fn(|index| stranger(index, &literals));
    VARIABLES.map(|variable| {
        let mut company: BTreeSet<&str> = [variable].into();
        for _ in VARIABLES {
            let meets = |text: &&str| VARIABLES.contains(text) && company.contains(text);
            let met: Vec<&str> = texts.values().filter(|texts| texts.iter().any(&meets)).flatten().copied().collect();
            company.extend(met);
        }
        let choice = |text: &str| match VARIABLES.iter().position(|variable| *variable == text) {
            Some(index) => strangers[index].clone(),
            None => text.to_owned(),
        };
        company.into_iter().map(choice).collect()
    })
}

/// The texts, literals and variables, that each attribute is compared with.
fn texts_of_attributes<'a>(grants: &[&'a PermissionGrant]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut texts = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (attribute, condition) in grants.iter().flat_map(|grant| &grant.conditions) {
        texts.entry(attribute).or_default().extend(condition.values().iter().filter_map(Value::text));
    }
    texts
}

fn stranger(index: usize, taken: &BTreeSet<&str>) -> String {
    let mut name = format!("stranger{index}");
    while taken.contains(name.as_str()) {
        name.push('_');
    }
    name
}
