//! The HTTP client: sign-in, rate limits, batched look-ups, and one method per operation.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use amigo_runtime::clock::SharedClock;

use crate::{ApiAddress, Credentials, Endpoint, Error};

mod batcher;
mod connector;
mod conversations;
mod error_body;
mod gate;
mod grants;
mod lookups;
mod organization;
mod paging;
mod rate_limiter;
mod request;
mod response;
mod roles;
mod secrets;
mod sender;
mod server_clock;
mod session;
mod sign_in;
pub mod sliding_window;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod turn_queue;
mod users;
mod wire;

pub use batcher::LookupOptions;
pub use grants::GrantListing;
pub use rate_limiter::{Observe, RateLimiter, Reservation, Start, Unobserved, Usage};
pub use server_clock::ServerClock;
pub use transport::{Transport, TransportError, TransportOptions};
pub use turn_queue::Turn;

use lookups::Lookups;
use request::ApiRequest;
use response::ApiResponse;
use sender::Sender;
use session::{Admission, Session};
use sign_in::TokenKeeper;

/// The API of one organization, as one service user. Cheap to clone; clones share token, look-ups and rate limits.
#[derive(Clone)]
pub struct Client {
    session: Arc<Session>,
    lookups: Arc<Lookups>,
    precondition: Option<Precondition>,
    turn: Option<Arc<Mutex<Option<Reservation>>>>,
}

/// Whether a change is still wanted.
pub type Precondition = Arc<dyn Fn() -> bool + Send + Sync>;

impl Client {
    /// A client that has not signed in yet.
    #[must_use]
    pub fn new(
        transport: Transport,
        address: ApiAddress,
        credentials: Credentials,
        rate_limiter: Arc<RateLimiter>,
        clock: SharedClock,
    ) -> Self {
        let api_key = credentials.api_key.clone();
        let sender = Sender { transport, address, rate_limiter, clock, api_key };
        let session = Arc::new(Session { sender, tokens: TokenKeeper::new(credentials) });
        let lookups = Lookups::new(&session, LookupOptions::default());
        Self { session, lookups: Arc::new(lookups), precondition: None, turn: None }
    }

    /// Changes how look-ups are batched and cached; call it before cloning.
    #[must_use]
    pub fn with_lookup_options(mut self, options: LookupOptions) -> Self {
        self.lookups = Arc::new(Lookups::new(&self.session, options));
        self
    }

    /// The user of all requests, and so the creator of all grants.
    #[must_use]
    pub fn service_user_id(&self) -> &str {
        &self.session.tokens.credentials().user_id
    }

    /// The address of all requests.
    #[must_use]
    pub fn address(&self) -> &ApiAddress {
        &self.session.sender.address
    }

    /// The ID of the organization, a segment of every path.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.session.sender.address.organization
    }

    /// Signs in unless the client has a valid token.
    ///
    /// # Errors
    /// Those of the sign-in; `CredentialsRejected` without a request if the server rejected the credentials before.
    pub async fn sign_in(&self) -> Result<(), Error> {
        self.session.tokens.token(&self.session.sender).await.map(drop)
    }

    /// Signs in even if the server rejected the credentials before; for a slow timer.
    ///
    /// # Errors
    /// Those of the sign-in.
    pub async fn probe(&self) -> Result<(), Error> {
        self.session.tokens.probe(&self.session.sender).await
    }

    /// The same client, but it sends a change only if `precondition` is true after the wait for the rate limit, which may
    /// take minutes. Otherwise the request fails as `TooLate`, and is not sent.
    #[must_use]
    pub fn with_precondition(self, precondition: Precondition) -> Self {
        Self { precondition: Some(precondition), ..self }
    }

    /// The same client, but its next change uses this reservation instead of queueing behind all others.
    #[must_use]
    pub fn with_turn(self, reservation: Reservation) -> Self {
        Self { turn: Some(Arc::new(Mutex::new(Some(reservation)))), ..self }
    }

    /// Books one request and does not wait.
    #[must_use]
    pub fn reserve(&self, endpoint: Endpoint) -> Reservation {
        self.rate_limiter().reserve(endpoint, 1, Turn::default())
    }

    /// The reservation of [`Client::with_turn`], if it is for this operation.
    fn take_turn(&self, endpoint: Endpoint) -> Admission {
        let turn = self.turn.as_ref();
        let taken = turn.and_then(|turn| {
            turn.lock().unwrap_or_else(PoisonError::into_inner).take_if(|turn| turn.endpoint() == endpoint)
        });
        Admission { reservation: taken, ..Admission::default() }
    }

    /// Whether both share token, look-ups and rate limits.
    #[must_use]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.session, &other.session)
    }

    /// The rate limits of this client.
    #[must_use]
    pub fn rate_limiter(&self) -> &Arc<RateLimiter> {
        &self.session.sender.rate_limiter
    }

    async fn send(&self, request: ApiRequest) -> Result<ApiResponse, Error> {
        match &self.precondition {
            Some(precondition) if !request.endpoint.is_read() => {
                let turn = self.take_turn(request.endpoint);
                self.session.send_while(request, turn, precondition.as_ref()).await
            }
            _ => self.session.send(request).await,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("address", &self.session.sender.address)
            .field("tokens", &self.session.tokens)
            .finish_non_exhaustive()
    }
}
