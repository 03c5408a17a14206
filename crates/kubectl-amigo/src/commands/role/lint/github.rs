//! Findings as workflow commands of GitHub Actions.

use amigo_permissions::lint::Severity;

use super::finding::LocatedFinding;

pub fn command(finding: &LocatedFinding) -> String {
    let name = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let location = finding.location.as_ref();
    let location = location.map(|location| format!("file={},line={},", property(&location.file), location.line));
    let text = match (finding.role.as_str(), finding.field.as_str()) {
        ("", _) => format!("{}: {}", finding.message, finding.advice),
        (role, field) => format!("role {role}, {field}: {}: {}", finding.message, finding.advice),
    };
    format!("::{name} {}title={}::{}\n", location.unwrap_or_default(), finding.code, data(&text))
}

/// A command is one line; the runner decodes these escapes.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
