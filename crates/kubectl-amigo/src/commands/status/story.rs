//! The story of one request, put together from what was read: pure.

use std::fmt::Write as _;

use amigo_api::{
    ConversationReference, Kind, Organization, Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus,
    conditions::{find, is_true, whole_second},
    duration,
    reasons::{self, condition},
};
use amigo_lifecycle::grant::remaining_access::RemainingAccess;
use amigo_lifecycle::grant::{Request, final_reason};
use amigo_permissions::Conditions;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Condition};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::table::countdown;

/// What was read of an object that the request rests on.
#[derive(Debug)]
pub enum Read<T> {
    /// It is there.
    Here(T),
    /// It is not.
    Missing,
    /// Why it could not be read.
    Unreadable(String),
}

/// The story of one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    /// `resource/name` as kubectl has it.
    pub object: String,
    /// What is known, in the order of telling.
    pub facts: Vec<Fact>,
    /// Each permission of a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// The conditions, with what they mean.
    pub conditions: Vec<Told>,
    /// What to do.
    pub advice: Vec<String>,
    /// What deleting the object would do to access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_deleted: Option<Deletion>,
    /// What happened, oldest first.
    pub events: Vec<Happened>,
}

/// One thing that is known.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub about: &'static str,
    /// What is known.
    pub text: String,
}

/// One permission of a request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// `Category:Action`.
    #[serde(rename = "permission")]
    pub name: String,
    /// Under which conditions, where the request lists them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conditions: String,
    /// How it stands.
    pub state: &'static str,
    /// The record's id at Amigo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// When the record ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A condition, in words.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// One of `amigo_api::reasons`.
    pub reason: String,
    /// What the reason means.
    pub meaning: &'static str,
    /// What the operator says.
    pub message: String,
    /// Since when it is so.
    pub since: Timestamp,
}

/// What deleting a request would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// nothing, over, until or unknown.
    pub access: &'static str,
    /// Until when access would go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_until: Option<Timestamp>,
    /// In words.
    pub text: String,
}

/// One Event.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// When, last.
    pub at: Timestamp,
    /// Normal or Warning.
    #[serde(rename = "type")]
    pub kind: String,
    /// One of `amigo_api::reasons`.
    pub reason: String,
    /// What.
    pub message: String,
}

/// The story of a request.
pub fn of_request(
    object: &TemporaryPermissionGrant,
    organization: &Read<Organization>,
    operator_namespace: &str,
    now: Timestamp,
) -> Story {
    let nothing = TemporaryPermissionGrantStatus::default();
    let status = object.status.as_ref().unwrap_or(&nothing);
    let remaining_access = RemainingAccess::from_object(object, now);
    let mut facts = who_and_why(object, status, now);
    facts.push(Fact { about: "Organization", text: connection(object, organization) });
    facts.push(Fact { about: "Opens", text: opens(object, status) });
    facts.push(Fact { about: "State", text: state(status, now) });
    facts.extend(times(object, status, organization, now));
    Story {
        object: crate::output::name(object),
        facts,
        permissions: permissions(object, status, now),
        conditions: told(&status.conditions),
        advice: what_to_do(status, organization, operator_namespace),
        if_deleted: Some(Deletion {
            access: remaining_access.as_str(),
            access_until: remaining_access.ends_at(),
            text: crate::commands::revoke::told(remaining_access, now),
        }),
        events: Vec::new(),
    }
}

fn who_and_why(
    object: &TemporaryPermissionGrant,
    status: &TemporaryPermissionGrantStatus,
    now: Timestamp,
) -> Vec<Fact> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let asked_by = spec.requested_by.clone().unwrap_or_else(|| "somebody: requestedBy is not set".to_owned());
    let user = match (&spec.user.email, &status.user_id) {
        (Some(email), Some(id)) => format!("{email}, user {id}"),
        (Some(email), None) => format!("{email}, whose user id is not known yet"),
        (None, _) => format!("user {}", spec.user.label()),
    };
    let created = object.creation_timestamp().map(|time| time.0);
    let ago = created.map_or_else(String::new, |at| format!(", {} ago, at {}", countdown(now, at), whole_second(at)));
    vec![
        Fact { about: "Request", text: format!("{} in namespace {namespace}", object.name_any()) },
        Fact { about: "Asked by", text: format!("{asked_by}{ago}") },
        Fact { about: "For", text: user },
        Fact { about: "Why", text: spec.justification.trim().to_owned() },
    ]
}

fn connection(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> String {
    let name = &object.spec.organization_ref.name;
    match organization {
        Read::Missing => format!("{name}, which does not exist"),
        Read::Unreadable(why) => format!("{name}; how it stands is not known: {why}"),
        Read::Here(organization) => {
            let id = &organization.spec.organization;
            let conditions =
                organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let suspended = if organization.spec.suspend { ", suspended" } else { "" };
            match find(conditions, condition::READY) {
                Some(ready) if ready.status == "True" => format!("{name} ({id}), ready{suspended}"),
                Some(ready) => format!("{name} ({id}), not ready{suspended}: {}: {}", ready.reason, ready.message),
                None => format!("{name} ({id}), not looked at yet by the operator{suspended}"),
            }
        }
    }
}

fn opens(object: &TemporaryPermissionGrant, status: &TemporaryPermissionGrantStatus) -> String {
    let Some(conversation) = &object.spec.conversation else {
        let count = object.spec.permissions.as_ref().map_or(0, Vec::len);
        return format!("{count} permissions under their own conditions, listed below");
    };
    let ConversationReference { id: _, url: _, owner_user_id } = conversation;
    let owner = status.conversation_owner_user_id.as_ref().or(owner_user_id.as_ref());
    let asked = conversation.conversation_id();
    let not_only = asked.map_or_else(String::new, |id| format!(", not only {id}"));
    match (owner, asked) {
        (Some(owner), _) => {
            format!("ALL conversations of user {owner}{not_only}: Amigo has no condition on a single conversation")
        }
        (None, Some(id)) => format!(
            "ALL conversations of the owner of {id}, who is not known yet: Amigo has no condition on a single conversation"
        ),
        (None, None) => "ALL conversations of one owner".to_owned(),
    }
}

fn state(status: &TemporaryPermissionGrantStatus, now: Timestamp) -> String {
    let Some(phase) = status.phase else { return "not looked at yet by the operator".to_owned() };
    let ready = find(&status.conditions, condition::READY);
    let message = ready.map_or_else(String::new, |ready| format!(": {}", ready.message));
    let left = status.expires_at.filter(|end| *end > now && phase == Phase::Active);
    let left = left.map_or_else(String::new, |end| format!(" ({} left)", countdown(end, now)));
    format!("{phase:?}{message}{left}")
}

fn times(
    object: &TemporaryPermissionGrant,
    status: &TemporaryPermissionGrantStatus,
    organization: &Read<Organization>,
    now: Timestamp,
) -> Vec<Fact> {
    let spec = &object.spec;
    let at = |time: Timestamp| {
        let whole = whole_second(time);
        if time > now {
            format!("{whole}, {} from now", countdown(time, now))
        } else {
            format!("{whole}, {} ago", countdown(now, time))
        }
    };
    let mut facts = Vec::new();
    let mut add = |about, text: Option<String>| facts.extend(text.map(|text| Fact { about, text }));
    add("Asked for", Some(asked_for(object, organization)));
    if status.grants.is_empty() && final_reason(status).is_none() {
        add(
            "Given up",
            gives_up_at(object, organization).map(|end| format!("{}, unless it is issued before", at(end))),
        );
    }
    add("Activated", status.activated_at.map(at));
    add("Latest end", status.deadline.map(at));
    add("Ends", status.expires_at.map(at));
    add("Not after", spec.not_after.map(at));
    let kept = spec.ttl_after_expiry.as_deref().and_then(|text| duration::parse(text).ok());
    // Leases are renewed until the deadline; once it is over, the last of them counts.
    let renewed = status.revoke_within.is_some() && status.phase != Some(Phase::Expired);
    let last = if renewed { status.deadline } else { status.expires_at };
    let deleted = last.and_then(|end| end.checked_add(kept.unwrap_or(SignedDuration::ZERO)).ok());
    add("Object goes", deleted.map(at));
    facts
}

fn asked_for(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> String {
    let rules = match organization {
        Read::Here(organization) => organization.spec.grants.as_ref(),
        Read::Missing | Read::Unreadable(_) => None,
    };
    let own = object.spec.duration.as_deref();
    let asked = match (own, rules.and_then(|rules| rules.default_duration.as_deref())) {
        (Some(own), _) => own.to_owned(),
        (None, Some(default)) => format!("{default}, the Organization's default"),
        (None, None) => "PT2H, the default".to_owned(),
    };
    let within = object.spec.revoke_within.as_deref();
    // Once it was asked for, what the first attempt committed counts.
    let default = match object.status.as_ref().filter(|status| status.attempts > 0) {
        Some(committed) => committed.revoke_within.as_deref(),
        None => rules.and_then(|rules| rules.revoke_within.as_deref()),
    };
    let leased = match (within, default) {
        (Some(within), _) => format!(", revocable within {within}"),
        (None, Some(default)) => format!(", revocable within {default}, the Organization's default"),
        (None, None) => String::new(),
    };
    let most = rules.and_then(|rules| rules.max_duration.as_deref());
    let cut = most.map_or_else(String::new, |most| format!("; the Organization permits {most} at most"));
    format!("{asked}{leased}{cut}")
}

fn gives_up_at(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> Option<Timestamp> {
    let rule = match organization {
        Read::Here(organization) => {
            organization.spec.grants.as_ref().and_then(|rules| rules.activation_deadline.as_deref())
        }
        Read::Missing | Read::Unreadable(_) => None,
    };
    let text = object.spec.activation_deadline.as_deref().or(rule).unwrap_or("PT1H");
    object.creation_timestamp()?.0.checked_add(duration::parse(text).ok()?).ok()
}

fn permissions(
    object: &TemporaryPermissionGrant,
    status: &TemporaryPermissionGrantStatus,
    now: Timestamp,
) -> Vec<Permission> {
    let asked: Vec<(String, String)> = match &object.spec.permissions {
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
            Some(_) => "ended",
            None if open => "unknown",
            None if final_reason(status).is_some() || status.phase == Some(Phase::Expired) => "not issued",
            None => "waiting",
        };
        let (grant_id, until) = (issued.map(|grant| grant.id.clone()), issued.map(|grant| grant.expires_at));
        Permission { name, conditions, state, grant_id, until }
    };
    (0..).zip(asked).map(one).collect()
}

fn in_words(conditions: &Conditions) -> String {
    if conditions.is_empty() {
        return "everywhere".to_owned();
    }
    let mut text = String::new();
    for (attribute, condition) in conditions {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{attribute} {condition}");
    }
    text
}

/// Conditions with what their reasons mean.
pub fn told(conditions: &[Condition]) -> Vec<Told> {
    let one = |condition: &Condition| Told {
        kind: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        meaning: reasons::meaning(&condition.reason).unwrap_or_default(),
        message: condition.message.clone(),
        since: condition.last_transition_time.0,
    };
    conditions.iter().map(one).collect()
}

fn what_to_do(
    status: &TemporaryPermissionGrantStatus,
    organization: &Read<Organization>,
    operator_namespace: &str,
) -> Vec<String> {
    if status.phase.is_none() {
        return vec![format!(
            "Nobody has looked at this request: see whether the operator runs, `kubectl get pods -n {operator_namespace}`."
        )];
    }
    let mut remedies = remedies(Kind::TemporaryPermissionGrant, &status.conditions);
    if let Read::Here(organization) = organization {
        let conditions = organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        if !is_true(conditions, condition::READY) && status.phase != Some(Phase::Expired) {
            let more = self::remedies(Kind::Organization, conditions);
            let more = more.into_iter().map(|remedy| format!("For the Organization: {remedy}"));
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
            let said = format!("{reason}: {remedy}");
            if !remedy.is_empty() && !remedies.contains(&said) {
                remedies.push(said);
            }
        }
        remedies
    };
    let needed = about(true);
    if needed.is_empty() { about(false) } else { needed }
}

/// Events as a person reads them, oldest first.
pub fn happened(events: Vec<Event>) -> Vec<Happened> {
    let one = |event: Event| {
        let last = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let once = event.event_time.as_ref().map(|time| time.0);
        let written = event.last_timestamp.as_ref().or(event.metadata.creation_timestamp.as_ref()).map(|time| time.0);
        Happened {
            at: last.or(once).or(written).unwrap_or_default(),
            kind: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        }
    };
    let mut happened: Vec<_> = events.into_iter().map(one).collect();
    happened.sort_by_key(|event| event.at);
    happened
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
