//! The story in words.

use std::fmt::Write as _;

use amigo_permissions::{Action, Attributes, Value};

use super::{Check, Line, Reason, Verdict};
use crate::{
    console::{BAD, GOOD},
    table::{one_line, printable},
};

impl Verdict {
    /// Each grant with its conditions, a line each, indented; `advise` says how to give a missing attribute.
    #[must_use]
    pub fn told(&self, advise: &dyn Fn(&str) -> String) -> String {
        let mut text = String::new();
        if self.grants.is_empty() {
            text.push_str("  no grant names the permission\n");
        }
        for line in self.grants.iter().filter(|line| line.decides) {
            let _ = writeln!(text, "  {} by {}", self.verb(), line.title());
            line.checks(&mut text, advise);
        }
        for line in self.grants.iter().filter(|line| !line.decides) {
            let _ = writeln!(text, "  {} {}", line.title(), line.standing(self.reason));
            if !line.applies {
                line.checks(&mut text, advise);
            }
        }
        text
    }

    fn verb(&self) -> &'static str {
        match self.reason {
            Reason::RoleGrant | Reason::TemporaryGrant => "allowed",
            Reason::DenyGrant => "denied",
            Reason::ConditionFailed | Reason::NoGrant => "not allowed",
        }
    }
}

impl Line {
    /// Path, object, place and description.
    fn title(&self) -> String {
        let mut title = self.path.clone();
        if !self.name.is_empty() {
            let _ = write!(title, " of {} {}", self.kind, self.name);
        }
        if let Some(place) = &self.place {
            let _ = write!(title, " ({place})");
        }
        if let Some(description) = &self.description {
            let _ = write!(title, ": {description}");
        }
        // What somebody else wrote must neither begin a line nor steer the terminal.
        one_line(&title)
    }

    fn standing(&self, reason: Reason) -> &'static str {
        match (self.action, self.applies, reason) {
            (Action::Allow, true, Reason::DenyGrant) => "allows it, but Deny always wins",
            (Action::Allow, true, _) => "allows it too",
            (Action::Allow, false, _) => "does not apply",
            (Action::Deny, true, Reason::DenyGrant) => "denies it too",
            (Action::Deny, true, _) => "is a Deny that takes nothing from temporary grants here",
            (Action::Deny, false, _) => "is a Deny that does not apply",
        }
    }

    fn checks(&self, text: &mut String, advise: &dyn Fn(&str) -> String) {
        if self.conditions.is_empty() {
            text.push_str("    without conditions\n");
        }
        for check in &self.conditions {
            let (style, mark) = if check.holds { (GOOD, "✓") } else { (BAD, "✗") };
            let missing = if check.value.is_none() { advise(&check.attribute) } else { String::new() };
            let _ = writeln!(text, "    {style}{mark}{style:#} {}{missing}", check.told());
        }
    }
}

impl Check {
    /// What was wanted, and what it is.
    #[must_use]
    pub fn told(&self) -> String {
        let wanted = format!("{} {}", printable(&self.attribute), self.condition);
        let stands = self.variables.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
        let stands = if stands.is_empty() { String::new() } else { format!(" ({stands})") };
        match &self.value {
            Some(value) => format!("{wanted}{stands}: it is {value}"),
            None => format!("{wanted}{stands}: it is not given"),
        }
    }
}

/// Attributes as `name=value`, texts in quotes.
#[must_use]
pub fn quoted(attributes: &Attributes) -> String {
    let one = |(name, value): (&String, &Value)| format!("{name}={value}");
    attributes.iter().map(one).collect::<Vec<_>>().join(", ")
}
