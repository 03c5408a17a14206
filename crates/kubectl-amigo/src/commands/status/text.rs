//! The status report as text.

use std::fmt::Write as _;

use amigo_api::conditions::whole_second;
use jiff::Timestamp;

use super::report::{ConditionReport, EventReport, StatusReport};
use crate::{
    console::{BAD, GOOD, TITLE, WARNING},
    table::{columns, countdown, one_line},
};

/// Width of the labels of facts.
const LABEL: usize = 15;

pub fn render(report: &StatusReport, now: Timestamp) -> String {
    let mut text = String::new();
    for fact in &report.facts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{TITLE}{:<LABEL$}{TITLE:#}{}", fact.about, one_line(&fact.text));
    }
    if !report.permissions.is_empty() {
        section(&mut text, "Permissions", &permissions(report));
    }
    let conditions: String = report.conditions.iter().map(|condition| self::condition(condition, now)).collect();
    section(&mut text, "Conditions", &or_none(conditions));
    section(&mut text, "Remedies", &or_none(items(&report.remedies)));
    if let Some(deletion) = &report.if_deleted {
        section(&mut text, "If you delete it now", &format!("{}\n", deletion.text));
    }
    section(&mut text, "Events", &or_none(events(report, now)));
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

fn permissions(report: &StatusReport) -> String {
    let conditional = report.permissions.iter().any(|permission| !permission.conditions.is_empty());
    let expires = |end: Option<Timestamp>| end.map(|end| whole_second(end).to_string()).unwrap_or_default();
    let cells = report.permissions.iter().map(|one| {
        [
            one.name.clone(),
            one.state.to_owned(),
            one.grant_id.clone().unwrap_or_default(),
            expires(one.expires),
            one.conditions.clone(),
        ]
    });
    let rows: Vec<_> = cells.collect();
    if conditional {
        return columns(["PERMISSION", "STATE", "GRANT ID", "EXPIRES", "CONDITIONS"], &rows);
    }
    let rows: Vec<_> =
        rows.into_iter().map(|[permission, state, id, until, _]| [permission, state, id, until]).collect();
    columns(["PERMISSION", "STATE", "GRANT ID", "EXPIRES"], &rows)
}

fn condition(condition: &ConditionReport, now: Timestamp) -> String {
    let ConditionReport { kind, status, reason, meaning, message, since } = condition;
    // Stalled is the only condition whose True is bad.
    let style = match (status.as_str(), kind.as_str()) {
        ("Unknown", _) => WARNING,
        ("True", "Stalled") | ("False", _) => BAD,
        _ => GOOD,
    };
    let meaning = if meaning.is_empty() { String::new() } else { format!("\n  ({meaning})") };
    let message = one_line(message);
    format!("{kind} is {style}{status}{style:#} for {}, {reason}: {message}{meaning}\n", countdown(now, *since))
}

fn events(report: &StatusReport, now: Timestamp) -> String {
    let line = |event: &EventReport| {
        let style = if event.kind == "Warning" { WARNING } else { GOOD };
        format!("{} ago  {style}{}{style:#}  {}\n", countdown(now, event.at), event.reason, one_line(&event.message))
    };
    report.events.iter().map(line).collect()
}
