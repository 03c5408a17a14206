//! Sets of requests: conjunctions of one constraint an attribute, with exact subtraction.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attributes, Condition, Conditions, PermissionGrant, Value};

/// The steps that are left. Operations on regions can grow exponentially, so each one takes steps.
pub(super) struct Steps(usize);

impl Steps {
    pub(super) fn new(most: usize) -> Self {
        Self(most)
    }

    /// `None` if fewer are left.
    pub(super) fn take(&mut self, steps: usize) -> Option<()> {
        self.0 = self.0.checked_sub(steps)?;
        Some(())
    }
}

/// How conditions can express a slot.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    /// No condition is needed.
    Free,
    /// One grant for each of these conditions, together.
    Conditions(Vec<Condition>),
    /// The attribute may be absent, but must not have every value: no condition expresses that.
    AbsentOr,
    /// The attribute differs from several values: a condition excludes only one.
    Excludes,
}

impl Expression {
    fn as_written(condition: &Condition) -> Self {
        Self::Conditions(vec![condition.clone()])
    }
}

/// A set of attribute values. Infinitely many exist, so `AllBut` is never empty.
#[derive(Clone, Debug, PartialEq)]
enum Values<'a> {
    Only(Vec<&'a Value>),
    AllBut(Vec<&'a Value>),
}

/// The possible states of one attribute: whether it may be absent, and its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot<'a> {
    absent: bool,
    values: Values<'a>,
}

/// All requests whose attributes are in their slots. An attribute without a slot is unconstrained.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Region<'a> {
    slots: BTreeMap<&'a str, Slot<'a>>,
}

impl<'a> Slot<'a> {
    /// The slot in which the condition holds.
    fn from_condition(condition: &'a Condition, resolve: impl Fn(&'a Value) -> &'a Value) -> Self {
        let values = match condition {
            Condition::Equals { value } => Values::Only(vec![resolve(value)]),
            Condition::NotEquals { value } => Values::AllBut(vec![resolve(value)]),
            Condition::In { values } => Values::Only(values.iter().map(resolve).collect()),
        };
        Self { absent: false, values }
    }

    fn anything() -> Self {
        Self { absent: true, values: Values::AllBut(Vec::new()) }
    }

    fn is_empty(&self) -> bool {
        !self.absent && matches!(&self.values, Values::Only(values) if values.is_empty())
    }

    fn and(&self, other: &Self) -> Self {
        Self { absent: self.absent && other.absent, values: self.values.and(&other.values) }
    }

    fn or(&self, other: &Self) -> Self {
        let neither = self.values.complement().and(&other.values.complement());
        Self { absent: self.absent || other.absent, values: neither.complement() }
    }

    /// The conditions for this slot; `some` is any value, to express "present".
    fn expression(&self, some: Option<&Value>) -> Expression {
        match (self.absent, &self.values) {
            (true, Values::AllBut(excluded)) if excluded.is_empty() => Expression::Free,
            (true, _) => Expression::AbsentOr,
            (false, Values::Only(values)) => Expression::Conditions(vec![one_of(values)]),
            (false, Values::AllBut(excluded)) => match (excluded.as_slice(), some) {
                ([value], _) => Expression::Conditions(vec![Condition::NotEquals { value: (*value).clone() }]),
                ([], Some(some)) => Expression::Conditions(vec![
                    Condition::Equals { value: some.clone() },
                    Condition::NotEquals { value: some.clone() },
                ]),
                _ => Expression::Excludes,
            },
        }
    }

    fn minus(&self, other: &Self) -> Self {
        Self { absent: self.absent && !other.absent, values: self.values.and(&other.values.complement()) }
    }
}

impl<'a> Values<'a> {
    fn complement(&self) -> Self {
        match self {
            Self::Only(values) => Self::AllBut(values.clone()),
            Self::AllBut(values) => Self::Only(values.clone()),
        }
    }

    fn and(&self, other: &Self) -> Self {
        let keep = |values: &[&'a Value], inside: bool, filter: &[&'a Value]| {
            Self::Only(values.iter().filter(|value| filter.contains(value) == inside).copied().collect())
        };
        match (self, other) {
            (Self::Only(left), Self::Only(right)) => keep(left, true, right),
            (Self::Only(left), Self::AllBut(right)) => keep(left, false, right),
            (Self::AllBut(left), Self::Only(right)) => keep(right, false, left),
            (Self::AllBut(left), Self::AllBut(right)) => {
                let added = right.iter().filter(|value| !left.contains(value));
                Self::AllBut(left.iter().chain(added).copied().collect())
            }
        }
    }

    /// A value of the set; for `AllBut` a text that is not excluded.
    fn sample(&self) -> Option<Value> {
        match self {
            Self::Only(values) => values.first().map(|value| (*value).clone()),
            Self::AllBut(values) => {
                let mut text = "other".to_owned();
                while values.iter().any(|value| matches!(value, Value::String(taken) if *taken == text)) {
                    text.push('_');
                }
                Some(Value::String(text))
            }
        }
    }
}

/// The condition that accepts these values.
fn one_of(values: &[&Value]) -> Condition {
    let mut unique: Vec<Value> = Vec::new();
    for value in values {
        if !unique.contains(value) {
            unique.push((*value).clone());
        }
    }
    match <[Value; 1]>::try_from(unique) {
        Ok([value]) => Condition::Equals { value },
        Err(values) => Condition::In { values },
    }
}

impl<'a> Region<'a> {
    /// The region in which the grant's conditions hold, with resolved values.
    pub(super) fn from_grant(grant: &'a PermissionGrant, resolve: impl Fn(&'a Value) -> &'a Value) -> Self {
        let slots =
            grant.conditions.iter().map(|(name, condition)| (name.as_str(), Slot::from_condition(condition, &resolve)));
        Self { slots: slots.collect() }
    }

    /// The same region, with `attribute` also in `slot`.
    fn with(mut self, attribute: &'a str, slot: &Slot<'a>) -> Self {
        let slot = self.slots.get(attribute).map_or_else(|| slot.clone(), |present| present.and(slot));
        self.slots.insert(attribute, slot);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.values().any(Slot::is_empty)
    }

    /// The requests in both regions; may be empty.
    pub(super) fn and(&self, other: &Self) -> Self {
        other.slots.iter().fold(self.clone(), |region, (attribute, slot)| region.with(attribute, slot))
    }

    /// The requests of this region that are not in `other`, as disjoint regions.
    pub(super) fn minus(&self, other: &Self) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut inside = self.clone();
        for (attribute, slot) in &other.slots {
            let present = inside.slot(attribute);
            let outside = present.minus(slot);
            if !outside.is_empty() {
                pieces.push(inside.replacing(attribute, outside));
            }
            let common = present.and(slot);
            if common.is_empty() {
                return pieces;
            }
            inside.slots.insert(attribute, common);
        }
        pieces
    }

    /// Whether all requests of this region are in `other`.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.minus(other).is_empty()
    }

    /// The largest regions within this one that do not intersect `hole`; they may overlap.
    pub(super) fn around(&self, hole: &Self) -> Vec<Self> {
        if self.and(hole).is_empty() {
            return vec![self.clone()];
        }
        let cut = |(attribute, slot): (&&'a str, &Slot<'a>)| {
            let outside = self.slot(attribute).minus(slot);
            (!outside.is_empty()).then(|| self.replacing(attribute, outside))
        };
        hole.slots.iter().filter_map(cut).collect()
    }

    /// The regions within the union of both that extend from one into the other, each along one attribute.
    pub(super) fn bridges(&self, other: &Self) -> Vec<Self> {
        let common = self.and(other);
        let attributes: BTreeSet<&str> = self.slots.keys().chain(other.slots.keys()).copied().collect();
        let bridge = |attribute| common.replacing(attribute, self.slot(attribute).or(&other.slot(attribute)));
        attributes.into_iter().map(bridge).filter(|region| !region.is_empty()).collect()
    }

    /// The sets of conditions that together express this region, with the conditions of `original` where possible; or
    /// the attribute that no condition can express.
    pub(super) fn conditions(
        &self,
        original: &'a Conditions,
        some: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<Vec<Conditions>, (&'a str, Expression)> {
        let mut sets = vec![Conditions::new()];
        for (attribute, slot) in &self.slots {
            let kept =
                original.get(*attribute).filter(|condition| Slot::from_condition(condition, |value| value) == *slot);
            let choices = match kept.map_or_else(|| slot.expression(some(attribute)), Expression::as_written) {
                Expression::Free => continue,
                Expression::Conditions(choices) => choices,
                inexpressible => return Err((attribute, inexpressible)),
            };
            let with = |set: &Conditions, choice: &Condition| {
                let mut set = set.clone();
                set.insert((*attribute).to_owned(), choice.clone());
                set
            };
            sets = sets.iter().flat_map(|set| choices.iter().map(move |choice| with(set, choice))).collect();
        }
        Ok(sets)
    }

    /// How many steps an operation on it takes.
    pub(super) fn size(&self) -> usize {
        1 + self.slots.len()
    }

    fn slot(&self, attribute: &str) -> Slot<'a> {
        self.slots.get(attribute).cloned().unwrap_or_else(Slot::anything)
    }

    fn replacing(&self, attribute: &'a str, slot: Slot<'a>) -> Self {
        let mut region = self.clone();
        region.slots.insert(attribute, slot);
        region
    }

    /// The attributes of one request in the region, unless it is empty.
    pub(super) fn sample(&self) -> Option<Attributes> {
        let mut attributes = Attributes::new();
        for (attribute, slot) in &self.slots {
            if !slot.absent {
                attributes.insert((*attribute).to_owned(), slot.values.sample()?);
            }
        }
        Some(attributes)
    }
}

/// The regions without all holes, as disjoint regions; `None` if the steps run out.
pub(super) fn subtract<'a>(
    regions: Vec<Region<'a>>,
    holes: &[Region<'a>],
    steps: &mut Steps,
) -> Option<Vec<Region<'a>>> {
    let mut left = regions;
    for hole in holes {
        steps.take(left.iter().map(Region::size).sum())?;
        left = left.iter().flat_map(|region| region.minus(hole)).collect();
    }
    Some(left)
}

/// A region without all holes, as its largest regions, which may overlap; `None` if the steps run out.
pub(super) fn subtract_overlapping<'a>(
    region: Region<'a>,
    holes: &[Region<'a>],
    steps: &mut Steps,
) -> Option<Vec<Region<'a>>> {
    let mut left = vec![region];
    for hole in holes {
        let mut pieces: Vec<Region<'a>> = Vec::new();
        for piece in left.iter().flat_map(|region| region.around(hole)) {
            steps.take((1 + pieces.len()) * piece.size())?;
            if !pieces.iter().any(|other| piece.is_within(other)) {
                pieces.retain(|other| !other.is_within(&piece));
                pieces.push(piece);
            }
        }
        left = pieces;
    }
    Some(left)
}
