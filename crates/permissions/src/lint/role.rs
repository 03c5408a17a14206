//! What a role's grants say together.

use std::collections::BTreeSet;

use super::{Code, Draft, Finding, Member, Place};
use crate::{
    Action, DescribedGrant, PermissionGrant,
    compare::is_nothing,
    lines::{Line, Lines, bare},
    region::Steps,
};

/// How many steps the comparisons of one role may take; what is left over is not commented on.
const MOST_STEPS: usize = 50_000;

/// A permission, one that it does little without, and why.
const COMPANIONS: [(&str, &str, &str); 3] = [
    ("Conversation:GetMessage", "Conversation:GetConversation", "conversations are found by it"),
    (
        "Conversation:GetInteractionInsights",
        "Organization:GetServiceHierarchicalStateMachine",
        "Amigo asks for both to show insights",
    ),
    ("Conversation:GetInteractionInsights", "Conversation:GetMessage", "reflections are shown with it only"),
];

/// What is to be said of the name and the description.
pub(super) fn itself(draft: &Draft<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |code, place, message: String, advice: &str| {
        findings.push(Finding { code, place, message, advice: advice.to_owned() });
    };
    let name = draft.name;
    if name.starts_with("Default") {
        let message = format!("{name} is one of Amigo's own roles");
        find(Code::ReservedName, Place::RoleName, message, "choose a name that does not begin with Default");
    }
    if name.trim() != name || name.is_empty() || name.contains('/') || name.chars().count() > 256 {
        let message = format!("{name:?} cannot be a part of the API's paths");
        let advice = "use 1 to 256 characters without a slash and without blanks at the ends";
        find(Code::UnusableName, Place::RoleName, message, advice);
    }
    if draft.description.trim().is_empty() {
        let message = "nothing says what the role is for".to_owned();
        find(Code::NoDescription, Place::RoleDescription, message, "add a description");
    }
    findings
}

/// What is to be said of grants beside one another, in no particular order.
pub(super) fn relations(lines: &[DescribedGrant]) -> Vec<Finding> {
    let grants: Vec<&PermissionGrant> = lines.iter().map(|line| &line.grant).collect();
    let names: BTreeSet<&str> = grants.iter().map(|grant| grant.permission_name.as_str()).collect();
    let mut findings = Vec::new();
    let mut steps = Steps::new(MOST_STEPS);
    for name in names {
        // What the steps did not suffice for is left out.
        let _ = meetings(&Lines::named(grants.iter().copied(), name), &mut steps, &mut findings);
    }
    companions(&grants, &mut findings);
    findings
}

/// What the grants of one permission say beside one another; `None` if the steps run out.
fn meetings(lines: &Lines<'_>, steps: &mut Steps, findings: &mut Vec<Finding>) -> Option<()> {
    let denies = bare(&lines.denies);
    let mut live = Vec::new();
    for (index, allow) in &lines.allows {
        if is_nothing(&[*allow], &[], steps)? {
            continue;
        }
        if is_nothing(&[&[*allow], &denies[..]].concat(), &[], steps)? {
            findings.push(denied(*index, allow));
        } else {
            live.push((*index, *allow));
        }
    }
    let allows = bare(&lines.allows);
    let mut taking = Vec::new();
    for (index, deny) in &lines.denies {
        if is_nothing(&allows, &[&allows[..], &[*deny]].concat(), steps)? {
            findings.push(idle(*index, deny));
            continue;
        }
        taking.push((*index, *deny));
        if !deny.conditions.is_empty() {
            findings.push(prefer_allow(*index, deny));
        }
    }
    findings.extend(redundant(&live, steps)?);
    findings.extend(redundant(&taking, steps)?);
    Some(())
}

/// The grants, all of one action, that can be removed together without a change of meaning.
fn redundant(grants: &[Line<'_>], steps: &mut Steps) -> Option<Vec<Finding>> {
    let allowing: Vec<_> =
        grants.iter().map(|(_, grant)| PermissionGrant { action: Action::Allow, ..(*grant).clone() }).collect();
    let mut left: Vec<_> = grants.iter().zip(&allowing).map(|((index, _), grant)| (*index, grant)).collect();
    let mut findings = Vec::new();
    for place in (0..left.len()).rev() {
        let (index, grant) = left.remove(place);
        if !is_nothing(&[grant], &bare(&left), steps)? {
            left.insert(place, (index, grant));
            continue;
        }
        let mut one = None;
        for (other, covering) in &left {
            if is_nothing(&[grant], &[covering], steps)? {
                one = Some(*other);
                break;
            }
        }
        let by = one.map_or_else(|| "other grants together".to_owned(), |other| format!("permissionGrants[{other}]"));
        findings.push(Finding {
            code: Code::RedundantGrant,
            place: Place::Grant { index, member: Member::Whole },
            message: format!("{by} says all of this"),
            advice: "remove the grant".to_owned(),
        });
    }
    Some(findings)
}

fn denied(index: usize, allow: &PermissionGrant) -> Finding {
    Finding {
        code: Code::DeniedAllow,
        place: Place::Grant { index, member: Member::Whole },
        message: format!("the role's Deny grants take all of {} that this gives", allow.permission_name),
        advice: "remove this grant, or narrow the Deny".to_owned(),
    }
}

fn idle(index: usize, deny: &PermissionGrant) -> Finding {
    Finding {
        code: Code::IdleDeny,
        place: Place::Grant { index, member: Member::Whole },
        message: format!(
            "no Allow of the role gives what this denies of {}; at most it bars temporary grants",
            deny.permission_name
        ),
        advice: "remove the Deny unless that is meant".to_owned(),
    }
}

fn prefer_allow(index: usize, deny: &PermissionGrant) -> Finding {
    Finding {
        code: Code::PreferAllow,
        place: Place::Grant { index, member: Member::Action },
        message: format!("this takes back a part of {} that an Allow gives", deny.permission_name),
        advice: "narrow the Allow instead".to_owned(),
    }
}

fn companions(grants: &[&PermissionGrant], findings: &mut Vec<Finding>) {
    let useless = |finding: &&Finding| finding.code == Code::DeniedAllow;
    let denied: Vec<_> = findings.iter().filter(useless).filter_map(|finding| finding.place.grant()).collect();
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
            place: Place::Grant { index, member: Member::PermissionName },
            message: format!("{name} is allowed without {companion}; {why}"),
            advice: format!("allow {companion}, too"),
        });
    }
}
