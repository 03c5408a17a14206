//! Connections to Amigo organizations, shared by the controllers.

pub mod api_endpoint;
pub mod observed_state;
pub mod rate_limiters;
pub mod role_cache;
pub mod throttle;
pub mod user_cache;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use amigo_api::{DriftPolicy, OrganizationSpec, duration, reasons};
use amigo_client::{ApiAddress, Client, Credentials, Endpoint, RateLimiter, ServerClock, Transport, Usage};
use amigo_lifecycle::{Failure, RetryClass};
use amigo_runtime::clock::SharedClock;
use http::Uri;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use self::{
    api_endpoint::ApiEndpoint, observed_state::ObservedState, rate_limiters::RateLimiters, role_cache::RoleCache,
    user_cache::UserCache,
};

/// One Organization, as other objects use it.
#[derive(Clone)]
pub struct Connection {
    pub name: String,
    /// Distinguishes an object from a later one with the same name.
    pub uid: String,
    pub spec: Arc<OrganizationSpec>,
    /// `None` if the object or its Secret is invalid.
    pub client: Option<Client>,
    /// Why other objects must not use the connection now.
    pub closed: Option<Failure>,
    pub role_cache: Arc<RoleCache>,
    pub user_cache: Arc<UserCache>,
    pub observed: Arc<ObservedState>,
    pub server_clock: Arc<ServerClock>,
    credentials: Option<Arc<Credentials>>,
}

impl Connection {
    #[must_use]
    pub fn admits(&self, namespace: &str) -> bool {
        self.spec.admits(namespace)
    }

    /// The client for an object of this namespace.
    ///
    /// # Errors
    /// If the Organization does not allow the namespace, or the connection is closed.
    pub fn client_for(&self, namespace: &str) -> Result<&Client, Failure> {
        if !self.admits(namespace) {
            let message = format!(
                "Organization {} does not allow namespace {namespace}: add it to its spec.allowedNamespaces",
                self.name
            );
            return Err(Failure::new(reasons::NAMESPACE_NOT_ALLOWED, RetryClass::Persistent, message));
        }
        match (&self.client, &self.closed) {
            (Some(client), None) => Ok(client),
            (_, closed) => {
                let why =
                    closed.as_ref().map_or("the operator has not reconciled it yet", |closed| closed.message.as_str());
                let message = format!("Organization {} is not ready: {why}", self.name);
                Err(Failure::new(reasons::ORGANIZATION_NOT_READY, RetryClass::Persistent, message))
            }
        }
    }

    /// Why Amigo cannot be reached at the moment.
    #[must_use]
    pub fn unreachable(&self) -> Option<Failure> {
        let failure = self.observed.snapshot().failure.map(|(failure, _)| failure)?;
        (failure.reason == reasons::UNREACHABLE).then_some(failure)
    }

    #[must_use]
    pub fn api_key_id(&self) -> Option<&String> {
        self.credentials.as_ref().map(|credentials| &credentials.api_key_id)
    }

    /// The use of each rate limit. Empty if the Organization has no client.
    pub fn usages(&self) -> impl Iterator<Item = (Endpoint, Usage)> {
        let limiters = self.client.iter().map(Client::rate_limiter);
        limiters.flat_map(|limiter| Endpoint::ALL.into_iter().map(|endpoint| (endpoint, limiter.usage(endpoint))))
    }

    /// Interval at which the operator compares remote roles and assignments with their objects.
    #[must_use]
    pub fn resync_interval(&self) -> std::time::Duration {
        let text = self.spec.roles.as_ref().and_then(|roles| roles.resync_interval.as_deref());
        text.and_then(|text| duration::parse(text).ok())
            .and_then(|interval| std::time::Duration::try_from(interval).ok())
            .unwrap_or(std::time::Duration::from_mins(10))
    }

    #[must_use]
    pub fn drift_policy(&self) -> DriftPolicy {
        self.spec.roles.as_ref().map(|roles| roles.drift_policy).unwrap_or_default()
    }

    pub(in crate::controller) fn grant_rule(
        &self,
        rule: impl Fn(&amigo_api::GrantRules) -> Option<&str>,
        default: SignedDuration,
    ) -> SignedDuration {
        let text = self.spec.grants.as_ref().and_then(rule);
        text.and_then(|text| duration::parse(text).ok()).unwrap_or(default)
    }
}

/// # Errors
/// If there is no Organization of that name.
pub fn existing<'a>(connection: Option<&'a Connection>, name: &str) -> Result<&'a Connection, Failure> {
    connection.ok_or_else(|| {
        let message =
            format!("Organization {name} does not exist: run `kubectl get organizations` to list the existing ones");
        Failure::new(reasons::ORGANIZATION_NOT_FOUND, RetryClass::Persistent, message)
    })
}

/// The input of a connection.
pub struct Parts {
    pub name: String,
    pub uid: String,
    pub spec: Arc<OrganizationSpec>,
    /// The API's address and the credentials, or why the Organization must not connect.
    pub access: Result<(Uri, Credentials), Failure>,
}

/// All connections. The store, not the registry, decides whether an Organization exists.
pub struct ConnectionRegistry {
    by_name: RwLock<HashMap<String, Arc<Connection>>>,
    rate_limiters: RateLimiters,
    transport: Transport,
    clock: SharedClock,
}

impl ConnectionRegistry {
    #[must_use]
    pub fn new(transport: Transport, clock: SharedClock, rate_limiters: RateLimiters) -> Self {
        Self { by_name: RwLock::default(), rate_limiters, transport, clock }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Connection>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Removes the connection of a deleted object, but not that of a later object with the same name.
    pub fn remove(&self, name: &str, uid: &str) {
        let mut connections = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if connections.get(name).is_some_and(|connection| connection.uid == uid) {
            connections.remove(name);
        }
    }

    /// Adds or updates a connection; returns whether it changed. The client and the caches survive unrelated changes.
    pub fn upsert(&self, parts: Parts) -> (Arc<Connection>, bool) {
        let before = self.get(&parts.name);
        // On every reconcile: the last one of a deleted object may have overwritten the limits of its successor.
        let limiter = parts.access.as_ref().ok().map(|(address, _)| {
            let endpoint = ApiEndpoint::new(address, &parts.spec.organization);
            self.rate_limiters.get(endpoint, parts.spec.rate_limit.as_ref())
        });
        if let Some(connection) = before.as_ref().filter(|connection| connection.is_made_of(&parts)) {
            return (Arc::clone(connection), false);
        }
        let connection = Arc::new(self.connect(parts, before.as_deref(), limiter));
        self.replace(&connection);
        (connection, true)
    }

    /// Closes or opens a connection; returns it, and whether it changed.
    pub fn set_closed(&self, connection: &Arc<Connection>, closed: Option<Failure>) -> (Arc<Connection>, bool) {
        if connection.closed == closed {
            return (Arc::clone(connection), false);
        }
        let updated = Arc::new(Connection { closed, ..Connection::clone(connection) });
        self.replace(&updated);
        (updated, true)
    }

    fn replace(&self, connection: &Arc<Connection>) {
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(connection.name.clone(), Arc::clone(connection));
    }

    pub fn prune_rate_limiters(&self) {
        self.rate_limiters.prune();
    }

    fn connect(&self, parts: Parts, before: Option<&Connection>, limiter: Option<Arc<RateLimiter>>) -> Connection {
        let Parts { name, uid, spec, access } = parts;
        let endpoint = ApiEndpoint::from_spec(&spec);
        let same_endpoint = before.filter(|before| {
            before.uid == uid && endpoint.is_some() && ApiEndpoint::from_spec(&before.spec) == endpoint
        });
        let (role_cache, user_cache, observed, server_clock) =
            same_endpoint.map(Connection::shared_state).unwrap_or_default();
        let same_user = same_endpoint.filter(|before| access.as_ref().is_ok_and(|(_, now)| before.uses(now)));
        // The client has the token; `closed` and `observed.failure` belong to it.
        if let Some(before) = same_user {
            return Connection { spec, ..before.clone() };
        }
        observed.forget_user();
        let credentials = access.as_ref().ok().map(|(_, credentials)| Arc::new(credentials.clone()));
        let closed = access.as_ref().err().cloned();
        let client = access.ok().zip(limiter).map(|((base_url, credentials), limiter)| {
            let address = ApiAddress { base_url, organization: spec.organization.clone() };
            let transport = self.transport.for_server(&server_clock);
            Client::new(transport, address, credentials, limiter, self.clock.clone())
        });
        observed.update(|observations| observations.failure = None);
        Connection { name, uid, spec, client, closed, role_cache, user_cache, observed, server_clock, credentials }
    }
}

impl Connection {
    /// The previous credentials, if the same object still references the same Secret.
    pub(super) fn credentials_for(&self, uid: &str, secret_name: &str) -> Option<Credentials> {
        let same = self.uid == uid && self.spec.credentials_secret_ref.name == secret_name;
        self.credentials.as_deref().filter(|_| same).cloned()
    }

    /// What outlives a change of the credentials.
    fn shared_state(&self) -> (Arc<RoleCache>, Arc<UserCache>, Arc<ObservedState>, Arc<ServerClock>) {
        let Self { role_cache, user_cache, observed, server_clock, .. } = self;
        (Arc::clone(role_cache), Arc::clone(user_cache), Arc::clone(observed), Arc::clone(server_clock))
    }

    fn is_made_of(&self, parts: &Parts) -> bool {
        let same_access = match &parts.access {
            Ok((_, now)) => self.uses(now),
            Err(now) => self.credentials.is_none() && self.closed.as_ref() == Some(now),
        };
        same_access && self.uid == parts.uid && *self.spec == *parts.spec
    }

    fn uses(&self, now: &Credentials) -> bool {
        self.credentials.as_ref().is_some_and(|before| {
            before.api_key.expose_secret() == now.api_key.expose_secret()
                && before.api_key_id == now.api_key_id
                && before.user_id == now.user_id
        })
    }
}

#[cfg(test)]
mod tests {
    use amigo_api::RateLimit;
    use amigo_client::{Start, TransportOptions, Turn, Unobserved};
    use amigo_runtime::clock::SystemClock;
    use secrecy::SecretString;

    use super::*;

    fn connections() -> ConnectionRegistry {
        let transport = Transport::new(&TransportOptions::default()).unwrap();
        let clock = SystemClock::shared();
        ConnectionRegistry::new(
            transport,
            clock.clone(),
            RateLimiters::new(clock, Arc::new(Unobserved), Start::AfterLeader),
        )
    }

    fn parts(change: impl FnOnce(&mut OrganizationSpec, &mut Credentials)) -> Parts {
        let mut spec = OrganizationSpec {
            api_url: "https://api.amigo.ai".to_owned(),
            organization: "acme".to_owned(),
            ..OrganizationSpec::default()
        };
        let (api_key, api_key_id, user_id) = (SecretString::from("hush"), "key".to_owned(), "user".to_owned());
        let mut credentials = Credentials { api_key, api_key_id, user_id };
        change(&mut spec, &mut credentials);
        let address = spec.api_url.parse().unwrap();
        Parts { name: "acme".to_owned(), uid: "1".to_owned(), spec: Arc::new(spec), access: Ok((address, credentials)) }
    }

    fn limited(share: u8) -> Parts {
        let limit = RateLimit { share: Some(share), ..RateLimit::default() };
        parts(|spec, _| spec.rate_limit = Some(limit))
    }

    /// Requests for grants: allowed per minute, and waiting.
    fn posts(connection: &Connection) -> (usize, usize) {
        let (_, usage) = connection.usages().find(|(endpoint, _)| *endpoint == Endpoint::CreateGrant).unwrap();
        (usage.allowed, usage.waiting)
    }

    /// Whether the second connection keeps the client, the caches and the API key of the first.
    fn kept(second: Parts) -> (bool, bool, bool) {
        let connections = connections();
        let (first, _) = connections.upsert(parts(|_, _| ()));
        first.observed.update(|observations| observations.keys_due = Some(std::time::Duration::MAX));
        let (second, changed) = connections.upsert(second);
        assert!(changed);
        let clients = first.client.as_ref().zip(second.client.as_ref());
        let same_client = clients.is_some_and(|(first, second)| first.is_clone_of(second));
        let same_caches =
            Arc::ptr_eq(&first.observed, &second.observed) && Arc::ptr_eq(&first.role_cache, &second.role_cache);
        (same_client, same_caches, second.observed.snapshot().keys_due.is_some())
    }

    #[test]
    fn client_survives_unrelated_changes() {
        assert_eq!(kept(parts(|spec, _| spec.allowed_namespaces = vec!["*".to_owned()])), (true, true, true));
        assert_eq!(kept(parts(|spec, _| spec.suspend = true)), (true, true, true));
        assert_eq!(kept(limited(50)), (true, true, true));
        assert_eq!(kept(parts(|spec, _| spec.api_url = "https://API.amigo.ai:443".to_owned())), (true, true, true));
    }

    #[test]
    fn objects_of_one_endpoint_share_a_rate_limiter() {
        let connections = connections();
        let (first, _) = connections.upsert(parts(|_, _| ()));
        let booked = first.client.as_ref().unwrap().reserve_grant_posts(7, Turn::First);
        let another = || Parts { name: "another".to_owned(), uid: "2".to_owned(), ..limited(50) };
        for next in [limited(50), Parts { uid: "2".to_owned(), ..limited(50) }, another()] {
            assert_eq!(posts(&connections.upsert(next).0), (50, 7));
        }
        drop(booked);
    }

    #[test]
    fn conflicting_object_has_no_rate_limits() {
        let connections = connections();
        let (owner, _) = connections.upsert(parts(|_, _| ()));
        let waiting = Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, "there is an older one"));
        let (rival, _) = connections.upsert(Parts { name: "rival".to_owned(), access: waiting, ..limited(50) });
        assert_eq!((posts(&owner).0, rival.usages().count()), (80, 0));
        connections.upsert(limited(50));
        connections.upsert(Parts { name: "rival".to_owned(), ..parts(|_, _| ()) });
        connections.upsert(limited(50));
        assert_eq!(posts(&owner).0, 50, "the owner sets the limits in every reconcile");
    }

    #[test]
    fn new_key_keeps_caches_but_not_the_client() {
        assert_eq!(kept(parts(|_, key| key.api_key = SecretString::from("new"))), (false, true, false));
        assert_eq!(kept(parts(|_, key| key.api_key_id = "new".to_owned())), (false, true, false));
    }

    #[test]
    fn other_endpoint_or_object_keeps_nothing() {
        assert_eq!(kept(parts(|spec, _| spec.organization = "other".to_owned())), (false, false, false));
        assert_eq!(kept(parts(|spec, _| spec.api_url = "https://api-eu.amigo.ai".to_owned())), (false, false, false));
        assert_eq!(kept(Parts { uid: "2".to_owned(), ..parts(|_, _| ()) }), (false, false, false));
    }

    #[test]
    fn only_the_deleted_object_is_removed() {
        let connections = connections();
        connections.upsert(parts(|_, _| ()));
        connections.remove("acme", "another");
        assert!(connections.get("acme").is_some());
        connections.remove("acme", "1");
        assert!(connections.get("acme").is_none());
    }

    #[test]
    fn credentials_belong_to_one_secret_of_one_object() {
        let (connection, _) =
            connections().upsert(parts(|spec, _| spec.credentials_secret_ref.name = "secret".to_owned()));
        assert!(connection.credentials_for("1", "secret").is_some());
        assert!(
            connection.credentials_for("1", "another").is_none() && connection.credentials_for("2", "secret").is_none()
        );
    }
}
