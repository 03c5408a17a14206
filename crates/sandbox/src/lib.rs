//! An embedded Amigo Classic API: the other side, for tests, demos and trying things out.
//!
//! It speaks the API document's nineteen operations with exact paths and shapes, enforces permissions, hierarchy
//! and rate limits on its own, and keeps a journal of every commit, which is the truth for tests.
//!
//! # Guarantees
//! Nothing is changed before a call is checked completely. Neither journal nor logs hold a secret or a token.
//!
//! # Caveats
//! What the public documents leave open is a field of [`Behavior`]. The control paths under `/sandbox/`
//! need no credentials: do not listen on a public address.

mod access;
mod behavior;
mod call;
mod connection;
mod control;
mod errors;
mod faults;
mod grant_wire;
mod http;
mod ids;
mod journal;
mod limits;
mod operation;
pub mod options;
mod planting;
mod query;
mod reply;
mod routes;
mod seed;
mod state;
mod time;
mod validation;
mod world;

use std::{
    collections::BTreeMap,
    io,
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
    call::Input,
    connection::{Connection, Doorway},
    faults::Faults,
    ids::Ids,
    journal::{Journal, RequestLog},
    limits::Limits,
    reply::Reply,
    state::Organization,
    world::World,
};
use amigo_runtime::clock::SharedClock;

/// The sandbox. Clones share one state.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<Mutex<World>>,
    clock: SharedClock,
}

impl Sandbox {
    /// A sandbox with what `seed` says. Equal seeds, clocks and random seeds give equal runs.
    ///
    /// # Errors
    /// If the seed contradicts itself: a name twice, a reference to nothing, a malformed id.
    pub fn new(seed: Seed, clock: SharedClock, random_seed: u64) -> Result<Self, SeedError> {
        let mut ids = Ids::new(random_seed);
        let mut organizations = BTreeMap::new();
        for seed in seed.organizations {
            let planted = planting::plant(seed, &mut ids, clock.now())?;
            if let Some(twin) = organizations.insert(planted.id.clone(), planted) {
                let (organization, kind, name) = (twin.id.clone(), "organization", twin.id);
                return Err(SeedError::Duplicate { organization, kind, name });
            }
        }
        let world = World {
            organizations,
            ids,
            journal: Journal::default(),
            requests: RequestLog::default(),
            faults: Faults::default(),
            limits: Limits::default(),
        };
        Ok(Self { world: Arc::new(Mutex::new(world)), clock })
    }

    /// The API and the control paths, to be called in process.
    pub fn router(&self) -> Router {
        http::router(self.clone(), CancellationToken::new())
    }

    /// Serves the sandbox until `shutdown` completes; requests that hang end then.
    ///
    /// # Errors
    /// If the listener fails for good.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let closing = CancellationToken::new();
        let router = http::router(self.clone(), closing.clone());
        let service = router.into_make_service_with_connect_info::<Connection>();
        let stop = async move {
            shutdown.await;
            closing.cancel();
        };
        axum::serve(Doorway(listener), service).with_graceful_shutdown(stop).await
    }

    /// Every commit so far, in order.
    #[must_use]
    pub fn journal(&self) -> Vec<Commit> {
        self.lock().journal.commits().to_vec()
    }

    /// Every request so far, counted and listed.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.lock().requests.requests()
    }

    /// The organizations' ids.
    #[must_use]
    pub fn organizations(&self) -> Vec<String> {
        self.lock().organizations.keys().cloned().collect()
    }

    /// The temporary grants that have not expired, oldest first; none for an unknown organization.
    #[must_use]
    pub fn live_grants(&self, organization: &str) -> Vec<TemporaryGrant> {
        let now = self.clock.now();
        let live = |found: &Organization| found.grants.iter().filter(|grant| !grant.is_expired(now)).cloned().collect();
        self.lock().organizations.get(organization).map(live).unwrap_or_default()
    }

    /// The role documents in force; none for an unknown organization.
    #[must_use]
    pub fn roles(&self, organization: &str) -> Vec<RoleDocument> {
        let in_force =
            |found: &Organization| found.roles.iter().filter(|role| role.replaced_at.is_none()).cloned().collect();
        self.lock().organizations.get(organization).map(in_force).unwrap_or_default()
    }

    /// The users; none for an unknown organization.
    #[must_use]
    pub fn users(&self, organization: &str) -> Vec<User> {
        self.lock().organizations.get(organization).map(|found| found.users.clone()).unwrap_or_default()
    }

    /// The name of a user's role.
    #[must_use]
    pub fn user_role(&self, organization: &str, user_id: &str) -> Option<String> {
        let world = self.lock();
        let organization = world.organizations.get(organization)?;
        organization.role_by_id(&organization.user(user_id)?.role_id).map(|role| role.name.clone())
    }

    /// The organization's behavior.
    #[must_use]
    pub fn behavior(&self, organization: &str) -> Option<Behavior> {
        self.lock().organizations.get(organization).map(|found| found.behavior.clone())
    }

    /// Changes the organization's behavior from now on.
    ///
    /// # Errors
    /// If there is no such organization.
    pub fn set_behavior(&self, organization: &str, change: impl FnOnce(&mut Behavior)) -> Result<(), SeedError> {
        self.change(organization, |found, _| {
            change(&mut found.behavior);
            Ok(())
        })
    }

    /// Adds a conversation. Not in the journal.
    ///
    /// # Errors
    /// As for a seed: an id twice, an unknown owner, a malformed id.
    pub fn add_conversation(&self, organization: &str, seed: ConversationSeed) -> Result<(), SeedError> {
        let now = self.clock.now();
        self.change(organization, |found, ids| found.plant_conversation(seed, ids, now))
    }

    /// Adds a user. Not in the journal.
    ///
    /// # Errors
    /// As for a seed: an id or email twice, an unknown role.
    pub fn add_user(&self, organization: &str, seed: UserSeed) -> Result<(), SeedError> {
        self.change(organization, |found, _| found.plant_user(seed))
    }

    /// Adds a role. Not in the journal.
    ///
    /// # Errors
    /// As for a seed: a name twice, a malformed id, a deny in the model `AllowOnly`.
    pub fn add_role(&self, organization: &str, seed: RoleSeed) -> Result<(), SeedError> {
        self.change(organization, |found, ids| found.plant_role(seed, ids))
    }

    /// Gives an API key another secret and ends every token, as after a rotation. Not in the journal.
    ///
    /// # Errors
    /// If there is no such organization or key.
    pub fn set_api_key_secret(&self, organization: &str, key_id: &str, secret: SecretString) -> Result<(), SeedError> {
        self.change(organization, |found, _| {
            let Some(key) = found.keys.iter_mut().find(|key| key.key_id == key_id) else {
                let (organization, kind, name) = (found.id.clone(), "API key", key_id.to_owned());
                return Err(SeedError::NotThere { organization, kind, name });
            };
            key.secret = secret;
            found.tokens.clear();
            Ok(())
        })
    }

    /// Lets a fault happen.
    pub fn add_fault(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// The faults that are still to happen.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.lock().faults.pending().to_vec()
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    fn change(
        &self,
        organization: &str,
        change: impl FnOnce(&mut Organization, &mut Ids) -> Result<(), SeedError>,
    ) -> Result<(), SeedError> {
        let world = &mut *self.lock();
        let found = world.organizations.get_mut(organization);
        change(found.ok_or_else(|| SeedError::NoOrganization(organization.to_owned()))?, &mut world.ids)
    }

    fn perform(&self, operation: Operation, input: &Input) -> Reply {
        self.lock().perform(operation, input, self.clock.now(), self.clock.boot())
    }

    fn hit_faults(&self, operation: Operation) -> Vec<Fault> {
        self.lock().faults.hit(operation)
    }

    fn request_arrived(&self, organization: Option<String>, operation: Option<Operation>) -> u64 {
        self.lock().requests.arrived(self.clock.now(), organization, operation)
    }

    fn request_answered(&self, sequence: u64, operation: Option<Operation>, status: u16) {
        self.lock().requests.answered(sequence, operation, status);
    }

    /// A panic elsewhere leaves the state whole: every commit is one step.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sandbox").field("organizations", &self.organizations()).finish_non_exhaustive()
    }
}
