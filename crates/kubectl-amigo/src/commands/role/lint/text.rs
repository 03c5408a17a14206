//! Remarks for people.

use amigo_permissions::lint::Severity;
use anstyle::Style;

use super::remark::Remark;
use crate::console::{BAD, WARNING};

/// Two lines: where and what, and what to do.
pub fn remark(remark: &Remark) -> String {
    let style = match remark.severity {
        Severity::Error => BAD,
        Severity::Warning => WARNING,
        Severity::Note => Style::new(),
    };
    let at = remark.line.as_ref().map_or_else(|| format!("role/{}", remark.role), ToString::to_string);
    let place = if remark.place.is_empty() { String::new() } else { format!(" ({})", remark.place) };
    let Remark { severity, code, message, advice, .. } = remark;
    format!("{at}: {style}{severity}:{style:#} {code}: {message}{place}\n    {advice}\n")
}

/// How many roles were looked at, and what came of it.
pub fn summary(roles: usize, remarks: &[Remark]) -> String {
    let of = |severity| remarks.iter().filter(|remark| remark.severity == severity).count();
    let errors = counted(of(Severity::Error), "error");
    if roles == 0 {
        return format!("{errors}; no role was checked, as the files must be valid first");
    }
    let (warnings, notes) = (counted(of(Severity::Warning), "warning"), counted(of(Severity::Note), "note"));
    format!("{errors}, {warnings}, {notes} in {}", counted(roles, "role"))
}

fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
