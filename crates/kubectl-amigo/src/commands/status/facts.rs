//! The facts of a status report: who requested which access, why, and until when.

use amigo_api::{
    ConversationReference, Organization, Phase, TemporaryPermissionGrant, TemporaryPermissionGrantStatus,
    conditions::{find, whole_second},
    duration,
    reasons::condition,
};
use amigo_lifecycle::grant::final_reason;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::table::countdown;

/// An object that the request depends on, as far as it was read.
#[derive(Debug)]
pub enum Read<T> {
    Present(T),
    Missing,
    /// The error.
    Unreadable(String),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub about: &'static str,
    pub text: String,
}

pub fn request_facts(
    object: &TemporaryPermissionGrant,
    status: &TemporaryPermissionGrantStatus,
    organization: &Read<Organization>,
    now: Timestamp,
) -> Vec<Fact> {
    let mut facts = identity(object, status, now);
    facts.push(Fact { about: "Organization", text: connection(object, organization) });
    facts.push(Fact { about: "Access", text: access(object, status) });
    facts.push(Fact { about: "State", text: state(status, now) });
    facts.extend(times(object, status, organization, now));
    facts
}

fn identity(object: &TemporaryPermissionGrant, status: &TemporaryPermissionGrantStatus, now: Timestamp) -> Vec<Fact> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let requested_by = spec.requested_by.clone().unwrap_or_else(|| "unknown (requestedBy is not set)".to_owned());
    let user = match (&spec.user.email, &status.user_id) {
        (Some(email), Some(id)) => format!("{email}, user {id}"),
        (Some(email), None) => format!("{email}, user ID not known yet"),
        (None, _) => format!("user {}", spec.user.label()),
    };
    let created = object.creation_timestamp().map(|time| time.0);
    let ago = created.map_or_else(String::new, |at| format!(", {} ago, at {}", countdown(now, at), whole_second(at)));
    vec![
        Fact { about: "Request", text: format!("{} in namespace {namespace}", object.name_any()) },
        Fact { about: "Requested by", text: format!("{requested_by}{ago}") },
        Fact { about: "User", text: user },
        Fact { about: "Justification", text: spec.justification.trim().to_owned() },
    ]
}

fn connection(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> String {
    let name = &object.spec.organization_ref.name;
    match organization {
        Read::Missing => format!("{name} does not exist"),
        Read::Unreadable(why) => format!("{name}, status unknown: {why}"),
        Read::Present(organization) => {
            let id = &organization.spec.organization;
            let conditions =
                organization.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let suspended = if organization.spec.suspend { ", suspended" } else { "" };
            match find(conditions, condition::READY) {
                Some(ready) if ready.status == "True" => format!("{name} ({id}), ready{suspended}"),
                Some(ready) => format!("{name} ({id}), not ready{suspended}: {}: {}", ready.reason, ready.message),
                None => format!("{name} ({id}), not processed by the operator yet{suspended}"),
            }
        }
    }
}

fn access(object: &TemporaryPermissionGrant, status: &TemporaryPermissionGrantStatus) -> String {
    let Some(conversation) = &object.spec.conversation else {
        let count = object.spec.permissions.as_ref().map_or(0, Vec::len);
        return format!("{count} permissions, listed below");
    };
    let ConversationReference { id: _, url: _, owner_user_id } = conversation;
    let owner = status.conversation_owner_user_id.as_ref().or(owner_user_id.as_ref());
    let requested = conversation.conversation_id();
    let not_only = requested.map_or_else(String::new, |id| format!(", not only {id}"));
    match (owner, requested) {
        (Some(owner), _) => {
            format!("ALL conversations of user {owner}{not_only}: Amigo cannot limit access to one conversation")
        }
        (None, Some(id)) => format!(
            "ALL conversations of the owner of {id} (owner not known yet): Amigo cannot limit access to one conversation"
        ),
        (None, None) => "ALL conversations of one owner".to_owned(),
    }
}

fn state(status: &TemporaryPermissionGrantStatus, now: Timestamp) -> String {
    let Some(phase) = status.phase else { return "not processed by the operator yet".to_owned() };
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
    add("Duration", Some(requested_duration(object, organization)));
    if status.grants.is_empty() && final_reason(status).is_none() {
        add(
            "Activate by",
            activation_deadline(object, organization).map(|end| format!("{}, else the operator gives up", at(end))),
        );
    }
    add("Activated", status.activated_at.map(at));
    add("Latest end", status.deadline.map(at));
    add("Ends", status.expires_at.map(at));
    add("Not after", spec.not_after.map(at));
    let kept = spec.ttl_after_expiry.as_deref().and_then(|text| duration::parse(text).ok());
    // The operator renews leases until the deadline; afterwards the last lease counts.
    let renewed = status.revoke_within.is_some() && status.phase != Some(Phase::Expired);
    let last = if renewed { status.deadline } else { status.expires_at };
    let deleted = last.and_then(|end| end.checked_add(kept.unwrap_or(SignedDuration::ZERO)).ok());
    add("Deletion", deleted.map(at));
    facts
}

fn requested_duration(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> String {
    let rules = match organization {
        Read::Present(organization) => organization.spec.grants.as_ref(),
        Read::Missing | Read::Unreadable(_) => None,
    };
    let own = object.spec.duration.as_deref();
    let duration = match (own, rules.and_then(|rules| rules.default_duration.as_deref())) {
        (Some(own), _) => own.to_owned(),
        (None, Some(default)) => format!("{default}, the Organization's default"),
        (None, None) => "PT2H, the default".to_owned(),
    };
    let within = object.spec.revoke_within.as_deref();
    // After the first attempt, its values count.
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
    let cut = most.map_or_else(String::new, |most| format!("; maximum of the Organization: {most}"));
    format!("{duration}{leased}{cut}")
}

fn activation_deadline(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> Option<Timestamp> {
    let rule = match organization {
        Read::Present(organization) => {
            organization.spec.grants.as_ref().and_then(|rules| rules.activation_deadline.as_deref())
        }
        Read::Missing | Read::Unreadable(_) => None,
    };
    let text = object.spec.activation_deadline.as_deref().or(rule).unwrap_or("PT1H");
    object.creation_timestamp()?.0.checked_add(duration::parse(text).ok()?).ok()
}
