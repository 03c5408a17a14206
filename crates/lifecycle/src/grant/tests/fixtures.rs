//! Grants for the tests, built step by step.

use std::{fmt::Write as _, time::Duration};

use amigo_api::{Phase, TemporaryPermissionGrantStatus, conditions, duration};
use amigo_permissions::Conditions;
use jiff::{SignedDuration, Timestamp};

use super::{
    server::{Amigo, Fate},
    world::{World, at},
};
use crate::grant::{Origin, PermissionRequest, Request, Spec, Timing};
use crate::{Failure, RetryClass};

pub(super) fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A new request for two hours of access to the conversations of one owner.
pub(super) fn grant() -> Grant {
    let spec = Spec {
        origin: Origin {
            cluster: "c".repeat(32),
            uid: "0".repeat(32),
            namespace: "team-a".to_owned(),
            name: "look-into-4711".to_owned(),
        },
        holder: "replica".to_owned(),
        generation: 1,
        created_at: at(Duration::ZERO),
        request: Request::Conversation,
        org_id: "acme".to_owned(),
        api_origin: "https://api.amigo.ai".to_owned(),
        service_user_id: super::server::SERVICE_USER.to_owned(),
        duration: SignedDuration::from_hours(2),
        duration_text: "PT2H".to_owned(),
        revoke_within: None,
        activation_deadline: SignedDuration::from_hours(1),
        not_after: None,
        ttl_after_expiry: SignedDuration::ZERO,
        failed_ttl: None,
        being_deleted: false,
        blocker: None,
        circumstances: 0,
        timing: Timing::default(),
    };
    Grant { spec, skew: 0, replicas: 1, longest: None }
}

#[derive(Debug)]
pub(super) struct Grant {
    pub spec: Spec,
    skew: i64,
    replicas: u32,
    longest: Option<Duration>,
}

impl Grant {
    pub fn with_permissions(mut self, count: u32) -> Self {
        let request = |number| PermissionRequest {
            permission_name: format!("Conversation:Read{number}"),
            conditions: Conditions::new(),
        };
        self.spec.request = Request::Permissions((0..count).map(request).collect());
        self
    }

    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.spec.timing = timing;
        self
    }

    pub fn lasting(mut self, text: &str) -> Self {
        self.spec.duration = duration::parse(text).unwrap();
        self.spec.duration_text = text.to_owned();
        self
    }

    pub fn revoked_within(mut self, text: &str) -> Self {
        self.spec.revoke_within = Some(duration::parse(text).unwrap());
        self
    }

    pub fn kept(mut self, text: &str) -> Self {
        self.spec.ttl_after_expiry = duration::parse(text).unwrap();
        self
    }

    /// Deleted so long after it failed.
    pub fn failed_kept(mut self, text: &str) -> Self {
        self.spec.failed_ttl = Some(duration::parse(text).unwrap());
        self
    }

    pub fn not_after(mut self, end: Duration) -> Self {
        self.spec.not_after = Some(at(end));
        self
    }

    /// Created so long before the first reconcile.
    pub fn created_before(mut self, age: Duration) -> Self {
        let age = SignedDuration::try_from(age).unwrap();
        self.spec.created_at = at(Duration::ZERO).checked_sub(age).unwrap();
        self
    }

    pub fn blocked(mut self, class: RetryClass) -> Self {
        self.spec.blocker = Some(organization_not_ready(class));
        self
    }

    pub fn with_server_ahead(mut self, milliseconds: i64) -> Self {
        self.skew = milliseconds;
        self
    }

    pub fn shortened_by_server(mut self, longest: Duration) -> Self {
        self.longest = Some(longest);
        self
    }

    pub fn with_replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    pub fn world(self) -> World {
        let amigo = Amigo {
            skew: self.skew,
            lag: seconds(10),
            lists_creation: true,
            longest: self.longest,
            ..Amigo::default()
        };
        World::new(&self.spec, amigo, self.replicas)
    }

    /// Issued without a fault.
    pub fn issued(self) -> World {
        let mut world = self.world();
        world.work();
        world.log.clear();
        world
    }
}

pub(super) fn organization_not_ready(class: RetryClass) -> Failure {
    Failure::new(amigo_api::reasons::ORGANIZATION_NOT_READY, class, "not ready")
}

impl World {
    /// The fates of the next effects of one kind.
    pub fn with_fates(mut self, effect: &'static str, fates: &[Fate]) -> Self {
        self.script.entry(effect).or_default().extend(fates);
        self
    }

    /// Runs until all replicas wait; returns the effects, without `wait`.
    pub fn effects(&mut self) -> String {
        self.log.clear();
        self.work();
        self.log.join(" ")
    }

    /// Runs for so much time; returns the effects.
    pub fn effects_for(&mut self, time: Duration) -> String {
        self.log.clear();
        self.run_until(self.now + time);
        self.log.join(" ")
    }

    pub fn condition(&self, kind: &str) -> String {
        conditions::find(&self.record().conditions, kind)
            .map_or_else(|| "none".to_owned(), |found| format!("{} {}", found.status, found.reason))
    }

    pub fn message(&self, kind: &str) -> String {
        conditions::find(&self.record().conditions, kind).map_or_else(String::new, |found| found.message.clone())
    }

    /// The phase and the three conditions, abbreviated.
    pub fn summary(&self) -> String {
        let mut summary = self.phase().map_or_else(|| "none".to_owned(), |phase| format!("{phase:?}"));
        for kind in ["Ready", "Issued", "Stalled"] {
            write!(summary, ", {kind} {}", self.condition(kind)).unwrap();
        }
        summary
    }

    pub fn is_active(&self) -> bool {
        self.store.is_some() && self.phase() == Some(Phase::Active)
    }

    /// Another client removes the status.
    pub fn wipe(&mut self) {
        let object = self.store.as_mut().unwrap();
        object.version += 1;
        object.record = TemporaryPermissionGrantStatus::default();
        self.notify();
    }

    pub fn deadline(&self) -> Timestamp {
        self.record().deadline.unwrap()
    }

    /// The requested durations, in order.
    pub fn requested_durations(&self) -> Vec<String> {
        let life = |entry: &super::server::Entry| {
            duration::format(entry.ends.saturating_sub(entry.committed).try_into().unwrap())
        };
        self.amigo.own().map(life).collect()
    }
}
