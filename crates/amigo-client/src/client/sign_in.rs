//! One token for all callers (API document, sign-in; facts on authentication).

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_runtime::clock::Clock;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{request::ApiRequest, response::ApiResponse, secrets::Secrets, sender::Sender, token::Token};
use crate::{Cause, Credentials, Endpoint, Error, Excerpt};

/// A token is renewed this long before its end, or a fifth of its life before if that is shorter.
const MARGIN: Duration = Duration::from_mins(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The same without a connection: the server counts no request.
const LONGEST_PAUSE_UNCONNECTED: Duration = Duration::from_secs(10);
/// Every caller waits for the sign-in, so it waits for the rate limit only for a moment.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The sign-in of one client.
///
/// # Expected flow
/// Each request takes its token from [`TokenKeeper::token`], then reports a 401 with [`TokenKeeper::rejected`] and any
/// other response with [`TokenKeeper::accepted`].
///
/// # Guarantees
/// One sign-in at a time, whose result all waiting callers share. While a renewal fails, the old token serves until it
/// expires. After a failure no sign-in for a pause that grows from 1 s to 60 s, or to 10 s without a connection. After a 401 none at all, except by
/// [`TokenKeeper::probe`].
///
/// # Assumptions
/// `expires_at` and the local wall clock agree within the margin.
///
/// # Caveats
/// When the server rejects two tokens in a row, the credentials count as rejected.
pub(super) struct TokenKeeper {
    credentials: Credentials,
    state: Mutex<State>,
    signing_in: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    backoff: Option<Backoff>,
    /// What the server said when it rejected the credentials.
    rejection: Option<Excerpt>,
    issued: u64,
    /// The server rejected a token, and has accepted none since.
    doubted: bool,
}

/// The pause after a failed sign-in.
struct Backoff {
    error: Error,
    retry_at: Duration,
    pause: Duration,
}

/// What a caller may do without a request.
enum Availability {
    Valid(Token),
    RenewalDue(Token),
    Missing,
    Unavailable(Error),
}

#[derive(Deserialize)]
struct SignInBody {
    id_token: String,
    expires_at: Timestamp,
}

impl TokenKeeper {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, state: Mutex::default(), signing_in: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The error of every request for `endpoint` once the server has rejected the credentials.
    pub(super) fn rejection(&self, endpoint: Endpoint) -> Option<Error> {
        let message = self.state().rejection.clone()?;
        Some(Error::new(endpoint, Cause::CredentialsRejected { message }))
    }

    /// A valid token, from the cache or by signing in.
    pub(super) async fn token(&self, sender: &Sender) -> Result<Token, Error> {
        let _signing_in = match self.availability(&*sender.clock) {
            Availability::Valid(token) => return Ok(token),
            Availability::Unavailable(error) => return Err(error),
            // While another caller renews it, the old token serves.
            Availability::RenewalDue(token) => match self.signing_in.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(token),
            },
            Availability::Missing => self.signing_in.lock().await,
        };
        // Another caller may have signed in while this one waited.
        let old = match self.availability(&*sender.clock) {
            Availability::Valid(token) => return Ok(token),
            Availability::Unavailable(error) => return Err(error),
            Availability::RenewalDue(token) => Some(token),
            Availability::Missing => None,
        };
        match (self.sign_in(sender).await, old) {
            (Err(error), Some(old)) if self.rejection(Endpoint::SignIn).is_none() => {
                tracing::debug!(kind = error.kind().as_str(), "token renewal failed; the old token is still valid");
                Ok(old)
            }
            (result, _) => result,
        }
    }

    /// Signs in, even after a rejection or during a pause.
    pub(super) async fn probe(&self, sender: &Sender) -> Result<(), Error> {
        let _signing_in = self.signing_in.lock().await;
        self.sign_in(sender).await.map(drop)
    }

    /// The server responded to `token` with a 401.
    pub(super) fn rejected(&self, token: &Token, error: &Error) {
        let mut state = self.state();
        // Many requests may carry one token: only the first response counts.
        if state.token.as_ref().is_none_or(|current| current.number != token.number) {
            return;
        }
        state.token = None;
        if state.doubted {
            state.rejection = Some(server_message(error));
        }
        state.doubted = true;
    }

    /// The server responded with another status than 401.
    pub(super) fn accepted(&self) {
        self.state().doubted = false;
    }

    async fn sign_in(&self, sender: &Sender) -> Result<Token, Error> {
        let result = match self.request_token(sender).await {
            Ok(response) => self.parse(&response, &*sender.clock),
            Err(error) => Err(error),
        };
        let now = sender.clock.boot();
        let mut state = self.state();
        match &result {
            Ok(token) => {
                state.token = Some(token.clone());
                state.issued = token.number;
                state.backoff = None;
                state.rejection = None;
            }
            Err(error) if error.status() == Some(401) => {
                state.token = None;
                state.rejection = Some(server_message(error));
            }
            Err(error) => {
                let longest = if error.never_connected() { LONGEST_PAUSE_UNCONNECTED } else { LONGEST_PAUSE };
                let pause = state.backoff.as_ref().map_or(FIRST_PAUSE, |backoff| (backoff.pause * 2).min(longest));
                let retry_at = now + error.retry_after().unwrap_or_default().max(pause);
                state.backoff = Some(Backoff { error: error.clone(), retry_at, pause });
            }
        }
        result
    }

    /// Three headers and no body.
    async fn request_token(&self, sender: &Sender) -> Result<ApiResponse, Error> {
        let Credentials { api_key, api_key_id, user_id } = &self.credentials;
        let request = ApiRequest::get(Endpoint::SignIn, "user/signin_with_api_key").without_token();
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-api-key", api_key.expose_secret()), ("x-api-key-id", api_key_id), ("x-user-id", user_id)]
        {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                Error::invalid_input(Endpoint::SignIn, &format!("the value of {name} is not a valid header value"))
            })?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let wait = sender.rate_limiter.wait(Endpoint::SignIn);
        if wait > MAX_WAIT {
            // While the server asks for a pause, that is the reason.
            let last = self.state().backoff.as_ref().map(|backoff| backoff.error.clone());
            let throttled = || Error::new(Endpoint::SignIn, Cause::Throttled { wait });
            return Err(last.filter(|error| error.status() == Some(429)).unwrap_or_else(throttled));
        }
        let permit = sender.rate_limiter.acquire(Endpoint::SignIn).await;
        let (gate, deadline) = (sender.gate(None), sender.transport.deadline());
        let secrets = Secrets::new([api_key.clone()]);
        let result = sender.send_with_headers(&request, headers, secrets, gate, deadline).await;
        if result.as_ref().is_err_and(Error::never_connected) {
            sender.rate_limiter.refund(Endpoint::SignIn, &permit);
        }
        result
    }

    /// The token of a response. The message of the JSON library could quote it, so the error has its own text.
    fn parse(&self, response: &ApiResponse, clock: &dyn Clock) -> Result<Token, Error> {
        let malformed = |detail: &str| {
            Error::new(response.endpoint, Cause::Malformed { status: response.status, detail: detail.into() })
        };
        let SignInBody { id_token, expires_at } = serde_json::from_slice(&response.body)
            .map_err(|_| malformed("it has no id_token, or no expires_at with a time zone"))?;
        let life = Duration::try_from(expires_at.duration_since(clock.now()))
            .ok()
            .filter(|life| !life.is_zero())
            .ok_or_else(|| malformed("the token has already expired; check the clock of this machine"))?;
        if HeaderValue::from_str(&id_token).is_err() {
            return Err(malformed("the token is not a valid header value"));
        }
        let now = clock.boot();
        let margin = MARGIN.min(life / 5);
        Ok(Token {
            secret: id_token.into(),
            number: self.state().issued + 1,
            refresh_at: now + life.saturating_sub(margin),
            ends_at: now + life,
        })
    }

    fn availability(&self, clock: &dyn Clock) -> Availability {
        if let Some(error) = self.rejection(Endpoint::SignIn) {
            return Availability::Unavailable(error);
        }
        let now = clock.boot();
        let state = self.state();
        let pausing = state.backoff.as_ref().filter(|backoff| now < backoff.retry_at);
        match (&state.token, pausing) {
            (Some(token), _) if now < token.refresh_at => Availability::Valid(token.clone()),
            (Some(token), Some(_)) if now < token.ends_at => Availability::Valid(token.clone()),
            (Some(token), None) if now < token.ends_at => Availability::RenewalDue(token.clone()),
            (_, Some(backoff)) => Availability::Unavailable(backoff.error.clone()),
            (_, None) => Availability::Missing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements, so a panic elsewhere cannot have damaged it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenKeeper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenKeeper").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

fn server_message(error: &Error) -> Excerpt {
    match &error.cause {
        Cause::Status { message, .. } => message.clone(),
        _ => Excerpt::new(&error.to_string()),
    }
}
