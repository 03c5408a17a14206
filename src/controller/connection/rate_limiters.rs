//! One set of rate budgets for each remote organization, whatever its objects are called and however often they are made.
//!
//! # Expected flow
//! Whoever connects asks for the budgets of the place, with the limits that hold now; the client keeps them.
//!
//! # Guarantees
//! As long as one call of a place counts, everybody who connects to it shares one set of budgets: an edit of the limits,
//! a hand-over between two objects, or an object deleted and made anew never adds to the calls of a minute.
//!
//! # Assumptions
//! One Organization at a time is in charge of a place, and its limits hold.
//!
//! # Caveats
//! Two names of one server are two places.
//!
//! # Errors
//! None.

use std::{
    collections::BTreeMap,
    net::Ipv6Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use amigo_api::{OrganizationSpec, RateLimit};
use amigo_client::{Endpoint, Observe, RateLimiter};
use amigo_runtime::clock::SharedClock;
use http::Uri;

/// A remote organization on a server, however its address is spelt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiEndpoint {
    scheme: String,
    host: String,
    port: Option<u16>,
    organization: String,
}

impl ApiEndpoint {
    /// The place of an Organization; `None` where its address is no URL.
    #[must_use]
    pub fn of(spec: &OrganizationSpec) -> Option<Self> {
        Some(Self::new(&spec.api_url.trim_end_matches('/').parse().ok()?, &spec.organization))
    }

    /// An organization at an address.
    #[must_use]
    pub fn new(address: &Uri, organization: &str) -> Self {
        let scheme = address.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let host = address.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let number = host.trim_matches(['[', ']']).parse().map(|number: Ipv6Addr| number.to_string());
        let port = address.port_u16().or(match scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        });
        Self { scheme, host: number.unwrap_or(host), port, organization: organization.to_owned() }
    }
}

/// The budgets of all places that are in use or were within the last minute.
pub struct RateLimiters {
    by_place: Mutex<BTreeMap<ApiEndpoint, Arc<RateLimiter>>>,
    clock: SharedClock,
    observer: Arc<dyn Observe>,
}

impl RateLimiters {
    /// No budgets yet.
    #[must_use]
    pub fn new(clock: SharedClock, observer: Arc<dyn Observe>) -> Self {
        Self { by_place: Mutex::default(), clock, observer }
    }

    /// The budgets of a place, kept to these limits from now on.
    #[must_use]
    pub fn budgets(&self, place: ApiEndpoint, limits: Option<&RateLimit>) -> Arc<RateLimiter> {
        let limits = limits.cloned().unwrap_or_default();
        let known = |(name, calls): (&String, &u32)| name.parse::<Endpoint>().ok().map(|endpoint| (endpoint, *calls));
        let overrides: BTreeMap<Endpoint, u32> = limits.limits.iter().filter_map(known).collect();
        let share = u32::from(limits.share.unwrap_or(80));
        let mut by_place = self.lock();
        let budgets = by_place.entry(place).or_insert_with(|| {
            let budgets = RateLimiter::new(share, &overrides, self.clock.clone());
            Arc::new(budgets.with_observer(Arc::clone(&self.observer)))
        });
        budgets.resize(share, &overrides);
        Arc::clone(budgets)
    }

    /// Forgets what nobody holds and what would not hold anybody back: new budgets allow no more then.
    pub fn prune(&self) {
        self.lock().retain(|_, budgets| Arc::strong_count(budgets) > 1 || !budgets.is_idle());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ApiEndpoint, Arc<RateLimiter>>> {
        self.by_place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amigo_client::{ApiAddress, Client, Credentials, Transport, TransportOptions, Unobserved};
    use amigo_runtime::clock::{SystemClock, TestClock};

    use super::*;

    impl RateLimiters {
        fn of(clock: &Arc<TestClock>) -> Self {
            Self::new(clock.clone(), Arc::new(Unobserved))
        }

        fn at(&self, url: &str, limits: Option<&RateLimit>) -> Arc<RateLimiter> {
            self.budgets(place(url), limits)
        }

        fn places(&self) -> usize {
            self.prune();
            self.lock().len()
        }
    }

    fn place(url: &str) -> ApiEndpoint {
        let spec = OrganizationSpec { api_url: url.to_owned(), organization: "acme".to_owned(), ..Default::default() };
        ApiEndpoint::of(&spec).unwrap()
    }

    fn share(percent: u8) -> RateLimit {
        RateLimit { share: Some(percent), ..RateLimit::default() }
    }

    /// Makes a call that reaches nobody, and lets go of the budgets.
    async fn call(budgets: Arc<RateLimiter>) {
        let clock = SystemClock::shared();
        let connection =
            ApiAddress { base_url: "http://127.0.0.1:1".parse().unwrap(), organization: "acme".to_owned() };
        let credentials = Credentials { api_key: "key".into(), api_key_id: "id".to_owned(), user_id: "me".to_owned() };
        let transport = Transport::new(&TransportOptions::default()).unwrap();
        Client::new(transport, connection, credentials, budgets, clock).organization_info().await.unwrap_err();
    }

    #[test]
    fn one_place_has_many_spellings() {
        for same in ["https://API.amigo.ai/", "https://api.amigo.ai:443", "https://api.amigo.ai.:443/"] {
            assert_eq!(place(same), place("https://api.amigo.ai"), "{same}");
        }
        assert_eq!(place("http://[::1]:80"), place("http://[0:0:0:0:0:0:0:1]"));
        for other in ["http://api.amigo.ai", "https://api.amigo.ai:8443", "https://api-eu-central-1.amigo.ai"] {
            assert_ne!(place(other), place("https://api.amigo.ai"), "{other}");
        }
    }

    #[test]
    fn everybody_at_a_place_shares_its_budgets_whatever_the_limits() {
        let rate_limiters = RateLimiters::of(&Arc::new(TestClock::running()));
        let (before, after) =
            (rate_limiters.at("https://a.example", None), rate_limiters.at("https://a.example:443", Some(&share(50))));
        assert!(Arc::ptr_eq(&before, &after));
        assert_eq!(before.usage(Endpoint::CreateGrant).allowed, 50);
        assert!(!Arc::ptr_eq(&before, &rate_limiters.at("https://b.example", None)));
    }

    #[tokio::test]
    async fn budgets_outlive_whoever_used_them_by_a_minute() {
        let clock = Arc::new(TestClock::running());
        let rate_limiters = RateLimiters::of(&clock);
        call(rate_limiters.at("https://a.example", None)).await;
        assert_eq!(rate_limiters.places(), 1);
        assert!(rate_limiters.at("https://a.example", None).usage(Endpoint::Organization).used > 0);
        clock.advance(Duration::from_secs(61));
        assert_eq!(rate_limiters.places(), 0);
    }

    #[test]
    fn budgets_that_somebody_holds_stay() {
        let rate_limiters = RateLimiters::of(&Arc::new(TestClock::running()));
        let entry = rate_limiters.at("https://a.example", None);
        assert_eq!(rate_limiters.places(), 1);
        drop(entry);
        assert_eq!(rate_limiters.places(), 0);
    }
}
