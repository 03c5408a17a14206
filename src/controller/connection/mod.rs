//! The connections to Amigo organizations that the controllers use.

pub mod observed_state;
pub mod rate_limiters;
pub mod role_cache;
pub mod user_cache;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use amigo_api::{DriftPolicy, OrganizationSpec, duration, reasons};
use amigo_client::{ApiAddress, Client, Credentials, Endpoint, Observe, RateLimiter, Transport, Usage};
use amigo_lifecycle::{Failure, RetryClass};
use amigo_runtime::clock::SharedClock;
use http::Uri;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use self::{
    observed_state::ObservedState,
    rate_limiters::{ApiEndpoint, RateLimiters},
    role_cache::RoleCache,
    user_cache::UserCache,
};

/// One Organization as other objects see it: may they use it, and how.
#[derive(Clone)]
pub struct Connection {
    /// The object's name.
    pub name: String,
    /// The object's uid: one that is made anew under the same name is another.
    pub uid: String,
    /// Its spec.
    pub spec: Arc<OrganizationSpec>,
    /// The client, where the object and its Secret make one.
    pub client: Option<Client>,
    /// Why nothing may be asked of it at present.
    pub closed: Option<Failure>,
    /// The one listing of roles that serves every Role and RoleAssignment.
    pub role_cache: Arc<RoleCache>,
    /// The users whose roles are watched over.
    pub user_cache: Arc<UserCache>,
    /// What was learned about the organization.
    pub observed: Arc<ObservedState>,
    credentials: Option<Arc<Credentials>>,
}

impl Connection {
    /// Whether objects of this namespace may use the Organization.
    #[must_use]
    pub fn admits(&self, namespace: &str) -> bool {
        self.spec.admits(namespace)
    }

    /// The client for an object of this namespace.
    ///
    /// # Errors
    /// When the namespace is not admitted, or the connection stands closed.
    pub fn client_for(&self, namespace: &str) -> Result<&Client, Failure> {
        if !self.admits(namespace) {
            let message = format!(
                "Organization {} does not admit namespace {namespace}: add it to spec.allowedNamespaces there",
                self.name
            );
            return Err(Failure::new(reasons::NAMESPACE_NOT_ALLOWED, RetryClass::Persistent, message));
        }
        match (&self.client, &self.closed) {
            (Some(client), None) => Ok(client),
            (_, closed) => {
                let why = closed.as_ref().map_or("it was not looked at yet", |closed| closed.message.as_str());
                let message = format!("Organization {} is not ready: {why}", self.name);
                Err(Failure::new(reasons::ORGANIZATION_NOT_READY, RetryClass::Persistent, message))
            }
        }
    }

    /// The id of the API key in use.
    #[must_use]
    pub fn api_key_id(&self) -> Option<&String> {
        self.credentials.as_ref().map(|credentials| &credentials.api_key_id)
    }

    /// How much of each rate budget is in use; nothing where the Organization makes no calls.
    pub fn usages(&self) -> impl Iterator<Item = (Endpoint, Usage)> {
        let budgets = self.client.iter().map(Client::rate_limiter);
        budgets.flat_map(|budgets| Endpoint::ALL.into_iter().map(|endpoint| (endpoint, budgets.usage(endpoint))))
    }

    /// How often remote roles and assignments are compared with their objects.
    #[must_use]
    pub fn resync_interval(&self) -> std::time::Duration {
        let text = self.spec.roles.as_ref().and_then(|roles| roles.resync_interval.as_deref());
        text.and_then(|text| duration::parse(text).ok())
            .and_then(|interval| std::time::Duration::try_from(interval).ok())
            .unwrap_or(std::time::Duration::from_mins(10))
    }

    /// What happens to roles that somebody else changed.
    #[must_use]
    pub fn drift_policy(&self) -> DriftPolicy {
        self.spec.roles.as_ref().map(|roles| roles.drift_policy).unwrap_or_default()
    }

    /// A rule for grants, or its default.
    pub(in crate::controller) fn grant_rule(
        &self,
        rule: impl Fn(&amigo_api::GrantRules) -> Option<&str>,
        default: SignedDuration,
    ) -> SignedDuration {
        let text = self.spec.grants.as_ref().and_then(rule);
        text.and_then(|text| duration::parse(text).ok()).unwrap_or(default)
    }
}

/// The connection an object names, if there is an Organization of that name.
///
/// # Errors
/// When there is none.
pub fn existing<'a>(connection: Option<&'a Connection>, name: &str) -> Result<&'a Connection, Failure> {
    connection.ok_or_else(|| {
        let message = format!("Organization {name} does not exist: `kubectl get organizations` lists those that do");
        Failure::new(reasons::ORGANIZATION_NOT_FOUND, RetryClass::Persistent, message)
    })
}

/// What a connection is made of.
pub struct Parts {
    /// The object's name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its spec.
    pub spec: Arc<OrganizationSpec>,
    /// The API's address and the credentials, or why there are none.
    pub access: Result<(Uri, Credentials), Failure>,
}

/// All connections. Shared by all controllers. Whether an Organization exists is the store's to say.
pub struct ConnectionRegistry {
    by_name: RwLock<HashMap<String, Arc<Connection>>>,
    rate_limiters: RateLimiters,
    transport: Transport,
    clock: SharedClock,
}

impl ConnectionRegistry {
    /// No connections yet.
    #[must_use]
    pub fn new(transport: Transport, clock: SharedClock, observer: Arc<dyn Observe>) -> Self {
        Self { by_name: RwLock::default(), rate_limiters: RateLimiters::new(clock.clone(), observer), transport, clock }
    }

    /// The connection of an Organization.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Connection>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All connections there are.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets an Organization that is gone, but not the one made anew under its name.
    pub fn remove(&self, name: &str, uid: &str) {
        let mut connections = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if connections.get(name).is_some_and(|connection| connection.uid == uid) {
            connections.remove(name);
        }
    }

    /// Makes or renews a connection; says whether anything changed. Token, budgets and listing survive whatever
    /// does not concern them.
    pub fn renew(&self, parts: Parts) -> (Arc<Connection>, bool) {
        let before = self.get(&parts.name);
        // On every pass: the last one over an object that went may have set the limits of its successor back.
        let budgets = parts.access.as_ref().ok().map(|(address, _)| {
            let place = ApiEndpoint::new(address, &parts.spec.organization);
            self.rate_limiters.budgets(place, parts.spec.rate_limit.as_ref())
        });
        if let Some(connection) = before.as_ref().filter(|connection| connection.is_made_of(&parts)) {
            return (Arc::clone(connection), false);
        }
        let connection = Arc::new(self.make(parts, before.as_deref(), budgets));
        self.replace(&connection);
        (connection, true)
    }

    /// Closes or opens a connection after what a call said of it; says whether that is news.
    pub fn judge(&self, connection: &Arc<Connection>, closed: Option<Failure>) -> (Arc<Connection>, bool) {
        if connection.closed == closed {
            return (Arc::clone(connection), false);
        }
        let judged = Arc::new(Connection { closed, ..Connection::clone(connection) });
        self.replace(&judged);
        (judged, true)
    }

    fn replace(&self, connection: &Arc<Connection>) {
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(connection.name.clone(), Arc::clone(connection));
    }

    /// Forgets budgets that nobody needs any more.
    pub fn prune_budgets(&self) {
        self.rate_limiters.prune();
    }

    fn make(&self, parts: Parts, before: Option<&Connection>, budgets: Option<Arc<RateLimiter>>) -> Connection {
        let Parts { name, uid, spec, access } = parts;
        let place = ApiEndpoint::of(&spec);
        let same_place =
            before.filter(|before| before.uid == uid && place.is_some() && ApiEndpoint::of(&before.spec) == place);
        let (role_cache, user_cache, observed) = same_place
            .map(|before| {
                (Arc::clone(&before.role_cache), Arc::clone(&before.user_cache), Arc::clone(&before.observed))
            })
            .unwrap_or_default();
        let same_user = same_place.filter(|before| access.as_ref().is_ok_and(|(_, now)| before.uses(now)));
        // The token and what was said of it go with the client.
        if let Some(before) = same_user {
            return Connection { spec, ..before.clone() };
        }
        observed.forget_user();
        let credentials = access.as_ref().ok().map(|(_, credentials)| Arc::new(credentials.clone()));
        let closed = access.as_ref().err().cloned();
        let client = access.ok().zip(budgets).map(|((base_url, credentials), budgets)| {
            let connection = ApiAddress { base_url, organization: spec.organization.clone() };
            Client::new(self.transport.clone(), connection, credentials, budgets, self.clock.clone())
        });
        observed.update(|known| known.failure = None);
        Connection { name, uid, spec, client, closed, role_cache, user_cache, observed, credentials }
    }
}

impl Connection {
    /// The credentials as they were last read, where the same object still names the same Secret.
    pub(super) fn credentials_for(&self, uid: &str, secret_name: &str) -> Option<Credentials> {
        let same = self.uid == uid && self.spec.credentials_secret_ref.name == secret_name;
        self.credentials.as_deref().filter(|_| same).cloned()
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
    use amigo_client::{TransportOptions, Unobserved};
    use amigo_runtime::clock::SystemClock;
    use secrecy::SecretString;

    use super::*;

    fn connections() -> ConnectionRegistry {
        let transport = Transport::new(&TransportOptions::default()).unwrap();
        ConnectionRegistry::new(transport, SystemClock::shared(), Arc::new(Unobserved))
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

    /// Requests for grants: allowed in a minute, and booked.
    fn posts(connection: &Connection) -> (usize, usize) {
        let (_, usage) = connection.usages().find(|(endpoint, _)| *endpoint == Endpoint::CreateGrant).unwrap();
        (usage.allowed, usage.waiting)
    }

    /// What the second connection has of the first: its client, what was learned of the place, the key's end.
    fn kept(second: Parts) -> (bool, bool, bool) {
        let connections = connections();
        let (first, _) = connections.renew(parts(|_, _| ()));
        first.observed.update(|known| known.keys_due = Some(std::time::Duration::MAX));
        let (second, renewed) = connections.renew(second);
        assert!(renewed);
        let clients = first.client.as_ref().zip(second.client.as_ref());
        let same_client = clients.is_some_and(|(first, second)| first.is_clone_of(second));
        let same_place =
            Arc::ptr_eq(&first.observed, &second.observed) && Arc::ptr_eq(&first.role_cache, &second.role_cache);
        (same_client, same_place, second.observed.snapshot().keys_due.is_some())
    }

    #[test]
    fn the_token_survives_whatever_does_not_concern_it() {
        assert_eq!(kept(parts(|spec, _| spec.allowed_namespaces = vec!["*".to_owned()])), (true, true, true));
        assert_eq!(kept(parts(|spec, _| spec.suspend = true)), (true, true, true));
        assert_eq!(kept(limited(50)), (true, true, true));
        assert_eq!(kept(parts(|spec, _| spec.api_url = "https://API.amigo.ai:443".to_owned())), (true, true, true));
    }

    #[test]
    fn calls_are_counted_together_whatever_is_edited_or_made_anew() {
        let connections = connections();
        let (first, _) = connections.renew(parts(|_, _| ()));
        let booked = first.client.as_ref().unwrap().reserve_grant_posts(7);
        let another = || Parts { name: "another".to_owned(), uid: "2".to_owned(), ..limited(50) };
        for next in [limited(50), Parts { uid: "2".to_owned(), ..limited(50) }, another()] {
            assert_eq!(posts(&connections.renew(next).0), (50, 7));
        }
        drop(booked);
    }

    #[test]
    fn an_object_that_is_not_in_charge_changes_no_limits_and_has_none() {
        let connections = connections();
        let (senior, _) = connections.renew(parts(|_, _| ()));
        let waiting = Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, "there is an older one"));
        let (junior, _) = connections.renew(Parts { name: "junior".to_owned(), access: waiting, ..limited(50) });
        assert_eq!((posts(&senior).0, junior.usages().count()), (80, 0));
        connections.renew(limited(50));
        connections.renew(Parts { name: "junior".to_owned(), ..parts(|_, _| ()) });
        connections.renew(limited(50));
        assert_eq!(posts(&senior).0, 50, "who is in charge sets the limits on every pass");
    }

    #[test]
    fn another_key_keeps_the_place_and_not_what_was_known_of_the_key() {
        assert_eq!(kept(parts(|_, key| key.api_key = SecretString::from("new"))), (false, true, false));
        assert_eq!(kept(parts(|_, key| key.api_key_id = "new".to_owned())), (false, true, false));
    }

    #[test]
    fn another_place_and_another_object_begin_anew() {
        assert_eq!(kept(parts(|spec, _| spec.organization = "other".to_owned())), (false, false, false));
        assert_eq!(kept(parts(|spec, _| spec.api_url = "https://api-eu.amigo.ai".to_owned())), (false, false, false));
        assert_eq!(kept(Parts { uid: "2".to_owned(), ..parts(|_, _| ()) }), (false, false, false));
    }

    #[test]
    fn only_the_object_that_went_is_forgotten() {
        let connections = connections();
        connections.renew(parts(|_, _| ()));
        connections.remove("acme", "another");
        assert!(connections.get("acme").is_some());
        connections.remove("acme", "1");
        assert!(connections.get("acme").is_none());
    }

    #[test]
    fn credentials_are_kept_for_the_same_secret_of_the_same_object() {
        let (connection, _) =
            connections().renew(parts(|spec, _| spec.credentials_secret_ref.name = "secret".to_owned()));
        assert!(connection.credentials_for("1", "secret").is_some());
        assert!(
            connection.credentials_for("1", "another").is_none() && connection.credentials_for("2", "secret").is_none()
        );
    }
}
