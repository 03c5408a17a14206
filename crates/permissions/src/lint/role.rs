//! Findings about the role, and about its grants in combination.

use std::collections::BTreeSet;

use super::{Code, Draft, FieldPath, Finding, Member};
use crate::{
    Action, DescribedGrant, PermissionGrant,
    compare::has_no_excess,
    indexed::{IndexedGrant, PermissionGrants, without_indexes},
    region::Steps,
};

/// The maximum number of steps for the comparisons of one role; the rest is not linted.
const MAX_STEPS: usize = 50_000;

/// A permission, another one that it requires to be useful, and why.
const COMPANIONS: [(&str, &str, &str); 3] = [
    ("Conversation:GetMessage", "Conversation:GetConversation", "it is required to find conversations"),
    (
        "Conversation:GetInteractionInsights",
        "Organization:GetServiceHierarchicalStateMachine",
        "Amigo requires both to show insights",
    ),
    ("Conversation:GetInteractionInsights", "Conversation:GetMessage", "it is required to show reflections"),
];

/// Findings about the name and the description.
pub(super) fn findings(draft: &Draft<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |code, path, message: String, advice: &str| {
        findings.push(Finding { code, path, message, advice: advice.to_owned() });
    };
    let name = draft.name;
    if name.starts_with("Default") {
        let message = format!("{name} is a reserved name of Amigo's own roles");
        add(Code::ReservedName, FieldPath::RoleName, message, "choose a name that does not start with Default");
    }
    if name.trim() != name || name.is_empty() || name.contains('/') || name.chars().count() > 256 {
        let message = format!("{name:?} cannot be part of a URL path");
        let advice = "use 1 to 256 characters, without slashes and without leading or trailing spaces";
        add(Code::UnusableName, FieldPath::RoleName, message, advice);
    }
    if draft.description.trim().is_empty() {
        let message = "the role has no description".to_owned();
        add(Code::NoDescription, FieldPath::RoleDescription, message, "add a description");
    }
    findings
}

/// Findings about grants in combination, in no particular order.
pub(super) fn relations(lines: &[DescribedGrant]) -> Vec<Finding> {
    let grants: Vec<&PermissionGrant> = lines.iter().map(|line| &line.grant).collect();
    let names: BTreeSet<&str> = grants.iter().map(|grant| grant.permission_name.as_str()).collect();
    let mut findings = Vec::new();
    let mut steps = Steps::new(MAX_STEPS);
    for name in names {
        // Without steps left, the rest is not linted.
        let _ = combinations(&PermissionGrants::with_name(grants.iter().copied(), name), &mut steps, &mut findings);
    }
    companions(&grants, &mut findings);
    findings
}

/// Findings about the grants of one permission; `None` if the steps run out.
fn combinations(lines: &PermissionGrants<'_>, steps: &mut Steps, findings: &mut Vec<Finding>) -> Option<()> {
    let denies = without_indexes(&lines.denies);
    let mut live = Vec::new();
    for (index, allow) in &lines.allows {
        if has_no_excess(&[*allow], &[], steps)? {
            continue;
        }
        if has_no_excess(&[&[*allow], &denies[..]].concat(), &[], steps)? {
            findings.push(denied(*index, allow));
        } else {
            live.push((*index, *allow));
        }
    }
    let allows = without_indexes(&lines.allows);
    let mut effective = Vec::new();
    for (index, deny) in &lines.denies {
        if has_no_excess(&allows, &[&allows[..], &[*deny]].concat(), steps)? {
            findings.push(idle(*index, deny));
            continue;
        }
        effective.push((*index, *deny));
        if !deny.conditions.is_empty() {
            findings.push(prefer_allow(*index, deny));
        }
    }
    findings.extend(redundant(&live, steps)?);
    findings.extend(redundant(&effective, steps)?);
    Some(())
}

/// The grants, all with one action, that can be removed without a change of the role's privileges.
fn redundant(grants: &[IndexedGrant<'_>], steps: &mut Steps) -> Option<Vec<Finding>> {
    let allowing: Vec<_> =
        grants.iter().map(|(_, grant)| PermissionGrant { action: Action::Allow, ..(*grant).clone() }).collect();
    let mut left: Vec<_> = grants.iter().zip(&allowing).map(|((index, _), grant)| (*index, grant)).collect();
    let mut findings = Vec::new();
    for path in (0..left.len()).rev() {
        let (index, grant) = left.remove(path);
        if !has_no_excess(&[grant], &without_indexes(&left), steps)? {
            left.insert(path, (index, grant));
            continue;
        }
        let mut one = None;
        for (other, covering) in &left {
            if has_no_excess(&[grant], &[covering], steps)? {
                one = Some(*other);
                break;
            }
        }
        let (by, verb) = match one {
            Some(other) => (format!("permissionGrants[{other}]"), "covers"),
            None => ("the other grants together".to_owned(), "cover"),
        };
        findings.push(Finding {
            code: Code::RedundantGrant,
            path: FieldPath::Grant { index, member: Member::Whole },
            message: format!("{by} already {verb} this"),
            advice: "remove the grant".to_owned(),
        });
    }
    Some(findings)
}

fn denied(index: usize, allow: &PermissionGrant) -> Finding {
    Finding {
        code: Code::DeniedAllow,
        path: FieldPath::Grant { index, member: Member::Whole },
        message: format!(
            "the Deny grants of the role deny everything that this grant allows of {}",
            allow.permission_name
        ),
        advice: "remove the grant, or narrow the Deny".to_owned(),
    }
}

fn idle(index: usize, deny: &PermissionGrant) -> Finding {
    Finding {
        code: Code::IdleDeny,
        path: FieldPath::Grant { index, member: Member::Whole },
        message: format!(
            "no Allow of the role allows what this grant denies of {}; it can only affect temporary grants",
            deny.permission_name
        ),
        advice: "remove the Deny unless this is intended".to_owned(),
    }
}

fn prefer_allow(index: usize, deny: &PermissionGrant) -> Finding {
    Finding {
        code: Code::PreferAllow,
        path: FieldPath::Grant { index, member: Member::Action },
        message: format!("this grant denies a part of {} that an Allow allows", deny.permission_name),
        advice: "narrow the Allow instead".to_owned(),
    }
}

fn companions(grants: &[&PermissionGrant], findings: &mut Vec<Finding>) {
    let is_denied = |finding: &&Finding| finding.code == Code::DeniedAllow;
    let denied: Vec<_> = findings.iter().filter(is_denied).filter_map(|finding| finding.path.grant()).collect();
    let allow = |name: &str| {
        let is_it = |(index, grant): &(usize, &&PermissionGrant)| {
            grant.permission_name == name && grant.action == Action::Allow && !denied.contains(index)
        };
        grants.iter().enumerate().find(is_it).map(|(index, _)| index)
    };
    for (name, companion, why) in COMPANIONS {
        let Some(index) = allow(name).filter(|_| allow(companion).is_none()) else { continue };
        findings.push(Finding {
            code: Code::MissingCompanion,
            path: FieldPath::Grant { index, member: Member::PermissionName },
            message: format!("{name} is allowed without {companion}; {why}"),
            advice: format!("also allow {companion}"),
        });
    }
}
