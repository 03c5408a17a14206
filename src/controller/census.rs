//! Current state for the metrics: objects by condition, Organizations, rate limits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use amigo_api::{
    GrantCounts, Organization, Phase, TemporaryPermissionGrant,
    conditions::{self, ConditionStatus},
    reasons::{self, condition},
};
use amigo_client::{Endpoint, Usage};
use amigo_lifecycle::grant::sweep::SweepReport;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt as _, core::ObjectMeta};

use super::context::Context;
use crate::telemetry::{
    census::{Census, ObjectLabels, OrganizationCensus, RateLimitUsage, TakeCensus},
    labels::Kind,
};

/// Live grants by state. `duplicate` and `over_granted` count objects.
fn grants_by_state(report: &SweepReport) -> Vec<(&'static str, u32)> {
    let GrantCounts { active: _, managed, orphaned, unmanaged } = report.counts;
    let objects = |names: &BTreeSet<String>| u32::try_from(names.len()).unwrap_or(u32::MAX);
    vec![
        ("managed", managed),
        ("orphaned", orphaned),
        ("unmanaged", unmanaged),
        ("duplicate", objects(&report.duplicates)),
        ("over_granted", objects(&report.over_granted)),
    ]
}

impl TakeCensus for Context {
    fn take_census(&self) -> Census {
        let grants = self.stores.grants.state();
        let waiting = oldest_waiting(grants.iter().map(AsRef::as_ref));
        let all = self.stores.organizations.state();
        let organizations = all.iter().map(|organization| {
            let oldest_waiting_since = waiting.get(&*organization.name_any()).copied();
            OrganizationCensus { oldest_waiting_since, ..self.census_of(organization) }
        });
        Census { organizations: organizations.collect(), objects: self.count(&grants) }
    }
}

impl Context {
    fn census_of(&self, organization: &Organization) -> OrganizationCensus {
        let status = organization.status.as_ref();
        let census = OrganizationCensus {
            name: organization.name_any(),
            ready: status.is_some_and(|status| conditions::is_true(&status.conditions, condition::READY)),
            last_sweep_at: status.and_then(|status| status.last_sweep_time),
            ..OrganizationCensus::default()
        };
        let connection = self
            .connections
            .get(&census.name)
            .filter(|connection| organization.metadata.uid.as_ref() == Some(&connection.uid));
        let Some(connection) = connection else { return census };
        let observed = connection.observed.snapshot();
        let key = observed.api_key.as_ref();
        let rate_limit = |(endpoint, usage): (Endpoint, Usage)| RateLimitUsage {
            operation: endpoint.as_str(),
            allowed: usage.allowed,
            used: usage.used,
            waiting: usage.waiting,
        };
        OrganizationCensus {
            api_key_created_at: key.and_then(|key| key.created_at),
            api_key_expires_at: key.map(|key| key.expires_at),
            grants: observed.sweep.as_ref().map(grants_by_state).unwrap_or_default(),
            // The status survives a restart, but is written a moment after the sweep.
            last_sweep_at: observed.sweep.as_ref().map(|sweep| sweep.at).or(census.last_sweep_at),
            rate_limits: connection.usages().map(rate_limit).collect(),
            ..census
        }
    }

    /// Objects by kind, Organization and Ready condition.
    fn count(&self, grants: &[Arc<TemporaryPermissionGrant>]) -> BTreeMap<ObjectLabels, u32> {
        let organizations = self.stores.organizations.state();
        let names: Vec<String> = organizations.iter().map(|organization| organization.name_any()).collect();
        let mut counts: BTreeMap<_, u32> = self.unreadable.counts().into_iter().map(unreadable_labels).collect();
        let mut add = |kind, metadata: &ObjectMeta, organization: &str, conditions: Option<&[Condition]>| {
            if self.unreadable.contains(kind, metadata) {
                return;
            }
            // A user can write any name into a reference; only names of Organizations may become series.
            let organization = names.iter().find(|name| *name == organization).cloned().unwrap_or_default();
            let (ready, reason) = ready_labels(conditions.unwrap_or_default());
            *counts.entry(ObjectLabels { kind, organization, ready, reason }).or_default() += 1;
        };
        for object in &organizations {
            let conditions = object.status.as_ref().map(|status| &*status.conditions);
            add(Kind::Organization, &object.metadata, &object.name_any(), conditions);
        }
        for object in &self.stores.roles.state() {
            let conditions = object.status.as_ref().map(|status| &*status.conditions);
            add(Kind::Role, &object.metadata, &object.spec.organization_ref.name, conditions);
        }
        for object in &self.stores.assignments.state() {
            let conditions = object.status.as_ref().map(|status| &*status.conditions);
            add(Kind::RoleAssignment, &object.metadata, &object.spec.organization_ref.name, conditions);
        }
        for object in grants {
            let conditions = object.status.as_ref().map(|status| &*status.conditions);
            add(Kind::TemporaryPermissionGrant, &object.metadata, &object.spec.organization_ref.name, conditions);
        }
        counts
    }
}

fn unreadable_labels((kind, count): (Kind, u32)) -> (ObjectLabels, u32) {
    let ready = ConditionStatus::Unknown.as_str();
    (ObjectLabels { kind, organization: String::new(), ready, reason: reasons::UNREADABLE }, count)
}

/// Status and reason of the Ready condition, as constants.
fn ready_labels(all: &[Condition]) -> (&'static str, &'static str) {
    let Some(ready) = conditions::find(all, condition::READY) else {
        return (ConditionStatus::Unknown.as_str(), reasons::PENDING);
    };
    let statuses =
        [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown].map(ConditionStatus::as_str);
    let status = statuses.into_iter().find(|status| *status == ready.status);
    // Another version of the operator may write other reasons.
    (status.unwrap_or(ConditionStatus::Unknown.as_str()), reasons::known(&ready.reason).unwrap_or("Other"))
}

/// Creation time of the oldest request of each Organization that waits for the operator, not for a user.
fn oldest_waiting<'a>(grants: impl Iterator<Item = &'a TemporaryPermissionGrant>) -> BTreeMap<&'a str, Timestamp> {
    let mut oldest = BTreeMap::new();
    for grant in grants.filter(|grant| is_waiting(grant)) {
        let Some(created_at) = grant.creation_timestamp().map(|time| time.0) else { continue };
        let since = oldest.entry(grant.spec.organization_ref.name.as_str()).or_insert(created_at);
        *since = created_at.min(*since);
    }
    oldest
}

fn is_waiting(grant: &TemporaryPermissionGrant) -> bool {
    if grant.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let Some(status) = &grant.status else { return true };
    let (_, reason) = ready_labels(&status.conditions);
    matches!(status.phase, None | Some(Phase::Pending | Phase::Issuing))
        && reason != reasons::SUSPENDED
        && !conditions::is_true(&status.conditions, condition::STALLED)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn grant(created_at: &str, status: &Value) -> TemporaryPermissionGrant {
        let object = json!({
            "metadata": {"name": "one", "creationTimestamp": created_at},
            "spec": {
                "organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test asks for it",
                "permissions": [{"permissionName": "Conversation:GetMessage"}],
            },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        let time = "2026-01-01T00:00:00Z";
        json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": time})
    }

    fn in_phase(phase: &str, conditions: &[Value]) -> TemporaryPermissionGrant {
        grant("2026-01-01T10:00:00Z", &json!({"phase": phase, "conditions": conditions}))
    }

    #[test]
    fn oldest_waiting_request_counts() {
        let waiting = [grant("2026-01-01T10:00:02Z", &Value::Null), grant("2026-01-01T10:00:01Z", &json!({}))];
        let active = grant("2026-01-01T10:00:00Z", &json!({"phase": "Active"}));
        let oldest = oldest_waiting(waiting.iter().chain([&active]));
        assert_eq!(oldest["acme"], "2026-01-01T10:00:01Z".parse().unwrap());
    }

    #[test]
    fn stalled_and_suspended_requests_do_not_wait() {
        assert!(is_waiting(&in_phase("Pending", &[condition("Ready", "False", "Queued")])));
        assert!(!is_waiting(&in_phase("Pending", &[condition("Ready", "False", "Suspended")])));
        let stalled = [condition("Ready", "False", "UserNotFound"), condition("Stalled", "True", "UserNotFound")];
        assert!(!is_waiting(&in_phase("Pending", &stalled)));
        let mut deleted = grant("2026-01-01T10:00:00Z", &Value::Null);
        deleted.metadata.deletion_timestamp = deleted.metadata.creation_timestamp.clone();
        assert!(!is_waiting(&deleted));
    }

    #[test]
    fn only_constants_become_labels() {
        let labels = |status: &str, reason: &str| {
            let conditions = in_phase("Pending", &[condition("Ready", status, reason)]).status.unwrap().conditions;
            ready_labels(&conditions)
        };
        assert_eq!(labels("False", "Queued"), ("False", "Queued"));
        assert_eq!(labels("Maybe", "SomethingElse"), ("Unknown", "Other"));
        assert_eq!(ready_labels(&[]), ("Unknown", "Pending"));
    }
}
