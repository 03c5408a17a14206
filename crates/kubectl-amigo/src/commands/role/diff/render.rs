//! Differences as text.

use std::fmt::Write as _;

use super::{
    change::{AtAmigo, Change, FieldChange, Privileges, RoleIdentity},
    current::CurrentRole,
};
use crate::{
    console::{BAD, GOOD, TITLE, WARNING},
    table::one_line,
};

impl Change {
    pub fn to_text(&self) -> String {
        let mut text = self.identity.title();
        if !self.differs() {
            return text + ": no difference\n";
        }
        text.push_str(if self.is_new { ": new\n" } else { "\n" });
        for FieldChange { name, before, after } in &self.immutable {
            let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "(unset)".to_owned());
            let (before, after) = (show(before), show(after));
            let _ = writeln!(
                text,
                "  {BAD}{name}{BAD:#} cannot change from {before} to {after}: create another Role instead"
            );
        }
        for FieldChange { name, before, after } in &self.fields {
            push_section(&mut text, name, before.iter(), after.iter());
        }
        push_section(&mut text, "permissionGrants", &self.grants.removed, &self.grants.added);
        if let Some(sent) = &self.sent {
            let title = format!("sent to Amigo {}", compiled_away(sent.compiled_away));
            push_section(&mut text, &title, &sent.grants.removed, &sent.grants.added);
        }
        let _ = writeln!(text, "  at Amigo: {}", self.effect());
        if let Some(privileges) = &self.privileges {
            let _ = writeln!(text, "  privileges: {}", privileges.to_text());
        }
        text
    }

    fn effect(&self) -> String {
        let text = match self.at_amigo {
            AtAmigo::Unchanged => "no change",
            AtAmigo::InPlace => "the role changes in place and keeps its id",
            AtAmigo::NewDocument => {
                "a new role document replaces the role; its id changes, and its users and API keys move to it"
            }
            AtAmigo::New => "the operator creates the role, or adopts an existing one as `adoption` permits",
            AtAmigo::NotSent => return not_sent(self.refusal.as_deref().unwrap_or_default()),
            AtAmigo::Unknown => "the operator sets the role to this; its current state is unknown",
        };
        text.to_owned()
    }
}

impl Privileges {
    fn to_text(&self) -> String {
        let Self { newly_allowed, no_longer_allowed, complete } = self;
        let more = newly_allowed.as_ref().map(|request| format!("{WARNING}more{WARNING:#}: newly allows {request}"));
        let less = no_longer_allowed.as_ref().map(|request| format!("less: no longer allows {request}"));
        let found: Vec<_> = more.into_iter().chain(less).collect();
        match (found.is_empty(), complete) {
            (true, true) => "unchanged".to_owned(),
            (true, false) => "unknown: too many combinations to compare".to_owned(),
            (false, true) => found.join("; "),
            (false, false) => found.join("; ") + "; there may be more, with too many combinations to compare",
        }
    }
}

impl CurrentRole {
    pub fn to_text(&self) -> String {
        let state = if self.state.in_sync {
            format!("{GOOD}in sync{GOOD:#}")
        } else {
            format!("{BAD}not in sync{BAD:#}: {}", one_line(&self.state.to_text()))
        };
        let mut text = self.identity.title();
        let _ = writeln!(text, ": {state}");
        let _ = writeln!(text, "  description: {}", one_line(&self.description));
        let _ = writeln!(text, "  frontendView: {}", format!("{:?}", self.frontend_view).to_lowercase());
        if let Some(refusal) = &self.refusal {
            let _ = writeln!(text, "  {}", not_sent(refusal));
        }
        let compiled =
            if self.compiled_away > 0 { format!(" {}", compiled_away(self.compiled_away)) } else { String::new() };
        let _ = writeln!(text, "  permissionGrants{compiled}:{}", if self.grants.is_empty() { " none" } else { "" });
        for grant in &self.grants {
            let _ = writeln!(text, "    {}", one_line(grant));
        }
        text
    }
}

impl RoleIdentity {
    fn title(&self) -> String {
        let Self { name, namespace, organization, role_name } = self;
        format!("{TITLE}role {role_name}{TITLE:#} (Role {namespace}/{name}, Organization {organization})")
    }
}

fn not_sent(refusal: &str) -> String {
    format!("{BAD}the operator does not send the role{BAD:#}: {refusal}")
}

fn compiled_away(count: usize) -> String {
    let grants = if count == 1 { "1 Deny grant" } else { &format!("{count} Deny grants") };
    format!("as Allow grants only ({grants} compiled away)")
}

/// Text of other users must not start a line or control the terminal.
fn push_section<'a>(
    text: &mut String,
    title: &str,
    removed: impl IntoIterator<Item = &'a String>,
    added: impl IntoIterator<Item = &'a String>,
) {
    let removed = removed.into_iter().map(|line| format!("    {BAD}- {}{BAD:#}\n", one_line(line)));
    let added = added.into_iter().map(|line| format!("    {GOOD}+ {}{GOOD:#}\n", one_line(line)));
    let lines: String = removed.chain(added).collect();
    if !lines.is_empty() {
        let _ = write!(text, "  {title}\n{lines}");
    }
}
