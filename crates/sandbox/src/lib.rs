//! An embedded Amigo Classic API for tests, demos and experiments.
//!
//! The sandbox implements nineteen operations with the paths and shapes of the API document. It enforces permissions,
//! the role hierarchy and rate limits. Its journal records every commit, so that tests can assert on it.
//!
//! # Guarantees
//! A request changes nothing before all its checks succeed. Neither the journal nor the logs contain secrets or tokens.
//!
//! # Caveats
//! The API document leaves some behavior open; [`Behavior`] has one field for each such question. The control paths
//! under `/sandbox/` need no credentials: do not listen on a public address.

mod access;
mod behavior;
mod context;
mod control;
mod errors;
mod faults;
mod formats;
mod grant_wire;
mod http;
mod ids;
mod inputs;
mod journal;
mod limits;
mod listener;
mod operation;
pub mod options;
mod preferences;
mod query;
mod reply;
mod routes;
mod seed;
mod seeding;
mod shared_state;
mod state;
mod time;
mod validation;

use std::{
    collections::BTreeMap,
    future, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::{
    behavior::{
        Behavior, ErrorStyle, Hierarchy, LimitScope, RangeError, Strictness, TagCombination, TimestampPrecision,
        WrongSlash,
    },
    faults::{Effect, Fault, When},
    journal::{Change, Commit, GrantCreated, RequestCount, RequestRecord, Requests},
    operation::Operation,
    options::{RunError, SandboxOptions, run},
    seed::{
        ApiKeySeed, ConversationSeed, GrantSeed, MessageSeed, OrganizationSeed, RoleSeed, Seed, SeedError, UserSeed,
    },
    state::{
        Conversation, FrontendView, Insights, Message, MessageFormat, MessageType, PermissionModel, PostProcessing,
        Preferences, RoleDocument, TemporaryGrant, User,
    },
};
use self::{
    context::ApiRequest,
    faults::Faults,
    ids::Ids,
    journal::{Journal, RequestLog},
    limits::Limits,
    listener::{ConnectionHandle, Listener},
    reply::Reply,
    shared_state::SharedState,
    state::Organization,
};
use amigo_runtime::clock::SharedClock;

/// An embedded Amigo API. Clones share one state.
#[derive(Clone)]
pub struct Sandbox {
    state: Arc<Mutex<SharedState>>,
    clock: SharedClock,
}

impl Sandbox {
    /// A sandbox that contains the data of `seed`. Equal seeds, clocks and random seeds produce equal runs.
    ///
    /// # Errors
    /// If the seed contains a duplicate name, a reference to a missing object, or a malformed id.
    pub fn new(seed: Seed, clock: SharedClock, random_seed: u64) -> Result<Self, SeedError> {
        let mut ids = Ids::new(random_seed);
        let mut organizations = BTreeMap::new();
        for seed in seed.organizations {
            let organization = seeding::seed_organization(seed, &mut ids, clock.now())?;
            if let Some(duplicate) = organizations.insert(organization.id.clone(), organization) {
                let (organization, kind, name) = (duplicate.id.clone(), "organization", duplicate.id);
                return Err(SeedError::Duplicate { organization, kind, name });
            }
        }
        let state = SharedState {
            organizations,
            ids,
            journal: Journal::default(),
            requests: RequestLog::default(),
            faults: Faults::new(random_seed),
            limits: Limits::default(),
        };
        Ok(Self { state: Arc::new(Mutex::new(state)), clock })
    }

    /// The API and the control paths, for requests within the process.
    pub fn router(&self) -> Router {
        http::router(self.clone(), CancellationToken::new())
    }

    /// Serves the sandbox until `shutdown` completes, which also ends requests that hang.
    ///
    /// # Errors
    /// If the listener fails permanently.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let closing = CancellationToken::new();
        let router = http::router(self.clone(), closing.clone());
        let service = router.into_make_service_with_connect_info::<ConnectionHandle>();
        let stop = async move {
            shutdown.await;
            closing.cancel();
        };
        axum::serve(Listener(listener), service).with_graceful_shutdown(stop).await
    }

    /// Serves the sandbox on a free loopback port, in a task that runs until the runtime ends.
    ///
    /// # Errors
    /// If no loopback port is free.
    pub async fn spawn(&self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let sandbox = self.clone();
        tokio::spawn(async move {
            if let Err(error) = sandbox.serve(listener, future::pending()).await {
                tracing::error!(%error, "sandbox failed");
            }
        });
        Ok(address)
    }

    /// All commits, in order.
    #[must_use]
    pub fn journal(&self) -> Vec<Commit> {
        self.lock().journal.commits().to_vec()
    }

    /// All requests: how many, and the most recent ones.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.lock().requests.requests()
    }

    /// The ids of all organizations.
    #[must_use]
    pub fn organizations(&self) -> Vec<String> {
        self.lock().organizations.keys().cloned().collect()
    }

    /// The temporary grants that have not expired, oldest first. Empty for an unknown organization.
    #[must_use]
    pub fn live_grants(&self, organization: &str) -> Vec<TemporaryGrant> {
        let now = self.clock.now();
        let live = |found: &Organization| found.grants.iter().filter(|grant| !grant.is_expired(now)).cloned().collect();
        self.lock().organizations.get(organization).map(live).unwrap_or_default()
    }

    /// The current role documents. Empty for an unknown organization.
    #[must_use]
    pub fn roles(&self, organization: &str) -> Vec<RoleDocument> {
        let current =
            |found: &Organization| found.roles.iter().filter(|role| role.replaced_at.is_none()).cloned().collect();
        self.lock().organizations.get(organization).map(current).unwrap_or_default()
    }

    /// The users. Empty for an unknown organization.
    #[must_use]
    pub fn users(&self, organization: &str) -> Vec<User> {
        self.lock().organizations.get(organization).map(|found| found.users.clone()).unwrap_or_default()
    }

    /// The name of the user's role.
    #[must_use]
    pub fn user_role(&self, organization: &str, user_id: &str) -> Option<String> {
        let state = self.lock();
        let organization = state.organizations.get(organization)?;
        organization.role_by_id(&organization.user(user_id)?.role_id).map(|role| role.name.clone())
    }

    /// The organization's behavior.
    #[must_use]
    pub fn behavior(&self, organization: &str) -> Option<Behavior> {
        self.lock().organizations.get(organization).map(|found| found.behavior.clone())
    }

    /// Changes how the organization's API behaves from now on.
    ///
    /// # Errors
    /// If there is no such organization.
    pub fn set_behavior(&self, organization: &str, change: impl FnOnce(&mut Behavior)) -> Result<(), SeedError> {
        self.change(organization, |found, _| {
            change(&mut found.behavior);
            Ok(())
        })
    }

    /// Adds a conversation without a journal entry.
    ///
    /// # Errors
    /// If the id is a duplicate or malformed, or the owner does not exist.
    pub fn add_conversation(&self, organization: &str, seed: ConversationSeed) -> Result<(), SeedError> {
        let now = self.clock.now();
        self.change(organization, |found, ids| found.add_conversation(seed, ids, now))
    }

    /// Adds a user without a journal entry.
    ///
    /// # Errors
    /// If the id or email is a duplicate, or the role does not exist.
    pub fn add_user(&self, organization: &str, seed: UserSeed) -> Result<(), SeedError> {
        self.change(organization, |found, _| found.add_user(seed))
    }

    /// Removes a user without a journal entry.
    ///
    /// # Errors
    /// If there is no such organization.
    pub fn remove_user(&self, organization: &str, user_id: &str) -> Result<(), SeedError> {
        self.change(organization, |found, _| {
            found.users.retain(|user| user.user_id != user_id);
            Ok(())
        })
    }

    /// Adds a role without a journal entry.
    ///
    /// # Errors
    /// If the name is a duplicate, the id is malformed, or a grant denies in the model `AllowOnly`.
    pub fn add_role(&self, organization: &str, seed: RoleSeed) -> Result<(), SeedError> {
        self.change(organization, |found, ids| found.add_role(seed, ids))
    }

    /// Replaces the secret of an API key and revokes all tokens, as a rotation does, without a journal entry.
    ///
    /// # Errors
    /// If there is no such organization or key.
    pub fn set_api_key_secret(&self, organization: &str, key_id: &str, secret: SecretString) -> Result<(), SeedError> {
        self.change(organization, |found, _| {
            let Some(key) = found.keys.iter_mut().find(|key| key.key_id == key_id) else {
                let (organization, kind, name) = (found.id.clone(), "API key", key_id.to_owned());
                return Err(SeedError::NotFound { organization, kind, name });
            };
            key.secret = secret;
            found.tokens.clear();
            Ok(())
        })
    }

    /// Injects a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// The faults that still apply to future requests.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.lock().faults.pending().to_vec()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    fn change(
        &self,
        organization: &str,
        change: impl FnOnce(&mut Organization, &mut Ids) -> Result<(), SeedError>,
    ) -> Result<(), SeedError> {
        let state = &mut *self.lock();
        let found = state.organizations.get_mut(organization);
        change(found.ok_or_else(|| SeedError::OrganizationNotFound(organization.to_owned()))?, &mut state.ids)
    }

    fn process(&self, operation: Operation, request: &ApiRequest) -> Reply {
        self.lock().process(operation, request, self.clock.now(), self.clock.boot())
    }

    fn take_faults(&self, operation: Operation) -> Vec<Fault> {
        self.lock().faults.take(operation)
    }

    fn record_request(&self, organization: Option<String>, operation: Option<Operation>) -> u64 {
        self.lock().requests.record_request(self.clock.now(), organization, operation)
    }

    fn record_response(&self, sequence: u64, operation: Option<Operation>, status: u16) {
        self.lock().requests.record_response(sequence, operation, status);
    }

    /// Ignores poisoning: a commit is one step, so a panic cannot leave it half done.
    fn lock(&self) -> MutexGuard<'_, SharedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sandbox").field("organizations", &self.organizations()).finish_non_exhaustive()
    }
}
