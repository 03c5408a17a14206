//! A story as text for a person: pure.

use std::fmt::Write as _;

use amigo_api::conditions::whole_second;
use jiff::Timestamp;

use super::story::{Story, Told};
use crate::{
    console::{BAD, GOOD, TITLE, WARNING},
    table::{columns, countdown, one_line},
};

/// Room for the words that facts are about.
const LABEL: usize = 14;

/// The whole page.
pub fn page(story: &Story, now: Timestamp) -> String {
    let mut text = String::new();
    for fact in &story.facts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{TITLE}{:<LABEL$}{TITLE:#}{}", fact.about, one_line(&fact.text));
    }
    if !story.permissions.is_empty() {
        section(&mut text, "Permissions", &permissions(story));
    }
    let conditions: String = story.conditions.iter().map(|condition| in_words(condition, now)).collect();
    section(&mut text, "Conditions", &or_none(conditions));
    section(&mut text, "What to do", &or_none(items(&story.advice)));
    if let Some(deletion) = &story.if_deleted {
        section(&mut text, "If it is deleted now", &format!("{}\n", deletion.text));
    }
    section(&mut text, "Events", &or_none(events(story, now)));
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    let _ = writeln!(text, "\n{TITLE}{title}{TITLE:#}");
    for line in body.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none\n".to_owned() } else { text }
}

fn items(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "- " + line + "\n")
}

fn permissions(story: &Story) -> String {
    let conditional = story.permissions.iter().any(|permission| !permission.conditions.is_empty());
    let until = |until: Option<Timestamp>| until.map(|end| whole_second(end).to_string()).unwrap_or_default();
    let cells = story.permissions.iter().map(|one| {
        [
            one.name.clone(),
            one.state.to_owned(),
            one.grant_id.clone().unwrap_or_default(),
            until(one.until),
            one.conditions.clone(),
        ]
    });
    let rows: Vec<_> = cells.collect();
    if conditional {
        return columns(["PERMISSION", "STATE", "GRANT ID", "UNTIL", "WHERE"], &rows);
    }
    let rows: Vec<_> =
        rows.into_iter().map(|[permission, state, id, until, _]| [permission, state, id, until]).collect();
    columns(["PERMISSION", "STATE", "GRANT ID", "UNTIL"], &rows)
}

fn in_words(condition: &Told, now: Timestamp) -> String {
    let Told { kind, status, reason, meaning, message, since } = condition;
    // Stalled is the one that is bad when it is true.
    let style = match (status.as_str(), kind.as_str()) {
        ("Unknown", _) => WARNING,
        ("True", "Stalled") | ("False", _) => BAD,
        _ => GOOD,
    };
    let meaning = if meaning.is_empty() { String::new() } else { format!("\n  ({meaning})") };
    let message = one_line(message);
    format!("{kind} is {style}{status}{style:#} for {}, {reason}: {message}{meaning}\n", countdown(now, *since))
}

fn events(story: &Story, now: Timestamp) -> String {
    let line = |event: &super::story::Happened| {
        let style = if event.kind == "Warning" { WARNING } else { GOOD };
        format!("{} ago  {style}{}{style:#}  {}\n", countdown(now, event.at), event.reason, one_line(&event.message))
    };
    story.events.iter().map(line).collect()
}
