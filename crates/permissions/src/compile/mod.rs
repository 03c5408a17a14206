//! Compiles a role to an equivalent one without Deny grants, for an API that supports only Allow.
//!
//! # Expected flow
//! For each permission, subtract the Deny grants from the Allow grants that they intersect, with variables as distinct
//! values. Express the rest as conditions. Compare the result with the original for all requests and all callers.
//!
//! # Guarantees
//! The compiled role allows exactly what the original allows: [`excess`](super::excess) proves it in both directions, and
//! a role without proof is rejected. Allow grants that no Deny intersects stay unchanged and in order, and so does a role
//! without Deny grants.
//!
//! # Assumptions
//! The API replaces the [`VARIABLES`](super::VARIABLES) and no other text. A role whose Deny depends on another text with
//! braces is rejected.
//!
//! # Caveats
//! A Deny of a role also denies what temporary grants allow. A compiled role does not: on an API that supports only
//! Allow, temporary grants can add permissions that the original role denies.

mod refusal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::refusal::{Inexpressible, NoEquivalent};
use super::{
    Action, Conditions, Excess, PermissionGrant, Request, Value,
    compare::{excess_within, has_no_excess},
    indexed::PermissionGrants,
    region::{Region, Steps, subtract_overlapping},
};

/// The maximum number of steps to compile a role.
const MAX_STEPS: usize = 200_000;

/// The maximum number of regions to join.
const MAX_JOINED: usize = 64;

/// A role of Allow grants only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The grants, in the order of the original.
    pub grants: Vec<PermissionGrant>,
    /// The number of Deny grants in the original.
    pub denies: usize,
    /// The indexes of the Allow grants of the original that were changed or removed.
    pub narrowed: Vec<usize>,
}

/// Compiles a role to Allow grants only.
///
/// # Errors
/// [`NoEquivalent`] names a Deny without equivalent Allow grants, or one that exceeds the limits.
pub fn compile(grants: &[PermissionGrant]) -> Result<Compiled, NoEquivalent> {
    let is_deny = |grant: &&PermissionGrant| grant.action == Action::Deny;
    let denied: BTreeSet<&str> = grants.iter().filter(is_deny).map(|grant| grant.permission_name.as_str()).collect();
    let mut steps = Steps::new(MAX_STEPS);
    let mut replacements = Replacements::new();
    for name in denied {
        let lines = PermissionGrants::with_name(grants, name);
        // Without an Allow, a Deny has no effect.
        let Some(first) = lines.allows.first().copied().zip(lines.denies.first().copied()) else { continue };
        if let Some(refused) = refusal::unknown_variable(&lines, first) {
            return Err(refused);
        }
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

/// The replacements of Allow grants, by their index.
type Replacements = BTreeMap<usize, Vec<PermissionGrant>>;

/// Why a permission's grants could not be rewritten.
enum Failure {
    /// The best attempt and the original differ on this request.
    Differs(Box<Request>),
    /// The limit of steps was exceeded.
    TooLarge,
}

impl<'a> PermissionGrants<'a> {
    fn rewrite(&self, steps: &mut Steps) -> Result<Replacements, Failure> {
        let pieces = self.pieces(steps).ok_or(Failure::TooLarge)?;
        let direct = self.expressed(&pieces, steps);
        let Err(failure) = self.prove(&direct, steps) else { return Ok(direct) };
        match self.joined(&pieces, direct, steps) {
            Some(joined) if self.prove(&joined, steps).is_ok() => Ok(joined),
            _ => Err(failure),
        }
    }

    /// The regions of each intersected Allow grant without the Deny grants. Empty if they intersect for some callers only:
    /// then only other grants can express the rest.
    fn pieces(&self, steps: &mut Steps) -> Option<BTreeMap<usize, Vec<Region<'a>>>> {
        let holes: Vec<_> = self.denies.iter().map(|(_, deny)| region(deny)).filter(|hole| !hole.is_empty()).collect();
        let mut pieces = BTreeMap::new();
        for (index, allow) in &self.allows {
            let whole = region(allow);
            if holes.iter().any(|hole| !whole.and(hole).is_empty()) {
                pieces.insert(*index, subtract_overlapping(whole, &holes, steps)?);
            } else if !has_no_excess(&[allow], &self.all(), steps)? {
                pieces.insert(*index, Vec::new());
            }
        }
        Some(pieces)
    }

    /// The pieces that conditions can express, each with the conditions of its Allow grant where possible.
    fn expressed(&self, pieces: &BTreeMap<usize, Vec<Region<'a>>>, steps: &mut Steps) -> Replacements {
        let express = |(index, allow): &(usize, &'a PermissionGrant)| {
            let expressible =
                pieces.get(index)?.iter().filter_map(|piece| piece.conditions(&allow.conditions, |_| None).ok());
            Some((*index, expressible.flatten().map(|conditions| allow_when(allow, conditions)).collect()))
        };
        let mut expressed = self.allows.iter().filter_map(express).collect();
        self.prune(&mut expressed, steps);
        expressed
    }

    /// Like `direct`, plus the regions that the pieces and the other Allow grants cover together; `None` if there are no
    /// pieces, or the steps run out.
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
        let expressible = regions.iter().filter_map(|region| region.conditions(&written, some).ok()).flatten();
        direct.entry(*first).or_default().extend(expressible.map(|conditions| allow_when(model, conditions)));
        self.prune(&mut direct, steps);
        Some(direct)
    }

    /// A value that a condition compares the attribute with.
    fn some_value(&self, attribute: &str) -> Option<&'a Value> {
        let mut conditions =
            self.allows.iter().chain(&self.denies).filter_map(|(_, grant)| grant.conditions.get(attribute));
        conditions.find_map(|condition| condition.values().first())
    }

    fn kept<T>(&self, replaced: &BTreeMap<usize, T>) -> impl Iterator<Item = &'a PermissionGrant> {
        self.allows.iter().filter(|(index, _)| !replaced.contains_key(index)).map(|(_, allow)| *allow)
    }

    /// Removes new grants that allow too much or that the others cover, as far as the steps allow.
    fn prune(&self, replacements: &mut Replacements, steps: &mut Steps) {
        let kept: Vec<_> = self.kept(replacements).collect();
        let new = replacements
            .iter_mut()
            .flat_map(|(index, new)| std::mem::take(new).into_iter().map(|grant| (*index, grant)));
        let mut new: Vec<(usize, PermissionGrant)> = new.collect();
        new.retain(|(_, grant)| has_no_excess(&[grant], &self.all(), steps) != Some(false));
        for position in (0..new.len()).rev() {
            let (index, grant) = new.remove(position);
            let others: Vec<_> = kept.iter().copied().chain(new.iter().map(|(_, grant)| grant)).collect();
            if has_no_excess(&[&grant], &others, steps) != Some(true) {
                new.insert(position, (index, grant));
            }
        }
        for (index, grant) in new {
            replacements.entry(index).or_default().push(grant);
        }
    }

    /// Whether the Allow grants with these replacements allow what the original allows.
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

/// The region in which a grant's conditions hold, for a caller whose variables equal no other value.
fn region(grant: &PermissionGrant) -> Region<'_> {
    Region::from_grant(grant, |value| value)
}

fn allow_when(model: &PermissionGrant, conditions: Conditions) -> PermissionGrant {
    PermissionGrant { action: Action::Allow, permission_name: model.permission_name.clone(), conditions }
}

/// The largest regions within the union of all; `None` if there are too many.
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
        if largest.len() > MAX_JOINED {
            return None;
        }
    }
    Some(largest)
}
