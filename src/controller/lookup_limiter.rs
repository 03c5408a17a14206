//! Limits the reconciles that wait for Amigo, in total and per Organization.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The reconciles that wait for Amigo, counted by Organization.
///
/// # Expected flow
/// A look-up holds a [`LookupPermit`] while it waits, or is postponed. [`LookupLimiter::count`] counts requests for grants
/// and never postpones them: their intent is written, and the rate limiter bounds their number.
///
/// # Guarantees
/// Look-ups occupy at most seven eighths of the concurrent reconciles. The rest is free to expire grants on time, for any
/// number of Organizations. An Organization gets another permit only if it holds fewer than are free. If `m`
/// Organizations hang, each of them ends up with one part in `m + 1` of the permits, and the last part stays free. A fixed
/// share would exceed the total with many Organizations, or be too small for the batches of a single busy one.
///
/// # Assumptions
/// Every permit ends, because its request has a deadline.
///
/// # Caveats
/// A single Organization gets half of the permits: more than two full batches of look-ups at the default concurrency.
pub struct LookupLimiter {
    limit: usize,
    open: Mutex<HashMap<String, usize>>,
}

/// Permission to wait for Amigo, until it is dropped.
pub struct LookupPermit<'a> {
    limiter: &'a LookupLimiter,
    organization: String,
}

impl LookupLimiter {
    /// Zero means no limit, as for the controller.
    #[must_use]
    pub fn new(concurrency: u16) -> Self {
        let limit = if concurrency == 0 { usize::MAX } else { (usize::from(concurrency) * 7 / 8).max(1) };
        Self { limit, open: Mutex::default() }
    }

    /// A permit for one more look-up, if there is one.
    #[must_use]
    pub fn try_acquire(&self, organization: &str) -> Option<LookupPermit<'_>> {
        let mut open = self.lock();
        let own = open.get(organization).copied().unwrap_or_default();
        let free = self.limit.saturating_sub(open.values().sum());
        (own < free).then(|| self.open(&mut open, organization))
    }

    /// Counts a request that cannot be postponed.
    #[must_use]
    pub fn count(&self, organization: &str) -> LookupPermit<'_> {
        self.open(&mut self.lock(), organization)
    }

    fn open(&self, open: &mut HashMap<String, usize>, organization: &str) -> LookupPermit<'_> {
        *open.entry(organization.to_owned()).or_default() += 1;
        LookupPermit { limiter: self, organization: organization.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // The counts are consistent after every statement, so a poisoned lock is safe to use.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LookupPermit<'_> {
    fn drop(&mut self) {
        let mut open = self.limiter.lock();
        if let Some(count) = open.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every permit that an Organization can get.
    fn all<'a>(limiter: &'a LookupLimiter, organization: &str) -> Vec<LookupPermit<'a>> {
        std::iter::from_fn(|| limiter.try_acquire(organization)).collect()
    }

    #[test]
    fn l4_hanging_organizations_leave_permits_for_others() {
        let limiter = LookupLimiter::new(512);
        let hanging: Vec<_> = ["one", "two", "three"].map(|name| all(&limiter, name)).into_iter().flatten().collect();
        assert_eq!(hanging.len(), 224 + 112 + 56);
        assert_eq!(all(&limiter, "prompt").len(), 28);
    }

    #[test]
    fn simultaneous_organizations_share_equally() {
        let limiter = LookupLimiter::new(512);
        let mut permits = HashMap::<_, Vec<_>>::new();
        for name in ["one", "two", "three"].into_iter().cycle().take(3 * 512) {
            permits.entry(name).or_default().extend(limiter.try_acquire(name));
        }
        assert!(permits.values().all(|permits| (111..=113).contains(&permits.len())));
    }

    #[test]
    fn any_number_of_organizations_leaves_one_eighth() {
        let limiter = LookupLimiter::new(512);
        let permits: Vec<_> = (0..2_000).flat_map(|number| all(&limiter, &number.to_string())).collect();
        assert!(permits.len() <= 448);
    }

    #[test]
    fn counted_requests_are_never_refused() {
        let limiter = LookupLimiter::new(8);
        let posts: Vec<_> = (0..9).map(|_| limiter.count("busy")).collect();
        assert!(limiter.try_acquire("another").is_none());
        drop(posts);
        assert!(limiter.try_acquire("another").is_some());
    }

    #[test]
    fn dropped_permit_is_free_again() {
        let limiter = LookupLimiter::new(1);
        let permit = limiter.try_acquire("one");
        assert!(permit.is_some() && limiter.try_acquire("one").is_none());
        drop(permit);
        assert!(limiter.lock().is_empty() && limiter.try_acquire("one").is_some());
    }
}
