//! Requests with their token and their rate limit, and which of them may be repeated.

use std::{sync::Arc, time::Duration};

use tracing::{Instrument as _, info_span};

use super::{
    gate::Gate,
    rate_limiter::{Permit, Reservation},
    request::ApiRequest,
    response::ApiResponse,
    sender::Sender,
    sign_in::TokenKeeper,
    token::Token,
    turn_queue::Turn,
};
use crate::{Cause, Error};

/// A read is repeated this often at most.
const REPEATS: u32 = 2;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// What a client shares among its clones and its look-ups.
///
/// # Guarantees
/// The rate limiter admits each HTTP request, repeats included. Reads are repeated at most twice, within one deadline.
/// Changes are repeated once after a 401 and another sign-in, else never. [`Session::send_once`] repeats nothing.
///
/// # Assumptions
/// A 401 means that the server changed nothing.
///
/// # Caveats
/// The wait for the rate limiter is not part of the deadline; dropping the future ends it.
pub(super) struct Session {
    pub(super) sender: Sender,
    pub(super) tokens: TokenKeeper,
}

/// What the first attempt of a request has of the rate limit already.
#[derive(Default)]
pub(super) struct Admission {
    pub(super) permit: Option<Permit>,
    pub(super) reservation: Option<Reservation>,
}

impl Session {
    /// Sends a request, and repeats it where that is safe.
    pub(super) async fn send(&self, request: ApiRequest) -> Result<ApiResponse, Error> {
        self.send_with_permit(request, None).await
    }

    /// The same, where the rate limiter has admitted the first attempt.
    pub(super) async fn send_with_permit(
        &self,
        request: ApiRequest,
        permit: Option<Permit>,
    ) -> Result<ApiResponse, Error> {
        self.send_while(request, Admission { permit, ..Admission::default() }, &|| true).await
    }

    /// The same, while `precondition` is true: checked after every wait, right before sending.
    pub(super) async fn send_while(
        &self,
        request: ApiRequest,
        admission: Admission,
        precondition: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<ApiResponse, Error> {
        let Sender { transport, rate_limiter, clock, .. } = &self.sender;
        let Admission { mut permit, reservation: mut turn } = admission;
        let endpoint = request.endpoint;
        let mut left = transport.deadline();
        let mut repeats = 0;
        let mut signed_in_again = false;
        loop {
            let permit = if let Some(permit) = permit.take() {
                permit
            } else {
                // Without a token there is no point in queueing; after a long queue the token may be another.
                self.token_for(&request).await?;
                let turn = turn.take().unwrap_or_else(|| rate_limiter.reserve(endpoint, 1, Turn::default()));
                turn.turn().instrument(info_span!("wait for the rate limit", %endpoint)).await
            };
            let token = self.token_for(&request).await?;
            if !precondition() {
                return Err(Error::new(endpoint, Cause::TooLate));
            }
            let started = clock.boot();
            let error = match self.attempt(&request, token.as_ref(), self.sender.gate(None), left).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if error.never_connected() {
                rate_limiter.refund(endpoint, &permit);
            }
            left = left.saturating_sub(clock.boot().saturating_sub(started));
            if error.status() == Some(401) && token.is_some() && !signed_in_again && !left.is_zero() {
                signed_in_again = true;
                continue;
            }
            let backoff = jittered(FIRST_BACKOFF * 2_u32.pow(repeats));
            if !endpoint.is_read() || !error.is_transient() || repeats == REPEATS || left <= backoff {
                return Err(error);
            }
            repeats += 1;
            left -= backoff;
            tokio::time::sleep(backoff).await;
        }
    }

    /// Sends exactly once, with a reserved turn, and not after the time to send.
    pub(super) async fn send_once(
        &self,
        request: &ApiRequest,
        reservation: &Reservation,
    ) -> Result<ApiResponse, Error> {
        let token = self.token_for(request).await?;
        let permit = reservation.begin()?;
        let gate = self.sender.gate(reservation.send_before());
        let result = self.attempt(request, token.as_ref(), gate, self.sender.transport.deadline()).await;
        if result.as_ref().is_err_and(Error::never_connected) {
            self.sender.rate_limiter.refund(request.endpoint, &permit);
        }
        result
    }

    /// A token if the request needs one.
    async fn token_for(&self, request: &ApiRequest) -> Result<Option<Token>, Error> {
        if !request.needs_token {
            return Ok(None);
        }
        let error = match self.tokens.token(&self.sender).await {
            Ok(token) => return Ok(Some(token)),
            Err(error) => error,
        };
        let cause = match error.cause {
            cause @ Cause::CredentialsRejected { .. } => cause,
            _ => Cause::SignIn(Box::new(error)),
        };
        Err(Error::new(request.endpoint, cause))
    }

    /// Sends once, and records whether the server accepted the token.
    async fn attempt(
        &self,
        request: &ApiRequest,
        token: Option<&Token>,
        gate: Arc<Gate>,
        deadline: Duration,
    ) -> Result<ApiResponse, Error> {
        let result = self.sender.send(request, token, gate, deadline).await;
        if let Some(token) = token {
            match &result {
                Err(error) if error.status() == Some(401) => self.tokens.rejected(token, error),
                Err(error) if error.status().is_none() => {}
                _ => self.tokens.accepted(),
            }
        }
        result
    }
}

/// Between half of the pause and all of it, so that many callers do not return at the same moment.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
