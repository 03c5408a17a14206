//! One rate limiter for each remote organization, independent of the objects that connect it.
//!
//! All clients of an API endpoint share one limiter while one of its requests still counts. An edited limit, another
//! owner, or a recreated object therefore never adds requests to a minute. One Organization at a time owns an endpoint and
//! sets its limits. Two names of one server are two endpoints.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use amigo_api::RateLimit;
use amigo_client::{Endpoint, Observe, RateLimiter, Start};
use amigo_runtime::clock::SharedClock;

use super::api_endpoint::ApiEndpoint;

/// The limiters of all endpoints that are in use, or were within the last minute.
pub struct RateLimiters {
    by_endpoint: Mutex<BTreeMap<ApiEndpoint, Arc<RateLimiter>>>,
    clock: SharedClock,
    observer: Arc<dyn Observe>,
    start: Start,
}

impl RateLimiters {
    #[must_use]
    pub fn new(clock: SharedClock, observer: Arc<dyn Observe>, start: Start) -> Self {
        Self { by_endpoint: Mutex::default(), clock, observer, start }
    }

    /// The limiter of an endpoint, with these limits from now on.
    #[must_use]
    pub fn get(&self, endpoint: ApiEndpoint, limits: Option<&RateLimit>) -> Arc<RateLimiter> {
        let limits = limits.cloned().unwrap_or_default();
        let known = |(name, limit): (&String, &u32)| name.parse::<Endpoint>().ok().map(|endpoint| (endpoint, *limit));
        let overrides: BTreeMap<Endpoint, u32> = limits.limits.iter().filter_map(known).collect();
        let share = u32::from(limits.share.unwrap_or(80));
        let mut by_endpoint = self.lock();
        let limiter = by_endpoint.entry(endpoint).or_insert_with(|| {
            let limiter = RateLimiter::starting(self.start, share, &overrides, self.clock.clone());
            Arc::new(limiter.with_observer(Arc::clone(&self.observer)))
        });
        limiter.resize(share, &overrides);
        Arc::clone(limiter)
    }

    /// Removes unused limiters that would not delay a request: new ones would allow no more.
    pub fn prune(&self) {
        self.lock().retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ApiEndpoint, Arc<RateLimiter>>> {
        self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amigo_api::OrganizationSpec;
    use amigo_client::{ApiAddress, Client, Credentials, Transport, TransportOptions, Unobserved};
    use amigo_runtime::clock::{SystemClock, TestClock};

    use super::*;

    impl RateLimiters {
        fn with_clock(clock: &Arc<TestClock>) -> Self {
            Self::new(clock.clone(), Arc::new(Unobserved), Start::AfterLeader)
        }

        fn at(&self, url: &str, limits: Option<&RateLimit>) -> Arc<RateLimiter> {
            self.get(endpoint(url), limits)
        }

        fn count(&self) -> usize {
            self.prune();
            self.lock().len()
        }
    }

    fn endpoint(url: &str) -> ApiEndpoint {
        let spec = OrganizationSpec { api_url: url.to_owned(), organization: "acme".to_owned(), ..Default::default() };
        ApiEndpoint::from_spec(&spec).unwrap()
    }

    fn share(percent: u8) -> RateLimit {
        RateLimit { share: Some(percent), ..RateLimit::default() }
    }

    /// Sends a request that gets no response, and drops the limiter.
    async fn send(limiter: Arc<RateLimiter>) {
        let clock = SystemClock::shared();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let address = ApiAddress { base_url, organization: "acme".to_owned() };
        let credentials = Credentials { api_key: "key".into(), api_key_id: "id".to_owned(), user_id: "me".to_owned() };
        let transport = Transport::new(&TransportOptions::default()).unwrap();
        Client::new(transport, address, credentials, limiter, clock).organization_info().await.unwrap_err();
    }

    #[test]
    fn clients_of_one_endpoint_share_its_limiter() {
        let rate_limiters = RateLimiters::with_clock(&Arc::new(TestClock::running()));
        let (before, after) =
            (rate_limiters.at("https://a.example", None), rate_limiters.at("https://a.example:443", Some(&share(50))));
        assert!(Arc::ptr_eq(&before, &after));
        assert_eq!(before.usage(Endpoint::CreateGrant).allowed, 50);
        assert!(!Arc::ptr_eq(&before, &rate_limiters.at("https://b.example", None)));
    }

    #[tokio::test]
    async fn limiter_outlives_its_client_by_a_minute() {
        let clock = Arc::new(TestClock::running());
        let rate_limiters = RateLimiters::with_clock(&clock);
        send(rate_limiters.at("https://a.example", None)).await;
        assert_eq!(rate_limiters.count(), 1);
        assert!(rate_limiters.at("https://a.example", None).usage(Endpoint::Organization).used > 0);
        clock.advance(Duration::from_secs(61));
        assert_eq!(rate_limiters.count(), 0);
    }

    #[test]
    fn limiter_in_use_is_not_pruned() {
        let rate_limiters = RateLimiters::with_clock(&Arc::new(TestClock::running()));
        let entry = rate_limiters.at("https://a.example", None);
        assert_eq!(rate_limiters.count(), 1);
        drop(entry);
        assert_eq!(rate_limiters.count(), 0);
    }
}
