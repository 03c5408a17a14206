//! What was learned about an organization, and when.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_client::{ApiKey, OrganizationInfo};
use amigo_lifecycle::grant::sweep::SweepReport;
use amigo_lifecycle::{Failure, RetryClass};
use tokio::sync::OwnedMutexGuard;

/// Shared between the Organization's reconciler and its sweep.
#[derive(Debug, Default)]
pub struct ObservedState {
    known: Mutex<Observations>,
    sweeping: Arc<tokio::sync::Mutex<()>>,
    refusals: Mutex<BTreeMap<String, (Failure, Duration)>>,
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Id and name.
    pub info: Option<OrganizationInfo>,
    /// The API key in use, where it is visible.
    pub api_key: Option<ApiKey>,
    /// The boot time at which the keys are listed again.
    pub keys_due: Option<Duration>,
    /// What the last look came to, and the boot time before which there is no other.
    pub failure: Option<(Failure, Duration)>,
    /// The last complete sweep.
    pub sweep: Option<SweepReport>,
    /// The boot time at which the next sweep begins.
    pub sweep_due: Option<Duration>,
}

impl ObservedState {
    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Observations {
        self.lock().clone()
    }

    /// Learns something.
    pub fn update(&self, change: impl FnOnce(&mut Observations)) {
        change(&mut self.lock());
    }

    /// Forgets what holds for one service user and key only.
    pub fn forget_user(&self) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.update(|known| (known.api_key, known.keys_due) = (None, None));
    }

    /// The right to sweep, until it is dropped; `None` while somebody else has it.
    #[must_use]
    pub fn begin_sweep(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.sweeping).try_lock_owned().ok()
    }

    /// What Amigo said to this change the last time, if it is too early to ask again.
    #[must_use]
    pub fn refusal(&self, change: &str, now: Duration) -> Option<Failure> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.retain(|_, (_, until)| now < *until);
        refusals.get(change).map(|(failure, _)| failure.clone())
    }

    /// Remembers that Amigo rejected this change: no reconcile sends it again before `until`. Transient failures are not
    /// remembered.
    pub fn refused(&self, change: String, failure: &Failure, until: Duration) {
        if failure.class != RetryClass::Transient {
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).insert(change, (failure.clone(), until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Observations> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
