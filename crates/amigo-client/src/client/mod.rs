//! The HTTP client: sign-in, rate budgets, batched look-ups, and one method an operation.

use std::{fmt, sync::Arc};

use amigo_runtime::clock::SharedClock;

use crate::{
    ApiAddress, ApiKey, Cause, CreatedGrant, Credentials, Endpoint, Error, FrontendView, GrantFilter, NewGrant,
    NewRole, OrganizationInfo, PermissionModel, RemoteConversation, RemoteGrant, RemoteGrants, RemotePermissionGrant,
    RemoteRole, RemoteUser, RoleChange, excerpt,
};

pub mod budget;
mod budgets;
mod call;
mod connector;
mod conversations;
mod error_body;
mod gate;
mod grants;
mod lookup;
mod organization;
mod paging;
mod roles;
mod secrets;
mod sign_in;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod users;
mod wire;

pub use budgets::{Budgets, Observe, Reservation, Unobserved, Usage};
pub use lookup::LookupOptions;
pub use transport::{Transport, TransportError, TransportOptions};

use call::{Core, Request};
use lookup::Batcher;
use sign_in::TokenKeeper;
use transport::Answer;

/// The API of one organization, as one service user. Cheap to clone; clones share token, look-ups and budgets.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
    lookups: Arc<Lookups>,
    holds: Option<Holds>,
}

/// Whether what was decided still holds.
pub type Holds = Arc<dyn Fn() -> bool + Send + Sync>;

struct Lookups {
    emails: Batcher<Vec<RemoteUser>>,
    users: Batcher<RemoteUser>,
    conversations: Batcher<RemoteConversation>,
}

impl Client {
    /// A client that has not signed in yet.
    #[must_use]
    pub fn new(
        transport: Transport,
        connection: ApiAddress,
        credentials: Credentials,
        budgets: Arc<Budgets>,
        clock: SharedClock,
    ) -> Self {
        let tokens = TokenKeeper::new(credentials);
        let core = Arc::new(Core { transport, connection, tokens, budgets, clock });
        let lookups = Lookups::new(&core, LookupOptions::default());
        Self { core, lookups: Arc::new(lookups), holds: None }
    }

    /// The same client with other look-ups; call it before cloning.
    #[must_use]
    pub fn with_lookup_options(mut self, options: LookupOptions) -> Self {
        self.lookups = Arc::new(Lookups::new(&self.core, options));
        self
    }

    /// The user all calls act as, which is the creator of all grants.
    #[must_use]
    pub fn service_user_id(&self) -> &str {
        &self.core.tokens.credentials().user_id
    }

    /// The organization's segment in paths.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.core.connection.organization
    }

    /// Makes sure that a valid token is at hand.
    ///
    /// # Errors
    /// Those of the sign-in; `CredentialsRejected` without a call if the server refused before.
    pub async fn sign_in(&self) -> Result<(), Error> {
        self.core.tokens.token(&self.core).await.map(drop)
    }

    /// Signs in whatever happened before; for a slow timer after credentials were refused.
    ///
    /// # Errors
    /// Those of the sign-in.
    pub async fn probe(&self) -> Result<(), Error> {
        self.core.tokens.probe(&self.core).await
    }

    /// The same client for changes that were decided: each is sent only if `holds` says so after the wait for budget,
    /// which may be minutes. Else it ends as too late, and was not sent.
    #[must_use]
    pub fn only_while(self, holds: Holds) -> Self {
        Self { holds: Some(holds), ..self }
    }

    /// Whether both share token, look-ups and budgets.
    #[must_use]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    /// The budgets this client draws on.
    #[must_use]
    pub fn budgets(&self) -> &Arc<Budgets> {
        &self.core.budgets
    }

    async fn call(&self, request: Request) -> Result<Answer, Error> {
        match &self.holds {
            Some(holds) if !request.is_read() => self.core.call_while(request, None, holds.as_ref()).await,
            _ => self.core.call(request).await,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("connection", &self.core.connection)
            .field("tokens", &self.core.tokens)
            .finish_non_exhaustive()
    }
}

impl Lookups {
    fn new(core: &Arc<Core>, LookupOptions { window, remember }: LookupOptions) -> Self {
        let core = || Arc::clone(core);
        Self {
            emails: Batcher::new(core(), Endpoint::Users, users::CAPACITY, window, remember, users::fetch_by_email),
            // The role of a user must be fresh, so nothing is remembered.
            users: Batcher::new(
                core(),
                Endpoint::Users,
                users::CAPACITY,
                window,
                std::time::Duration::ZERO,
                users::fetch_by_id,
            ),
            conversations: Batcher::new(
                core(),
                Endpoint::Conversations,
                conversations::CAPACITY,
                window,
                remember,
                conversations::fetch,
            ),
        }
    }
}
