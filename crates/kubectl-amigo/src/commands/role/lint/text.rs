//! Findings as text.

use amigo_permissions::lint::Severity;
use anstyle::Style;

use super::finding::LocatedFinding;
use crate::console::{BAD, WARNING};

/// Two lines: the finding, and the advice.
pub fn finding(finding: &LocatedFinding) -> String {
    let style = match finding.severity {
        Severity::Error => BAD,
        Severity::Warning => WARNING,
        Severity::Note => Style::new(),
    };
    let location = finding.location.as_ref().map_or_else(|| format!("role/{}", finding.role), ToString::to_string);
    let field = if finding.field.is_empty() { String::new() } else { format!(" ({})", finding.field) };
    let LocatedFinding { severity, code, message, advice, .. } = finding;
    format!("{location}: {style}{severity}:{style:#} {code}: {message}{field}\n    {advice}\n")
}

pub fn summary(roles: usize, findings: &[LocatedFinding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let errors = plural(count(Severity::Error), "error");
    if roles == 0 {
        return format!("{errors}; fix the files first, because no role was checked");
    }
    let (warnings, notes) = (plural(count(Severity::Warning), "warning"), plural(count(Severity::Note), "note"));
    format!("{errors}, {warnings}, {notes} in {}", plural(roles, "role"))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
