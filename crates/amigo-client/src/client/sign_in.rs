//! One token for all callers (API document, sign-in; facts on authentication).

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amigo_runtime::clock::Clock;
use http::HeaderValue;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Cause, Credentials, Endpoint, Error, call::Core, excerpt::Excerpt, transport::Answer};

/// A token is renewed this long before its end, or a fifth of its life before if that is shorter.
const MARGIN: Duration = Duration::from_mins(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The sign-in of one client.
///
/// # Expected flow
/// Each call asks for [`TokenKeeper::token`]; a 401 is reported with [`TokenKeeper::rejected`], any other answer with
/// [`TokenKeeper::accepted`].
///
/// # Guarantees
/// One sign-in at a time, whose result all waiting callers share. A token in its last stretch is still used when
/// its renewal fails. After a failure no sign-in for a pause that grows from 1 s to 60 s. After a 401 none at
/// all, except by [`TokenKeeper::probe`].
///
/// # Assumptions
/// `expires_at` and the local wall clock agree within the margin.
///
/// # Caveats
/// A token that a call rejects although it is new counts as refused credentials when the token before it met the same.
///
/// # Errors
/// Those of the sign-in call, `CredentialsRejected` after a 401.
pub(super) struct TokenKeeper {
    credentials: Credentials,
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

/// A token to send, and which of all tokens it is.
#[derive(Clone)]
pub(super) struct Token {
    secret: SecretString,
    number: u64,
    refresh_at: Duration,
    ends_at: Duration,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<Failure>,
    refused: Option<Excerpt>,
    issued: u64,
    /// A call rejected a token, and none was accepted since.
    doubted: bool,
}

#[derive(Clone)]
struct Failure {
    error: Error,
    retry_at: Duration,
    pause: Duration,
}

/// What the state says before any call.
enum Standing {
    Ready(Token),
    Due(Token),
    Missing,
    Not(Error),
}

#[derive(Deserialize)]
struct SignInBody {
    id_token: String,
    expires_at: Timestamp,
}

impl TokenKeeper {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, state: Mutex::default(), flight: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether the server has refused the credentials.
    pub(super) fn refused(&self, endpoint: Endpoint) -> Option<Error> {
        let message = self.state().refused.clone()?;
        Some(Error::new(endpoint, Cause::CredentialsRejected { message }))
    }

    /// A valid token, from the cache or by signing in.
    pub(super) async fn token(&self, core: &Core) -> Result<Token, Error> {
        let _flight = match self.standing(&*core.clock) {
            Standing::Ready(token) => return Ok(token),
            Standing::Not(error) => return Err(error),
            // While somebody else renews it, the old one serves.
            Standing::Due(token) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(token),
            },
            Standing::Missing => self.flight.lock().await,
        };
        // Whoever flew before us may have settled it.
        let old = match self.standing(&*core.clock) {
            Standing::Ready(token) => return Ok(token),
            Standing::Not(error) => return Err(error),
            Standing::Due(token) => Some(token),
            Standing::Missing => None,
        };
        match (self.sign_in(core).await, old) {
            (Err(error), Some(old)) if self.refused(Endpoint::SignIn).is_none() => {
                tracing::debug!(kind = error.kind().as_str(), "token not renewed; the old one is still valid");
                Ok(old)
            }
            (result, _) => result,
        }
    }

    /// Signs in whatever happened before.
    pub(super) async fn probe(&self, core: &Core) -> Result<(), Error> {
        let _flight = self.flight.lock().await;
        self.sign_in(core).await.map(drop)
    }

    /// A call got a 401 with `token`.
    pub(super) fn rejected(&self, token: &Token, message: &Error) {
        let mut state = self.state();
        // Many calls may be under way with one token: only the first to come back counts.
        if state.token.as_ref().is_none_or(|held| held.number != token.number) {
            return;
        }
        state.token = None;
        if state.doubted {
            state.refused = Some(refusal(message));
        }
        state.doubted = true;
    }

    /// A call was answered with something else than a 401.
    pub(super) fn accepted(&self) {
        self.state().doubted = false;
    }

    async fn sign_in(&self, core: &Core) -> Result<Token, Error> {
        let result = match core.send_sign_in(&self.credentials).await {
            Ok(answer) => self.read(&answer, &*core.clock),
            Err(error) => Err(error),
        };
        let now = core.clock.boot();
        let mut state = self.state();
        match &result {
            Ok(token) => {
                state.token = Some(token.clone());
                state.issued = token.number;
                state.failure = None;
                state.refused = None;
            }
            Err(error) if error.status() == Some(401) => {
                state.token = None;
                state.refused = Some(refusal(error));
            }
            Err(error) => {
                let pause =
                    state.failure.as_ref().map_or(FIRST_PAUSE, |failure| (failure.pause * 2).min(LONGEST_PAUSE));
                let retry_at = now + error.retry_after().unwrap_or_default().max(pause);
                state.failure = Some(Failure { error: error.clone(), retry_at, pause });
            }
        }
        result
    }

    /// The token of an answer. The message of the JSON library could quote it, so the error has its own words.
    fn read(&self, answer: &Answer, clock: &dyn Clock) -> Result<Token, Error> {
        let malformed = |detail: &str| {
            Error::new(answer.endpoint, Cause::Malformed { status: answer.status, detail: detail.into() })
        };
        let SignInBody { id_token, expires_at } = serde_json::from_slice(&answer.body)
            .map_err(|_| malformed("no id_token, or no expires_at with a time zone"))?;
        let life = Duration::try_from(expires_at.duration_since(clock.now()))
            .ok()
            .filter(|life| !life.is_zero())
            .ok_or_else(|| malformed("the token has already expired; is the clock of this machine right?"))?;
        if HeaderValue::from_str(&id_token).is_err() {
            return Err(malformed("the token does not fit into a header"));
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

    fn standing(&self, clock: &dyn Clock) -> Standing {
        let now = clock.boot();
        let state = self.state();
        if let Some(message) = &state.refused {
            return Standing::Not(Error::new(
                Endpoint::SignIn,
                Cause::CredentialsRejected { message: message.clone() },
            ));
        }
        let pausing = state.failure.as_ref().filter(|failure| now < failure.retry_at);
        match (&state.token, pausing) {
            (Some(token), _) if now < token.refresh_at => Standing::Ready(token.clone()),
            (Some(token), Some(_)) if now < token.ends_at => Standing::Ready(token.clone()),
            (Some(token), None) if now < token.ends_at => Standing::Due(token.clone()),
            (_, Some(failure)) => Standing::Not(failure.error.clone()),
            (_, None) => Standing::Missing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere cannot have spoilt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Token {
    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

impl fmt::Debug for TokenKeeper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenKeeper").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

fn refusal(error: &Error) -> Excerpt {
    match &error.cause {
        Cause::Answered { message, .. } => message.clone(),
        _ => Excerpt::new(&error.to_string()),
    }
}
