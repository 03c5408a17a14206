//! A role without Deny grants that means the same, for an API that knows only Allow.
//!
//! # Expected flow
//! Permission by permission, what the Deny grants take is cut out of the Allow grants they meet, with variables as
//! values of their own. What is left is put into conditions, and the outcome is compared with the original over all
//! requests and all callers.
//!
//! # Guarantees
//! The compiled role allows exactly what the original allows: that is proven by [`excess`](super::excess), both ways,
//! and what cannot be proven is refused. Allow grants that no Deny meets stay as they were written, in their order. A
//! role without Deny grants stays as it is.
//!
//! # Caveats
//! A Deny of a role also bars what temporary grants give. Where it was compiled away it does so no longer: on an API
//! that knows only Allow, temporary grants add to the role whatever it once denied.

mod refusal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::refusal::{NoEquivalent, Unsayable};
use super::{
    Action, Conditions, Excess, PermissionGrant, Request, Value,
    compare::{excess_within, is_nothing},
    lines::Lines,
    region::{Region, Steps, subtract_overlapping},
};

/// How many steps on regions are made for a role before giving up.
const MOST_STEPS: usize = 200_000;

/// How many regions are joined before giving up.
const MOST_JOINED: usize = 64;

/// A role of Allow grants only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The grants, in the order of the original.
    pub grants: Vec<PermissionGrant>,
    /// How many Deny grants the original has.
    pub denies: usize,
    /// The Allow grants of the original, by index, that are not in it as they were written.
    pub narrowed: Vec<usize>,
}

/// Says a role in Allow grants only.
///
/// # Errors
/// [`NoEquivalent`] names the first Deny for which there are none, or for which that could not be settled.
pub fn compile(grants: &[PermissionGrant]) -> Result<Compiled, NoEquivalent> {
    let is_deny = |grant: &&PermissionGrant| grant.action == Action::Deny;
    let denied: BTreeSet<&str> = grants.iter().filter(is_deny).map(|grant| grant.permission_name.as_str()).collect();
    let mut steps = Steps::new(MOST_STEPS);
    let mut replacements = Replacements::new();
    for name in denied {
        let lines = Lines::named(grants, name);
        // Where nothing allows, a Deny takes nothing.
        let Some(first) = lines.allows.first().copied().zip(lines.denies.first().copied()) else { continue };
        replacements.extend(lines.rewrite(&mut steps).map_err(|failure| refusal::explain(&lines, &failure, first))?);
    }
    let mut compiled = Vec::new();
    for (index, grant) in grants.iter().enumerate().filter(|(_, grant)| grant.action == Action::Allow) {
        match replacements.get(&index) {
            Some(instead) => compiled.extend(instead.iter().cloned()),
            None => compiled.push(grant.clone()),
        }
    }
    let dropped = grants.iter().filter(is_deny).count();
    Ok(Compiled { grants: compiled, denies: dropped, narrowed: replacements.into_keys().collect() })
}

/// What takes the place of Allow grants, by their index.
type Replacements = BTreeMap<usize, Vec<PermissionGrant>>;

/// Why a permission's grants could not be rewritten.
enum Failure {
    /// The best attempt and the original differ on this request.
    Differs(Box<Request>),
    /// Too many combinations to settle.
    TooLarge,
}

impl<'a> Lines<'a> {
    fn rewrite(&self, steps: &mut Steps) -> Result<Replacements, Failure> {
        let pieces = self.pieces(steps).ok_or(Failure::TooLarge)?;
        let direct = self.worded(&pieces, steps);
        let Err(failure) = self.prove(&direct, steps) else { return Ok(direct) };
        match self.joined(&pieces, direct, steps) {
            Some(joined) if self.prove(&joined, steps).is_ok() => Ok(joined),
            _ => Err(failure),
        }
    }

    /// What the Deny grants leave of each Allow grant they meet. Nothing where they do so for some callers only: then
    /// either other grants say it, or none can.
    fn pieces(&self, steps: &mut Steps) -> Option<BTreeMap<usize, Vec<Region<'a>>>> {
        let holes: Vec<_> = self.denies.iter().map(|(_, deny)| region(deny)).filter(|hole| !hole.is_empty()).collect();
        let mut pieces = BTreeMap::new();
        for (index, allow) in &self.allows {
            let whole = region(allow);
            if holes.iter().any(|hole| !whole.and(hole).is_empty()) {
                pieces.insert(*index, subtract_overlapping(whole, &holes, steps)?);
            } else if !is_nothing(&[allow], &self.all(), steps)? {
                pieces.insert(*index, Vec::new());
            }
        }
        Some(pieces)
    }

    /// The pieces that conditions can say, each in the words of its Allow grant.
    fn worded(&self, pieces: &BTreeMap<usize, Vec<Region<'a>>>, steps: &mut Steps) -> Replacements {
        let in_words = |(index, allow): &(usize, &'a PermissionGrant)| {
            let sayable =
                pieces.get(index)?.iter().filter_map(|piece| piece.conditions(&allow.conditions, |_| None).ok());
            Some((*index, sayable.flatten().map(|conditions| allow_when(allow, conditions)).collect()))
        };
        let mut worded = self.allows.iter().filter_map(in_words).collect();
        self.prune(&mut worded, steps);
        worded
    }

    /// As `direct`, with everything that the pieces and the other Allow grants make up together; `None` where there are
    /// no pieces, or the steps run out.
    fn joined(
        &self,
        pieces: &BTreeMap<usize, Vec<Region<'a>>>,
        mut direct: Replacements,
        steps: &mut Steps,
    ) -> Option<Replacements> {
        let kept = self.kept(pieces).map(region).collect::<Vec<_>>();
        let (first, model) = self.allows.iter().find(|(index, _)| pieces.contains_key(index))?;
        let written = Conditions::new();
        let some = |attribute: &str| self.some_value(attribute);
        let regions = largest(kept.into_iter().chain(pieces.values().flatten().cloned()).collect(), steps)?;
        let sayable = regions.iter().filter_map(|region| region.conditions(&written, some).ok()).flatten();
        direct.entry(*first).or_default().extend(sayable.map(|conditions| allow_when(model, conditions)));
        self.prune(&mut direct, steps);
        Some(direct)
    }

    /// A value that the attribute is compared with somewhere.
    fn some_value(&self, attribute: &str) -> Option<&'a Value> {
        let mut conditions =
            self.allows.iter().chain(&self.denies).filter_map(|(_, grant)| grant.conditions.get(attribute));
        conditions.find_map(|condition| condition.values().first())
    }

    fn kept<T>(&self, replaced: &BTreeMap<usize, T>) -> impl Iterator<Item = &'a PermissionGrant> {
        self.allows.iter().filter(|(index, _)| !replaced.contains_key(index)).map(|(_, allow)| *allow)
    }

    /// Removes new grants that allow too much, and those that the rest covers, as far as that can be settled.
    fn prune(&self, replacements: &mut Replacements, steps: &mut Steps) {
        let kept: Vec<_> = self.kept(replacements).collect();
        let new = replacements
            .iter_mut()
            .flat_map(|(index, new)| std::mem::take(new).into_iter().map(|grant| (*index, grant)));
        let mut new: Vec<(usize, PermissionGrant)> = new.collect();
        new.retain(|(_, grant)| is_nothing(&[grant], &self.all(), steps) != Some(false));
        for place in (0..new.len()).rev() {
            let (index, grant) = new.remove(place);
            let others: Vec<_> = kept.iter().copied().chain(new.iter().map(|(_, grant)| grant)).collect();
            if is_nothing(&[&grant], &others, steps) != Some(true) {
                new.insert(place, (index, grant));
            }
        }
        for (index, grant) in new {
            replacements.entry(index).or_default().push(grant);
        }
    }

    /// Whether the Allow grants, these replaced, mean what all grants mean.
    fn prove(&self, replacements: &Replacements, steps: &mut Steps) -> Result<(), Failure> {
        let original = self.all();
        let candidate: Vec<_> = self.kept(replacements).chain(replacements.values().flatten()).collect();
        for (first, second) in [(&candidate, &original), (&original, &candidate)] {
            match excess_within(first, second, steps) {
                Excess::Nothing => {}
                Excess::Request(request) => return Err(Failure::Differs(request)),
                Excess::Unknown => return Err(Failure::TooLarge),
            }
        }
        Ok(())
    }
}

/// Where a grant's conditions hold, for a caller whose variables equal nothing else.
fn region(grant: &PermissionGrant) -> Region<'_> {
    Region::of(grant, |value| value)
}

fn allow_when(model: &PermissionGrant, conditions: Conditions) -> PermissionGrant {
    PermissionGrant { action: Action::Allow, permission_name: model.permission_name.clone(), conditions }
}

/// The largest regions within all of them together; `None` if there are too many.
fn largest<'a>(regions: Vec<Region<'a>>, steps: &mut Steps) -> Option<Vec<Region<'a>>> {
    let mut largest: Vec<Region<'a>> = Vec::new();
    let mut left = regions;
    while let Some(region) = left.pop() {
        steps.take((1 + largest.len()) * region.size())?;
        if largest.iter().any(|other| region.is_within(other)) {
            continue;
        }
        largest.retain(|other| !other.is_within(&region));
        left.extend(largest.iter().flat_map(|other| region.bridges(other)));
        largest.push(region);
        if largest.len() > MOST_JOINED {
            return None;
        }
    }
    Some(largest)
}
