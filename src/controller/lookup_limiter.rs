//! How many passes may wait for Amigo at a time, and how many of them for one Organization.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The passes that wait for Amigo, counted by Organization.
///
/// # Expected flow
/// A look-up holds a [`LookupPermit`] while it waits, or is put off. Requests for grants are counted with [`LookupLimiter::count`]
/// and never put off: their intent is written, and their number is within the rate budget.
///
/// # Guarantees
/// Look-ups wait in at most seven of eight passes that the controller works on at a time, so that the rest is free to let
/// grants expire in time, however many Organizations there are. An Organization may have one more permit only while it has
/// fewer than there are places left. So of `m` that never answer each ends up with one part in `m + 1` of the places, and
/// the last part stays for all others. A fixed number for each would either add up to more than there are passes, or, with
/// many Organizations, be too few for the full batches of the only one that is busy.
///
/// # Assumptions
/// Every permit ends: it has a deadline.
///
/// # Caveats
/// An Organization alone has half of the places: more than two full batches of look-ups with the default concurrency.
///
/// # Errors
/// None.
pub struct LookupLimiter {
    most: usize,
    open: Mutex<HashMap<String, usize>>,
}

/// A place among the passes that wait, until it is dropped.
pub struct LookupPermit<'a> {
    lookup_limiter: &'a LookupLimiter,
    organization: String,
}

impl LookupLimiter {
    /// For a controller that works on so many objects at a time; 0 is without a bound, as it is for the controller.
    #[must_use]
    pub fn of(concurrency: u16) -> Self {
        let most = if concurrency == 0 { usize::MAX } else { (usize::from(concurrency) * 7 / 8).max(1) };
        Self { most, open: Mutex::default() }
    }

    /// A place for one more look-up of an Organization, if there is one.
    #[must_use]
    pub fn ask(&self, organization: &str) -> Option<LookupPermit<'_>> {
        let mut open = self.lock();
        let own = open.get(organization).copied().unwrap_or_default();
        let left = self.most.saturating_sub(open.values().sum());
        (own < left).then(|| self.open(&mut open, organization))
    }

    /// The place of what cannot be put off any more.
    #[must_use]
    pub fn count(&self, organization: &str) -> LookupPermit<'_> {
        self.open(&mut self.lock(), organization)
    }

    fn open(&self, open: &mut HashMap<String, usize>, organization: &str) -> LookupPermit<'_> {
        *open.entry(organization.to_owned()).or_default() += 1;
        LookupPermit { lookup_limiter: self, organization: organization.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // The counts are whole between any two statements, so a panic elsewhere cannot have spoilt them.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LookupPermit<'_> {
    fn drop(&mut self) {
        let mut open = self.lookup_limiter.lock();
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

    /// As many lookup_limiter as an Organization may have.
    fn all<'a>(lookup_limiter: &'a LookupLimiter, organization: &str) -> Vec<LookupPermit<'a>> {
        std::iter::from_fn(|| lookup_limiter.ask(organization)).collect()
    }

    #[test]
    fn l4_an_organization_that_hangs_leaves_places_for_the_others() {
        let lookup_limiter = LookupLimiter::of(512);
        let hanging: Vec<_> =
            ["one", "two", "three"].map(|name| all(&lookup_limiter, name)).into_iter().flatten().collect();
        assert_eq!(hanging.len(), 224 + 112 + 56);
        assert_eq!(all(&lookup_limiter, "prompt").len(), 28);
    }

    #[test]
    fn those_who_ask_at_once_share_equally() {
        let lookup_limiter = LookupLimiter::of(512);
        let mut asked = HashMap::<_, Vec<_>>::new();
        for name in ["one", "two", "three"].into_iter().cycle().take(3 * 512) {
            asked.entry(name).or_default().extend(lookup_limiter.ask(name));
        }
        assert!(asked.values().all(|asked| (111..=113).contains(&asked.len())));
    }

    #[test]
    fn no_number_of_organizations_takes_the_passes_that_let_grants_expire() {
        let lookup_limiter = LookupLimiter::of(512);
        let asked: Vec<_> = (0..2_000).flat_map(|number| all(&lookup_limiter, &number.to_string())).collect();
        assert!(asked.len() <= 448);
    }

    #[test]
    fn what_cannot_be_put_off_counts_and_is_never_refused() {
        let lookup_limiter = LookupLimiter::of(8);
        let posts: Vec<_> = (0..9).map(|_| lookup_limiter.count("busy")).collect();
        assert!(lookup_limiter.ask("another").is_none());
        drop(posts);
        assert!(lookup_limiter.ask("another").is_some());
    }

    #[test]
    fn an_answer_makes_room_and_leaves_nothing_behind() {
        let lookup_limiter = LookupLimiter::of(1);
        let permit = lookup_limiter.ask("one");
        assert!(permit.is_some() && lookup_limiter.ask("one").is_none());
        drop(permit);
        assert!(lookup_limiter.lock().is_empty() && lookup_limiter.ask("one").is_some());
    }
}
