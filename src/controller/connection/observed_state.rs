//! State of an organization that the operator observed at Amigo.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_client::{ApiKey, OrganizationInfo};
use amigo_lifecycle::grant::sweep::SweepReport;
use amigo_lifecycle::{Failure, RetryClass};
use tokio::sync::OwnedMutexGuard;

/// Shared by the Organization's reconciler, its sweep, and the objects that use it.
#[derive(Debug, Default)]
pub struct ObservedState {
    observations: Mutex<Observations>,
    sweeping: Arc<tokio::sync::Mutex<()>>,
    rejected: Mutex<BTreeMap<String, (Failure, Duration)>>,
}

#[derive(Clone, Debug, Default)]
pub struct Observations {
    pub info: Option<OrganizationInfo>,
    /// `None` if the service user may not list API keys.
    pub api_key: Option<ApiKey>,
    /// Boot time of the next list of API keys.
    pub keys_due: Option<Duration>,
    /// The last failure to connect, and the boot time of the next try.
    pub failure: Option<(Failure, Duration)>,
    /// The number of failures to connect since the last success.
    pub failures: u32,
    pub sweep: Option<SweepReport>,
    /// Boot time of the next sweep.
    pub sweep_due: Option<Duration>,
}

impl ObservedState {
    #[must_use]
    pub fn snapshot(&self) -> Observations {
        self.lock().clone()
    }

    pub fn update(&self, change: impl FnOnce(&mut Observations)) {
        change(&mut self.lock());
    }

    /// Removes the state of one service user and API key.
    pub fn forget_user(&self) {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.update(|observations| (observations.api_key, observations.keys_due) = (None, None));
    }

    /// A lock for the sweep, or `None` while another sweep holds it.
    #[must_use]
    pub fn begin_sweep(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.sweeping).try_lock_owned().ok()
    }

    /// Why Amigo rejected this change, if it is too early to retry.
    #[must_use]
    pub fn refusal(&self, change: &str, now: Duration) -> Option<Failure> {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        rejected.retain(|_, (_, until)| now < *until);
        rejected.get(change).map(|(failure, _)| failure.clone())
    }

    /// Remembers that Amigo rejected this change: no reconcile sends it again before `until`. Transient failures are not
    /// remembered.
    pub fn refused(&self, change: String, failure: &Failure, until: Duration) {
        if failure.class != RetryClass::Transient {
            self.rejected.lock().unwrap_or_else(PoisonError::into_inner).insert(change, (failure.clone(), until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sweep_at_a_time() {
        let observed = ObservedState::default();
        let first = observed.begin_sweep();
        assert!(first.is_some() && observed.begin_sweep().is_none());
        drop(first);
        assert!(observed.begin_sweep().is_some());
    }
}
