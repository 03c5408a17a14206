//! Remarks as commands of a GitHub workflow ("Workflow commands", setting an error, warning or notice message).

use amigo_permissions::lint::Severity;

use super::remark::Remark;

/// One line.
pub fn command(remark: &Remark) -> String {
    let name = match remark.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let at = remark.line.as_ref().map(|line| format!("file={},line={},", property(&line.file), line.line));
    let text = match (remark.role.as_str(), remark.place.as_str()) {
        ("", _) => format!("{}: {}", remark.message, remark.advice),
        (role, place) => format!("role {role}, {place}: {}: {}", remark.message, remark.advice),
    };
    format!("::{name} {}title={}::{}\n", at.unwrap_or_default(), remark.code, data(&text))
}

/// The runner reads a command as one line and undoes these.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
