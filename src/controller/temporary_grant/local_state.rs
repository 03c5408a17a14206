//! State of objects that only this process has.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_api::TemporaryPermissionGrant;
use amigo_client::Reservation;
use amigo_lifecycle::grant::Status;
use kube::ResourceExt as _;

use super::announce::PendingAnnouncements;
use crate::controller::ownership::object_name;

/// A cache that is older for longer shows that the store was restored from a backup.
const MAX_CACHE_LAG: Duration = Duration::from_secs(10);

/// The entries of all objects that no reconcile uses at the moment.
#[derive(Default)]
pub struct LocalState(Mutex<HashMap<String, LocalEntry>>);

/// The state of one object.
#[derive(Default)]
pub struct LocalEntry {
    uid: String,
    /// The version that this process last wrote. The cache must not be older.
    version: Option<u64>,
    /// When the cache was first seen to be older.
    behind_since: Option<Duration>,
    /// `None` if the cached object has the complete status.
    status: Option<Box<Status>>,
    pub reservations: Vec<Reservation>,
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
    }

    pub(super) fn forget(&self, object: &TemporaryPermissionGrant) -> Option<LocalEntry> {
        let uid = object.uid().unwrap_or_default();
        self.lock().remove(&object_name(object)).filter(|local| local.uid == uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LocalEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            *self = Self { uid: std::mem::take(&mut self.uid), ..Self::default() };
        }
        self.behind_since = None;
        false
    }

    /// The state of the object: its status, and what this process remembers beyond it.
    pub fn take_status(&mut self, object: &TemporaryPermissionGrant) -> Status {
        let record = object.status.clone().unwrap_or_default();
        match self.status.take() {
            Some(mut status) => {
                status.observe(record);
                *status
            }
            None => Status::from_record(record),
        }
    }

    /// Stores the result of a reconcile.
    pub fn update(&mut self, object: &TemporaryPermissionGrant, status: Status) {
        self.version = version(object);
        if !status.is_queued() {
            self.reservations.clear();
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
