//! Remarks as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), for code scanning.

use amigo_permissions::lint::{Code, Severity};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::remark::{INVALID_MANIFEST, Remark};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What stays as it is in the path of a URI reference.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One run with every rule, so that what was found once and is gone is known to be gone.
pub fn log(remarks: &[Remark]) -> Value {
    let rules = rules();
    let results: Vec<Value> = remarks.iter().map(|remark| result(remark, &rules)).collect();
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

fn result(remark: &Remark, rules: &[(&str, Severity)]) -> Value {
    let mut location = json!({});
    if let Some(line) = &remark.line {
        location["physicalLocation"] = json!({
            "artifactLocation": { "uri": utf8_percent_encode(line.file.trim_start_matches("./"), PATH).to_string() },
            "region": { "startLine": line.line },
        });
    }
    if !remark.role.is_empty() {
        let name = format!("roles/{}/{}", remark.role, remark.place);
        location["logicalLocations"] = json!([{ "fullyQualifiedName": name, "kind": "member" }]);
    }
    json!({
        "ruleId": remark.code,
        "ruleIndex": rules.iter().position(|(id, _)| *id == remark.code),
        "level": remark.severity.as_str(),
        "message": { "text": format!("{}: {}", remark.message, remark.advice) },
        "locations": [location],
    })
}
