//! Verdicts as text.

use std::fmt::Write as _;

use amigo_permissions::{Action, Attributes, Value};

use super::{ConditionResult, GrantResult, Verdict};
use crate::{
    console::{BAD, GOOD},
    manifests::Reason,
    table::{one_line, printable},
};

impl Verdict {
    /// Each grant with its conditions, one per line. `hint` says how to set a missing attribute.
    pub fn render(&self, hint: &dyn Fn(&str) -> String) -> String {
        let mut text = String::new();
        if self.grants.is_empty() {
            text.push_str("  no grant for this permission\n");
        }
        for grant in self.grants.iter().filter(|grant| grant.decides) {
            let _ = writeln!(text, "  {} by {}", self.verb(), grant.title());
            grant.render_conditions(&mut text, hint);
        }
        for grant in self.grants.iter().filter(|grant| !grant.decides) {
            let _ = writeln!(text, "  {} {}", grant.title(), grant.effect(self.reason));
            if !grant.applies {
                grant.render_conditions(&mut text, hint);
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

impl GrantResult {
    fn title(&self) -> String {
        let mut title = self.origin.path.clone();
        if !self.origin.name.is_empty() {
            let _ = write!(title, " of {} {}", self.origin.kind, self.origin.name);
        }
        if let Some(location) = &self.origin.location {
            let _ = write!(title, " ({location})");
        }
        if let Some(description) = &self.origin.description {
            let _ = write!(title, ": {description}");
        }
        // Text of other users must not start a line or control the terminal.
        one_line(&title)
    }

    fn effect(&self, reason: Reason) -> &'static str {
        match (self.action, self.applies, reason) {
            (Action::Allow, true, Reason::DenyGrant) => "allows it, but Deny takes precedence",
            (Action::Allow, true, _) => "also allows it",
            (Action::Allow, false, _) => "does not apply",
            (Action::Deny, true, Reason::DenyGrant) => "also denies it",
            (Action::Deny, true, _) => "is a Deny, which does not limit temporary grants at this organization",
            (Action::Deny, false, _) => "is a Deny that does not apply",
        }
    }

    fn render_conditions(&self, text: &mut String, hint: &dyn Fn(&str) -> String) {
        if self.conditions.is_empty() {
            text.push_str("    no conditions\n");
        }
        for condition in &self.conditions {
            let (style, mark) = if condition.met { (GOOD, "✓") } else { (BAD, "✗") };
            let hint = if condition.value.is_none() { hint(&condition.attribute) } else { String::new() };
            let _ = writeln!(text, "    {style}{mark}{style:#} {}{hint}", condition.render());
        }
    }
}

impl ConditionResult {
    fn render(&self) -> String {
        let variables = self.variables.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
        let variables = if variables.is_empty() { variables } else { format!(" ({variables})") };
        let value = self.value.as_ref().map_or_else(|| "not set".to_owned(), |value| format!("got {value}"));
        format!("{} {}{variables}: {value}", printable(&self.attribute), self.condition)
    }
}

/// Attributes as `name=value`, strings in quotes.
pub fn format_attributes(attributes: &Attributes) -> String {
    let one = |(name, value): (&String, &Value)| format!("{name}={value}");
    attributes.iter().map(one).collect::<Vec<_>>().join(", ")
}
