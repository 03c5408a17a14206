//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), for code scanning.

use amigo_permissions::lint::{Code, Severity};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::finding::{INVALID_MANIFEST, LocatedFinding};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The unescaped characters in the path of a URI reference.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A run with every rule, so that code scanning closes alerts of fixed findings.
pub fn log(findings: &[LocatedFinding]) -> Value {
    let rules = rules();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &rules)).collect();
    let rules: Vec<Value> = rules
        .iter()
        .map(|(id, severity)| json!({ "id": id, "name": id, "defaultConfiguration": { "level": severity.as_str() } }))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "kubectl amigo role lint",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rules() -> Vec<(&'static str, Severity)> {
    let codes = Code::ALL.iter().map(|code| (code.as_str(), code.severity()));
    codes.chain([(INVALID_MANIFEST, Severity::Error)]).collect()
}

fn result(finding: &LocatedFinding, rules: &[(&str, Severity)]) -> Value {
    let mut result_location = json!({});
    if let Some(location) = &finding.location {
        result_location["physicalLocation"] = json!({
            "artifactLocation": { "uri": utf8_percent_encode(location.file.trim_start_matches("./"), PATH).to_string() },
            "region": { "startLine": location.line },
        });
    }
    if !finding.role.is_empty() {
        let name = format!("roles/{}/{}", finding.role, finding.field);
        result_location["logicalLocations"] = json!([{ "fullyQualifiedName": name, "kind": "member" }]);
    }
    json!({
        "ruleId": finding.code,
        "ruleIndex": rules.iter().position(|(id, _)| *id == finding.code),
        "level": finding.severity.as_str(),
        "message": { "text": format!("{}: {}", finding.message, finding.advice) },
        "locations": [result_location],
    })
}
