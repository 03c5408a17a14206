//! Waits for the rate limit that are too long for a reconcile.
//!
//! A reconcile that waits occupies one of a few hundred places. So it waits only for a moment, or comes back later.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_client::{Cause, Client, Endpoint, Error, Reservation};
use kube::Resource;

/// The longest wait within a reconcile.
pub const MAX_WAIT: Duration = Duration::from_secs(1);

/// # Errors
/// `Throttled` if one more request would wait too long.
pub fn fail_if_throttled(client: &Client, endpoint: Endpoint) -> Result<(), Error> {
    let wait = client.rate_limiter().wait(endpoint);
    if wait > MAX_WAIT { Err(Error::new(endpoint, Cause::Throttled { wait })) } else { Ok(()) }
}

/// The turns of objects that wait for the rate limit of a change, by uid. An object keeps its turn between reconciles.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Reservation>>);

impl Turns {
    /// The client whose next change has its turn now, or within a moment.
    ///
    /// # Errors
    /// `Throttled` if the turn is later. The turn stays booked.
    pub fn claim(&self, uid: &str, client: &Client, endpoint: Endpoint, now: Duration) -> Result<Client, Error> {
        let booked = self.lock().remove(uid);
        let is_right = |turn: &Reservation| turn.endpoint() == endpoint && turn.belongs_to(client.rate_limiter());
        let turn = booked.filter(is_right).unwrap_or_else(|| client.reserve(endpoint));
        let wait = turn.ready_at().saturating_sub(now);
        if wait <= MAX_WAIT {
            return Ok(client.clone().with_turn(turn));
        }
        self.lock().insert(uid.to_owned(), turn);
        Err(Error::new(endpoint, Cause::Throttled { wait }))
    }

    /// Releases the turn of an object that is gone, or that needs no change any more.
    pub fn release(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Releases the turns of all other objects. A reconcile that outlasts its object leaves such a turn.
    pub fn prune<K: Resource>(&self, objects: &[Arc<K>]) {
        let present: HashSet<String> = objects.iter().filter_map(|object| object.meta().uid.clone()).collect();
        self.lock().retain(|uid, _| present.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Reservation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use amigo_api::Role;
    use amigo_client::{ApiAddress, Credentials, RateLimiter, Transport, TransportOptions};
    use amigo_runtime::clock::SystemClock;

    use super::*;

    /// A client whose first request may begin now, and the next one in a minute.
    fn client() -> Client {
        let clock = SystemClock::shared();
        let limits: BTreeMap<Endpoint, u32> = [(Endpoint::ModifyRole, 1)].into();
        let address = ApiAddress { base_url: "http://127.0.0.1:1".parse().unwrap(), organization: "acme".to_owned() };
        let credentials = Credentials { api_key: "key".into(), api_key_id: "id".to_owned(), user_id: "me".to_owned() };
        let limiter = Arc::new(RateLimiter::new(100, &limits, clock.clone()));
        Client::new(Transport::new(&TransportOptions::default()).unwrap(), address, credentials, limiter, clock)
    }

    fn is_throttled(turns: &Turns, uid: &str, client: &Client) -> bool {
        let now = amigo_runtime::clock::Clock::boot(&SystemClock);
        turns.claim(uid, client, Endpoint::ModifyRole, now).is_err()
    }

    #[test]
    fn turn_stays_booked_until_it_is_released() {
        let (turns, client) = (Turns::default(), client());
        let first = client.reserve(Endpoint::ModifyRole);
        assert!(is_throttled(&turns, "a", &client) && is_throttled(&turns, "a", &client));
        assert_eq!(client.rate_limiter().usage(Endpoint::ModifyRole).waiting, 2, "one turn for all tries");
        turns.release("a");
        assert_eq!(client.rate_limiter().usage(Endpoint::ModifyRole).waiting, 1);
        drop(first);
    }

    #[test]
    fn turns_of_missing_objects_are_pruned() {
        let (turns, client) = (Turns::default(), client());
        let _first = client.reserve(Endpoint::ModifyRole);
        assert!(is_throttled(&turns, "a", &client));
        turns.prune::<Role>(&[]);
        assert_eq!(client.rate_limiter().usage(Endpoint::ModifyRole).waiting, 1);
    }

    #[test]
    fn long_waits_are_errors_at_once() {
        let client = client();
        assert!(fail_if_throttled(&client, Endpoint::ModifyRole).is_ok());
        let _first = client.reserve(Endpoint::ModifyRole);
        assert!(fail_if_throttled(&client, Endpoint::ModifyRole).is_err());
    }
}
