//! What is still to be asked for, and when the next moment comes at which something changes.

use jiff::Timestamp;

use super::{Spec, Status, ask::current_lease};

/// What lies ahead of a grant at one moment.
pub(super) struct Outlook {
    /// The lease to ask for now.
    pub(super) lease: u32,
    /// The permissions to ask for now.
    pub(super) wanted: Vec<u32>,
    /// When the last access that is issued or can still be issued is over.
    pub(super) ends_at: Option<Timestamp>,
    /// When permissions that were never issued are given up; `None` when there are none to give up.
    pub(super) gives_up_at: Option<Timestamp>,
    /// Later moments at which the status changes by itself.
    changes_at: [Option<Timestamp>; 2],
}

impl Outlook {
    pub(super) fn of(spec: &Spec, status: &Status, now: Timestamp) -> Self {
        let record = &status.record;
        let renewal = spec.renews_at(record, now).filter(|_| !spec.being_deleted);
        let present = current_lease(record);
        let lease = if renewal.is_some_and(|due| due <= now) { present + 1 } else { present };
        let ever_issued = |slot: &u32| record.grants.iter().any(|grant| grant.slot == *slot);
        let filled = |slot: &u32| record.grants.iter().any(|grant| grant.slot == *slot && grant.lease == lease);
        let mut wanted: Vec<u32> = (0..spec.request.slots()).filter(|slot| !filled(slot)).collect();
        if status.is_given_up() {
            // What could not be issued is not asked for again; what is live is still renewed.
            wanted.retain(|slot| lease > 0 && ever_issued(slot));
        }
        if spec.being_deleted || (lease > 0 && spec.ask(record, now).is_none()) {
            wanted.clear();
        }
        let waiting = record.intent.is_none() && !wanted.iter().all(ever_issued);
        // What was never issued and will not be has no end.
        let void = spec.being_deleted && record.grants.is_empty() && record.intent.is_none();
        let last = record.grants.iter().map(|grant| grant.expires_at).max();
        Self {
            lease,
            ends_at: spec.ends_at(record, !wanted.is_empty() || renewal.is_some()).filter(|_| !void),
            gives_up_at: waiting.then(|| spec.gives_up_at()),
            wanted,
            changes_at: [renewal.filter(|due| *due > now && record.intent.is_none()), last.filter(|last| *last > now)],
        }
    }

    /// The next moment at which there is something to do.
    pub(super) fn wakes_at(&self, until: Option<Timestamp>) -> Option<Timestamp> {
        [until, self.ends_at, self.gives_up_at].into_iter().chain(self.changes_at).flatten().min()
    }
}
