//! The status report of a request, from the objects that were read.

use std::fmt::Write as _;

use amigo_api::{
    Kind, Organization, Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus,
    conditions::is_true,
    reasons::{self, condition},
};
use amigo_lifecycle::grant::{Request, final_reason, remaining_access::RemainingAccess};
use amigo_permissions::Conditions;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use super::facts::{Fact, Read, request_facts};
use crate::{output, remaining_access::describe};

/// The status of one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// `resource.group/name`, as in kubectl.
    pub object: String,
    pub facts: Vec<Fact>,
    /// The permissions of a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    pub conditions: Vec<ConditionReport>,
    pub remedies: Vec<String>,
    /// What happens to the access if the request is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_deleted: Option<Deletion>,
    /// Oldest first.
    pub events: Vec<EventReport>,
}

/// One permission of a request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// `Category:Action`.
    #[serde(rename = "permission")]
    pub name: String,
    /// Empty for the permissions of a conversation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conditions: String,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A condition, with the meaning of its reason.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionReport {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub meaning: &'static str,
    pub message: String,
    pub since: Timestamp,
}

/// What happens to the access if the request is deleted.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// nothing, over, until or unknown.
    pub access: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_until: Option<Timestamp>,
    pub text: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventReport {
    /// The last time.
    pub at: Timestamp,
    #[serde(rename = "type")]
    pub kind: String,
    pub reason: String,
    pub message: String,
}

/// Reports on a request.
pub fn request_report(
    object: &TemporaryPermissionGrant,
    organization: &Read<Organization>,
    operator_namespace: &str,
    now: Timestamp,
) -> StatusReport {
    let nothing = TemporaryPermissionGrantStatus::default();
    let status = object.status.as_ref().unwrap_or(&nothing);
    let remaining_access = RemainingAccess::from_object(object, now);
    StatusReport {
        object: output::name(object),
        facts: request_facts(object, status, organization, now),
        permissions: permissions(object, status, now),
        conditions: condition_reports(&status.conditions),
        remedies: request_remedies(status, organization, operator_namespace),
        if_deleted: Some(Deletion {
            access: remaining_access.as_str(),
            access_until: remaining_access.ends_at(),
            text: describe(remaining_access, now),
        }),
        events: Vec::new(),
    }
}

fn permissions(
    object: &TemporaryPermissionGrant,
    status: &TemporaryPermissionGrantStatus,
    now: Timestamp,
) -> Vec<Permission> {
    let requested: Vec<(String, String)> = match &object.spec.permissions {
        Some(permissions) => {
            permissions.iter().map(|one| (one.permission_name.clone(), in_words(&one.conditions))).collect()
        }
        None => (0..Request::Conversation.slots())
            .filter_map(|slot| Some((Request::Conversation.permission_name(slot)?.to_owned(), String::new())))
            .collect(),
    };
    let one = |(slot, (name, conditions)): (u32, (String, String))| {
        let issued = status.grants.iter().find(|grant| grant.slot == slot);
        let open = status.intent.as_ref().is_some_and(|intent| intent.slots.contains(&slot));
        let state = match issued {
            Some(grant) if grant.expires_at > now => "live",
            Some(_) => "expired",
            None if open => "unknown",
            None if final_reason(status).is_some() || status.phase == Some(Phase::Expired) => "not issued",
            None => "pending",
        };
        let (grant_id, expires) = (issued.map(|grant| grant.id.clone()), issued.map(|grant| grant.expires_at));
        Permission { name, conditions, state, grant_id, expires }
    };
    (0..).zip(requested).map(one).collect()
}

fn in_words(conditions: &Conditions) -> String {
    if conditions.is_empty() {
        return "unconditional".to_owned();
    }
    let mut text = String::new();
    for (attribute, condition) in conditions {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{attribute} {condition}");
    }
    text
}

pub fn condition_reports(conditions: &[Condition]) -> Vec<ConditionReport> {
    let one = |condition: &Condition| ConditionReport {
        kind: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        meaning: reasons::meaning(&condition.reason).unwrap_or_default(),
        message: condition.message.clone(),
        since: condition.last_transition_time.0,
    };
    conditions.iter().map(one).collect()
}

fn request_remedies(
    status: &TemporaryPermissionGrantStatus,
    organization: &Read<Organization>,
    operator_namespace: &str,
) -> Vec<String> {
    if status.phase.is_none() {
        return vec![operator_missing("request", operator_namespace)];
    }
    let mut remedies = remedies(Kind::TemporaryPermissionGrant, &status.conditions);
    if let Read::Present(organization) = organization {
        let conditions = organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        if !is_true(conditions, condition::READY) && status.phase != Some(Phase::Expired) {
            let more = self::remedies(Kind::Organization, conditions)
                .into_iter()
                .map(|remedy| format!("Organization: {remedy}"));
            remedies.extend(more);
        }
    }
    remedies
}

/// The remedies of conditions, each once: of those that need action, else of the others.
pub fn remedies(kind: Kind, conditions: &[Condition]) -> Vec<String> {
    let about = |needed: bool| {
        let reasons = conditions.iter().map(|condition| condition.reason.as_str());
        let mut remedies: Vec<String> = Vec::new();
        for reason in reasons.filter(|reason| reasons::needs_action(reason) == needed) {
            let remedy = reasons::remedy(kind, reason).unwrap_or_default();
            let text = format!("{reason}: {remedy}");
            if !remedy.is_empty() && !remedies.contains(&text) {
                remedies.push(text);
            }
        }
        remedies
    };
    let needed = about(true);
    if needed.is_empty() { about(false) } else { needed }
}

/// The remedy for an object without status.
pub fn operator_missing(what: &str, operator_namespace: &str) -> String {
    format!(
        "The operator has not processed this {what}. Check that it runs: `kubectl get pods -n {operator_namespace}`."
    )
}
