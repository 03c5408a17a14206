//! State of objects that only this process has.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_api::TemporaryPermissionGrant;
use amigo_client::{GrantListing, Reservation};
use amigo_lifecycle::grant::Status;
use kube::ResourceExt as _;

use super::announce::PendingAnnouncements;
use crate::controller::ownership::object_name;

/// A cache that is older for longer shows that the store was restored from a backup.
const MAX_CACHE_LAG: Duration = Duration::from_secs(10);

/// The entries of all objects that no reconcile uses at the moment.
#[derive(Default)]
pub struct LocalState {
    entries: Mutex<HashMap<String, LocalEntry>>,
    /// The uids of deleted objects that a reconcile or the watch announced.
    announced: Mutex<HashSet<String>>,
}

/// The state of one object.
#[derive(Default)]
pub struct LocalEntry {
    uid: String,
    /// The version that this process last read or wrote. The cache must not be older.
    version: Option<u64>,
    /// When the cache was first seen to be older.
    behind_since: Option<Duration>,
    /// `None` if the cached object has the complete status.
    status: Option<Box<Status>>,
    /// The number of attempts, if this process knows all of them.
    known_attempts: Option<u32>,
    pub reservation: Option<Reservation>,
    /// The listing of the object's history, which can take longer than one reconcile.
    pub listing: Option<GrantListing>,
    pub pending: PendingAnnouncements,
}

impl LocalState {
    /// Removes the entry of an object, so that only its reconcile has it.
    pub(super) fn take(&self, object: &TemporaryPermissionGrant) -> LocalEntry {
        let uid = object.uid().unwrap_or_default();
        self.forget(object).unwrap_or_else(|| LocalEntry { uid, ..LocalEntry::default() })
    }

    pub(super) fn keep(&self, object: &TemporaryPermissionGrant, local: LocalEntry) {
        self.lock().insert(object_name(object), local);
    }

    /// Removes the entries of all other objects. A reconcile that outlasts its object leaves such an entry.
    pub fn prune(&self, objects: &[Arc<TemporaryPermissionGrant>]) {
        let present: HashSet<String> = objects.iter().map(|object| object_name(&**object)).collect();
        self.lock().retain(|name, _| present.contains(name));
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether the caller is the first to announce this deletion: both the reconcile of the object and the watch see it.
    pub(super) fn claim_deletion(&self, object: &TemporaryPermissionGrant) -> bool {
        let uid = object.uid().unwrap_or_default();
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).insert(uid)
    }

    pub(super) fn forget(&self, object: &TemporaryPermissionGrant) -> Option<LocalEntry> {
        let uid = object.uid().unwrap_or_default();
        self.lock().remove(&object_name(object)).filter(|local| local.uid == uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LocalEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalEntry {
    /// Whether the cached object is older than this process's last write. If that lasts, the store was restored from a
    /// backup, and the entry is cleared.
    pub fn is_newer_than(&mut self, cached: &TemporaryPermissionGrant, now: Duration) -> bool {
        if self.version > version(cached) {
            let since = *self.behind_since.get_or_insert(now);
            if now.saturating_sub(since) < MAX_CACHE_LAG {
                return true;
            }
            let (uid, known_attempts) = (std::mem::take(&mut self.uid), self.known_attempts);
            *self = Self { uid, known_attempts, ..Self::default() };
        }
        self.behind_since = None;
        false
    }

    /// The state of the object: its status, and what this process remembers beyond it.
    pub fn take_status(&mut self, object: &TemporaryPermissionGrant, boot: Duration) -> Status {
        let record = object.status.clone().unwrap_or_default();
        let is_changed = self.version != version(object);
        match self.status.take() {
            Some(mut status) => {
                status.observe(record, is_changed, boot);
                *status
            }
            None => Status::resume(record, self.known_attempts, is_changed, boot),
        }
    }

    /// Stores the result of a reconcile.
    pub fn update(&mut self, object: &TemporaryPermissionGrant, status: Status) {
        self.version = version(object);
        self.known_attempts = status.known_attempts();
        if !status.is_queued() {
            self.reservation = None;
        }
        // The cache has the status of a settled object. A second copy of thousands of them would waste memory.
        if !status.is_settled() {
            self.status = Some(Box::new(status));
        }
    }
}

fn version(object: &TemporaryPermissionGrant) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use amigo_api::TemporaryPermissionGrantSpec;

    use super::*;

    fn object(uid: &str, version: &str) -> TemporaryPermissionGrant {
        let mut object = TemporaryPermissionGrant::new("one", TemporaryPermissionGrantSpec::default());
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    /// An entry after this process wrote version 5, with one attempt.
    fn written() -> LocalEntry {
        let mut local = LocalState::default().take(&object("a", "4"));
        local.update(&object("a", "5"), Status::resume(attempted(), Some(1), false, Duration::ZERO));
        local
    }

    fn attempted() -> amigo_api::TemporaryPermissionGrantStatus {
        amigo_api::TemporaryPermissionGrantStatus { attempts: 1, ..Default::default() }
    }

    #[test]
    fn n13_deletion_is_claimed_once() {
        let state = LocalState::default();
        let claims = ["a", "a", "b"].map(|uid| state.claim_deletion(&object(uid, "1")));
        assert_eq!(claims, [true, false, true]);
    }

    #[test]
    fn recreated_object_gets_an_entry_of_its_own() {
        let state = LocalState::default();
        state.keep(&object("a", "5"), written());
        let recreated = state.take(&object("b", "6"));
        assert_eq!((recreated.uid.as_str(), recreated.version, recreated.known_attempts), ("b", None, None));
    }

    #[test]
    fn older_cache_is_waited_for_then_trusted() {
        let (mut local, cached) = (written(), object("a", "4"));
        let waits = [0, 9, 10].map(|second| local.is_newer_than(&cached, Duration::from_secs(second)));
        assert_eq!(waits, [true, true, false]);
        assert_eq!((local.version, local.known_attempts), (None, Some(1)), "a restore does not hide its attempts");
        assert!(!written().is_newer_than(&object("a", "5"), Duration::ZERO));
    }

    #[test]
    fn pruned_entries_are_those_of_missing_objects() {
        let state = LocalState::default();
        state.keep(&object("a", "5"), written());
        state.prune(&[Arc::new(object("a", "5"))]);
        assert!(state.lock().contains_key(&object_name(&object("a", "5"))));
        state.prune(&[]);
        assert!(state.lock().is_empty());
    }
}
