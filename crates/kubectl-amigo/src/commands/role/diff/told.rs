//! Differences for people.

use std::fmt::Write as _;

use super::{
    change::{AtAmigo, Change, Lines, Member, Privileges},
    live::Live,
};
use crate::{
    console::{BAD, GOOD, TITLE, WARNING},
    table::one_line,
};

impl Change {
    /// What changes, and what comes of it.
    pub fn told(&self) -> String {
        let Self { name, namespace, organization, role_name, .. } = self;
        let mut text = title(role_name, (namespace, name), organization);
        if !self.differs() {
            return text + ": no difference\n";
        }
        text.push_str(if self.is_new { ": is new\n" } else { "\n" });
        for Member { name, before, after } in &self.immutable {
            let (before, after) = (shown(before.as_ref()), shown(after.as_ref()));
            let advice = "cannot change: create another Role instead";
            let _ = writeln!(text, "  {BAD}{name}{BAD:#} {before} to {after} {advice}");
        }
        for Member { name, before, after } in &self.members {
            let lines = Lines { removed: before.iter().cloned().collect(), added: after.iter().cloned().collect() };
            text.push_str(&section(name, &lines));
        }
        text.push_str(&section("permissionGrants", &self.grants));
        if let Some(sent) = &self.sent {
            let title = format!("sent to Amigo, {}", compiled_away(sent.compiled_away));
            text.push_str(&section(&title, &sent.grants));
        }
        let _ = writeln!(text, "  at Amigo: {}", self.outcome());
        if let Some(privileges) = &self.privileges {
            let _ = writeln!(text, "  privileges: {}", privileges.told());
        }
        text
    }

    fn outcome(&self) -> String {
        match self.at_amigo {
            AtAmigo::Unchanged => "nothing changes".to_owned(),
            AtAmigo::InPlace => "the role changes in place and keeps its id".to_owned(),
            AtAmigo::NewDocument => {
                "a new role document takes the old one's place: its id changes, its users and API keys move to it"
                    .to_owned()
            }
            AtAmigo::New => "the role is made; one that exists is taken over as `adoption` says".to_owned(),
            AtAmigo::Refused => {
                let why = self.refusal.as_deref().unwrap_or_default();
                format!("{BAD}nothing is sent{BAD:#}: {why}")
            }
            AtAmigo::Unknown => "the role is set to this; what it is there now is not known".to_owned(),
        }
    }
}

impl Privileges {
    fn told(&self) -> String {
        let Self { newly_allowed, no_longer_allowed, settled } = self;
        let more =
            newly_allowed.as_ref().map(|request| format!("{WARNING}more{WARNING:#}: would newly allow {request}"));
        let less = no_longer_allowed.as_ref().map(|request| format!("less: would no longer allow {request}"));
        let found: Vec<_> = more.into_iter().chain(less).collect();
        match (found.is_empty(), settled) {
            (true, true) => "the same".to_owned(),
            (true, false) => "too many combinations to compare them".to_owned(),
            (false, true) => found.join("; "),
            (false, false) => found.join("; ") + "; the rest is too many combinations to compare",
        }
    }
}

impl Live {
    /// How the role stands, and what it asks for.
    pub fn told(&self) -> String {
        let Self { name, namespace, organization, role_name, standing, .. } = self;
        let state = if standing.in_sync {
            format!("{GOOD}in sync{GOOD:#}")
        } else {
            format!("{BAD}not in sync{BAD:#}: {}", one_line(&standing.told()))
        };
        let mut text = title(role_name, (namespace, name), organization);
        let _ = writeln!(text, ": {state}");
        let _ = writeln!(text, "  description: {}", one_line(&self.description));
        let _ = writeln!(text, "  frontendView: {}", format!("{:?}", self.frontend_view).to_lowercase());
        if let Some(refusal) = &self.refusal {
            let _ = writeln!(text, "  {BAD}nothing is sent{BAD:#}: {refusal}");
        }
        let sent =
            if self.compiled_away > 0 { format!(", {}", compiled_away(self.compiled_away)) } else { String::new() };
        let _ = writeln!(text, "  permissionGrants{sent}:{}", if self.grants.is_empty() { " none" } else { "" });
        for grant in &self.grants {
            let _ = writeln!(text, "    {}", one_line(grant));
        }
        text
    }
}

fn title(role_name: &str, (namespace, name): (&str, &str), organization: &str) -> String {
    format!("{TITLE}role {role_name}{TITLE:#} (Role {namespace}/{name}, Organization {organization})")
}

fn compiled_away(count: usize) -> String {
    let grants = if count == 1 { "1 Deny grant is" } else { &format!("{count} Deny grants are") };
    format!("which knows only Allow ({grants} compiled away)")
}

fn shown(value: Option<&String>) -> &str {
    value.map_or("nothing", String::as_str)
}

/// What somebody else wrote must neither begin a line nor steer the terminal.
fn section(title: &str, lines: &Lines) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("  {title}\n");
    for line in &lines.removed {
        let _ = writeln!(text, "    {BAD}- {}{BAD:#}", one_line(line));
    }
    for line in &lines.added {
        let _ = writeln!(text, "    {GOOD}+ {}{GOOD:#}", one_line(line));
    }
    text
}
