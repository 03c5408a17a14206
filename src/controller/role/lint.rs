//! The condition `LintPassed`: what lint finds in a role.

use amigo_api::{
    Role,
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use amigo_lifecycle::role;
use amigo_permissions::lint::{Finding, Severity};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// How many findings the message names.
const NAMED: usize = 5;

/// Sets the condition.
pub fn set(object: &Role, conditions: &mut Vec<Condition>, stamp: Stamp) {
    let findings = role::lint(&object.remote_name(), &object.spec);
    let (status, reason) = if findings.is_empty() {
        (ConditionStatus::True, reasons::NO_FINDINGS)
    } else {
        (ConditionStatus::False, reasons::FINDINGS)
    };
    let change = Change { type_: condition::LINT_PASSED, status, reason, message: message(findings) };
    conditions::set(conditions, change, stamp);
}

/// The number of findings by severity, then the most severe of them.
fn message(mut findings: Vec<Finding>) -> String {
    if findings.is_empty() {
        return "the role follows the guide's advice".to_owned();
    }
    findings.sort_by_key(Finding::severity);
    let counted = [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter_map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity() == severity).count();
        (count > 0).then(|| format!("{count} {severity}{}", if count == 1 { "" } else { "s" }))
    });
    let counted = counted.collect::<Vec<_>>().join(", ");
    let named = findings.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let rest = match findings.len().saturating_sub(NAMED) {
        0 => String::new(),
        rest => format!("; and {rest} more, listed by kubectl amigo role lint"),
    };
    format!("{counted}: {named}{rest}")
}

#[cfg(test)]
mod tests {
    use amigo_permissions::lint::{Code, FieldPath, Member};

    use super::*;

    fn finding(code: Code, index: usize) -> Finding {
        let path = FieldPath::Grant { index, member: Member::Whole };
        Finding { code, path, message: "this".to_owned(), advice: "do that".to_owned() }
    }

    #[test]
    fn heaviest_findings_come_first_the_rest_is_counted() {
        let mut findings: Vec<_> = (0..6).map(|index| finding(Code::NoDescription, index)).collect();
        findings.push(finding(Code::EmptyIn, 6));
        let message = message(findings);
        assert!(message.starts_with("1 error, 6 notes: permissionGrants[6] EmptyIn: this: do that; "), "{message}");
        assert!(message.ends_with(
            "permissionGrants[3] NoDescription: this: do that; and 2 more, listed by kubectl amigo role lint"
        ));
    }

    #[test]
    fn without_findings_all_is_well() {
        assert_eq!(message(Vec::new()), "the role follows the guide's advice");
    }
}
