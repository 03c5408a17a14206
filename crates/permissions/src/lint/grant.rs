//! Findings about a single grant.

use std::collections::BTreeSet;

use super::{Code, FieldPath, Finding, Member, spelling::nearest};
use crate::{
    Action, Condition, DescribedGrant, PermissionGrant, VARIABLES, Value,
    attributes::{self, Attribute, ValueType},
    names,
};

/// User preferences whose names look like attributes, with the corresponding attribute, if any.
const PREFERENCES: [(&str, Option<&str>); 2] = [
    ("conversations_visible_to_admins", Some("conversation_visible_to_admin")),
    ("user_model_visible_to_admins", None),
];

/// Findings about one grant.
pub(super) fn findings(index: usize, line: &DescribedGrant) -> Vec<Finding> {
    let DescribedGrant { grant, description } = line;
    let mut findings = GrantFindings { index, findings: Vec::new() };
    permission(grant, &mut findings);
    scope(grant, &mut findings);
    for (attribute, condition) in &grant.conditions {
        let known = self::attribute(grant, attribute, &mut findings);
        values(attribute, condition, known, &mut findings);
    }
    if description.as_ref().is_none_or(|text| text.trim().is_empty()) {
        let message = format!("the grant of {} has no description", grant.permission_name);
        findings.add(Code::NoDescription, Member::Description, message, "add a description".to_owned());
    }
    findings.findings
}

/// The findings of one grant.
struct GrantFindings {
    index: usize,
    findings: Vec<Finding>,
}

impl GrantFindings {
    fn add(&mut self, code: Code, member: Member, message: String, advice: String) {
        self.findings.push(Finding { code, path: FieldPath::Grant { index: self.index, member }, message, advice });
    }
}

fn permission(grant: &PermissionGrant, findings: &mut GrantFindings) {
    let name = grant.permission_name.as_str();
    if names::is_known(name) {
        return;
    }
    let colon = name.replacen('.', ":", 1);
    let meant = nearest(&colon, names::KNOWN);
    let is_part = |part: &str| !part.is_empty() && part.chars().all(char::is_alphanumeric);
    if name.split_once(':').is_some_and(|(category, action)| is_part(category) && is_part(action)) {
        let advice = meant.map_or_else(|| "check the spelling".to_owned(), |meant| format!("did you mean {meant}?"));
        let message = format!("{name} is not a known permission");
        return findings.add(Code::UnknownPermission, Member::PermissionName, message, advice);
    }
    let advice = match meant {
        Some(meant) => format!("write {meant}"),
        None if colon != name && colon.contains(':') => format!("write {colon}"),
        None if colon.contains(':') => "use letters and digits around one colon".to_owned(),
        None => "use the form of Conversation:GetMessage".to_owned(),
    };
    let message = format!("{name} does not have the form Category:Action");
    findings.add(Code::MalformedPermission, Member::PermissionName, message, advice);
}

fn scope(grant: &PermissionGrant, findings: &mut GrantFindings) {
    let name = &grant.permission_name;
    let scoped = || format!("add {} Equals \"{{self_org_id}}\"", attributes::ORGANIZATION);
    match (grant.action, grant.conditions.is_empty()) {
        (Action::Deny, true) => findings.add(
            Code::BroadDeny,
            Member::Action,
            format!("{name} is denied without conditions"),
            "prefer Allow grants that are narrow enough without a Deny".to_owned(),
        ),
        (Action::Allow, true) => {
            findings.add(
                Code::NoConditions,
                Member::Conditions,
                format!("{name} is allowed without conditions"),
                scoped(),
            );
        }
        (Action::Allow, false) if !is_scoped(grant) => {
            let message = format!("{name} is not limited to one organization");
            findings.add(Code::MissingOrganizationScope, Member::Conditions, message, scoped());
        }
        _ => {}
    }
}

fn is_scoped(grant: &PermissionGrant) -> bool {
    match grant.conditions.get(attributes::ORGANIZATION) {
        Some(Condition::Equals { .. }) => true,
        // An empty list matches no organization, and has a finding of its own.
        Some(Condition::In { values }) => values.len() <= 1,
        Some(Condition::NotEquals { .. }) | None => false,
    }
}

fn attribute(grant: &PermissionGrant, name: &str, findings: &mut GrantFindings) -> Option<&'static Attribute> {
    let member = Member::Condition(name.to_owned());
    if let Some((_, meant)) = PREFERENCES.iter().find(|(preference, _)| *preference == name) {
        let advice = meant.map_or_else(|| "remove the condition".to_owned(), |meant| format!("write {meant}"));
        let message = format!("{name} is a user preference, not an attribute");
        findings.add(Code::PreferenceAsAttribute, member, message, advice);
        return None;
    }
    let Some(known) = attributes::find(name) else {
        let known = || attributes::KNOWN.iter().map(|attribute| attribute.name);
        let advice = nearest(name, known()).map_or_else(
            || format!("the known attributes are {}", known().collect::<Vec<_>>().join(", ")),
            |meant| format!("did you mean {meant}?"),
        );
        let message = format!("{name} is not a known attribute, and a condition on a missing attribute never holds");
        findings.add(Code::UnknownAttribute, member, message, advice);
        return None;
    };
    let permission = &grant.permission_name;
    let is_elsewhere = |category| names::is_known(permission) && permission.split(':').next() != Some(category);
    if let Some(category) = known.category.filter(|category| is_elsewhere(*category)) {
        let message = format!("only {category} permissions have {name}, so the grant of {permission} may never apply");
        findings.add(Code::MisplacedAttribute, member, message, "remove the condition".to_owned());
    }
    Some(known)
}

fn values(name: &str, condition: &Condition, known: Option<&Attribute>, findings: &mut GrantFindings) {
    let member = || Member::Condition(name.to_owned());
    if let Condition::In { values } = condition {
        let unique: BTreeSet<_> = values.iter().map(ToString::to_string).collect();
        match (values.as_slice(), unique.len()) {
            ([], _) => {
                let message = format!("{name} In [] never holds");
                findings.add(Code::EmptyIn, member(), message, "add values, or remove the grant".to_owned());
            }
            ([value], _) => {
                let message = format!("{name} In has only one value");
                findings.add(Code::SingleIn, member(), message, format!("write Equals {value}"));
            }
            (values, unique) if unique < values.len() => {
                let message = format!("{name} In has a duplicate value");
                findings.add(Code::RepeatedValue, member(), message, "remove the duplicate".to_owned());
            }
            _ => {}
        }
    }
    for value in condition.values() {
        if let Some((code, message, advice)) = self::value(name, value, known) {
            findings.add(code, member(), message, advice);
        }
    }
}

/// The problem of one value: code, message, advice.
fn value(name: &str, value: &Value, known: Option<&Attribute>) -> Option<(Code, String, String)> {
    let right = known.and_then(|attribute| attribute.variable);
    let expected = known.map(|attribute| attribute.value_type);
    let Value::String(text) = value else {
        let fits = expected.is_none_or(|expected| expected == ValueType::Boolean && matches!(value, Value::Boolean(_)));
        return (!fits).then(|| wrong_type(name, value, expected));
    };
    if VARIABLES.contains(&text.as_str()) {
        if expected == Some(ValueType::Boolean) {
            return Some(wrong_type(name, value, expected));
        }
        let right = right.filter(|right| right != text)?;
        let message = format!("{name} is compared with {text}, which is another kind of value");
        return Some((Code::MismatchedVariable, message, format!("write {right}")));
    }
    if text.starts_with('{') && text.ends_with('}') {
        let advice = right
            .map_or_else(|| format!("the variables are {}", VARIABLES.join(", ")), |right| format!("write {right}"));
        return Some((Code::UnknownVariable, format!("{text} is not a variable and is compared as text"), advice));
    }
    if let Some(variable) = VARIABLES.iter().find(|variable| text.contains(**variable)) {
        let message = format!("{variable} is replaced only if it is the whole value, not in {value}");
        return Some((Code::VariableInText, message, format!("use {variable} as the whole value, or plain text")));
    }
    (expected == Some(ValueType::Boolean)).then(|| wrong_type(name, value, expected))
}

fn wrong_type(name: &str, value: &Value, expected: Option<ValueType>) -> (Code, String, String) {
    let (is, advice) = match (expected, value) {
        (Some(ValueType::Boolean), Value::String(text)) if text == "true" || text == "false" => {
            ("boolean", format!("write {text} without quotes"))
        }
        (Some(ValueType::Boolean), _) => ("boolean", "write true or false, without quotes".to_owned()),
        (_, value) => ("string", format!("write \"{value}\" in quotes")),
    };
    let message = format!("{name} has the type {is} and never equals {value}, which has another type");
    (Code::WrongValueType, message, advice)
}
