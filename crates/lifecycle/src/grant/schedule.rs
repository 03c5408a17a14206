//! Which permissions to request now, and when the status changes next.

use std::time::Duration;

use jiff::Timestamp;

use super::{Now, Spec, Status, duration::current_lease};

/// The remaining work of a grant at one moment.
pub(super) struct Schedule {
    /// The lease to request now.
    pub(super) lease: u32,
    /// The slots to request now.
    pub(super) missing_slots: Vec<u32>,
    /// When the last access ends that is issued or can still be issued.
    pub(super) ends_at: Option<Timestamp>,
    /// When the grant stops trying to issue permissions that were never issued; `None` if there are none.
    pub(super) gives_up_at: Option<Timestamp>,
    /// The moment of this schedule.
    at: Now,
    /// Later moments at which the status changes without an event.
    changes_at: [Option<Timestamp>; 2],
}

impl Schedule {
    pub(super) fn new(spec: &Spec, status: &Status, at: Now) -> Self {
        let (record, now) = (&status.record, at.wall);
        let renewal = spec.renews_at(record, now).filter(|_| !spec.being_deleted);
        let present = current_lease(record);
        let lease = if renewal.is_some_and(|due| due <= now) { present + 1 } else { present };
        let ever_issued = |slot: &u32| record.grants.iter().any(|grant| grant.slot == *slot);
        let filled = |slot: &u32| record.grants.iter().any(|grant| grant.slot == *slot && grant.lease == lease);
        let mut missing_slots: Vec<u32> = (0..spec.request.slots()).filter(|slot| !filled(slot)).collect();
        if status.is_given_up() {
            // Slots that could not be issued are not requested again; live ones are still renewed.
            missing_slots.retain(|slot| lease > 0 && ever_issued(slot));
        }
        if spec.being_deleted || (lease > 0 && spec.request_duration(record, now).is_none()) {
            missing_slots.clear();
        }
        let waiting = record.intent.is_none() && !missing_slots.iter().all(ever_issued);
        // A grant that was never issued and never will be has no end.
        let void = spec.being_deleted && record.grants.is_empty() && record.intent.is_none();
        let last = record.grants.iter().map(|grant| grant.expires_at).max();
        Self {
            lease,
            ends_at: spec.ends_at(record, !missing_slots.is_empty() || renewal.is_some()).filter(|_| !void),
            gives_up_at: waiting.then(|| spec.gives_up_at()),
            missing_slots,
            at,
            changes_at: [renewal.filter(|due| *due > now && record.intent.is_none()), last.filter(|last| *last > now)],
        }
    }

    /// The next moment at which a step has something to do, at the latest the boot time `until`.
    pub(super) fn wakes_at(&self, until: Option<Duration>) -> Option<Timestamp> {
        [until.map(|until| self.at.wall_at(until)), self.ends_at, self.gives_up_at]
            .into_iter()
            .chain(self.changes_at)
            .flatten()
            .min()
    }
}
