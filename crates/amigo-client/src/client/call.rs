//! One call: budget, token, request, answer, and what may be repeated.

use std::{borrow::Cow, sync::Arc, time::Duration};

use amigo_runtime::clock::SharedClock;
use bytes::Bytes;
use http::{HeaderValue, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::Serialize;
use tracing::{Instrument as _, field::Empty, info_span};

use super::{
    ApiAddress, Budgets, Cause, Credentials, Endpoint, Error, Reservation,
    budgets::Permit,
    gate::{Gate, GatedBody},
    secrets::Secrets,
    sign_in::{Token, TokenKeeper},
    transport::{Answer, Attempt, Transport},
};

/// A read is repeated this often at most.
const REPEATS: u32 = 2;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const USER_AGENT: &str = concat!("amigo-operator/", env!("CARGO_PKG_VERSION"));
/// Everything but the unreserved characters: `+` in a query would arrive as a space.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a client shares among its clones and its look-ups.
///
/// # Expected flow
/// [`Core::call`] for everything but grants, [`Core::call_once`] for grants.
///
/// # Guarantees
/// Each HTTP call, repeats included, takes one call from its budget first. Reads are repeated at most twice, within one
/// deadline. Changes are repeated once after a 401 and a new sign-in, else never. `call_once` repeats nothing.
///
/// # Assumptions
/// A 401 means that nothing was done.
///
/// # Caveats
/// Waiting for the budget is not part of the deadline; dropping the future ends it.
///
/// # Errors
/// All of [`Error`] but those of look-ups and roles.
pub(super) struct Core {
    pub(super) transport: Transport,
    pub(super) connection: ApiAddress,
    pub(super) tokens: TokenKeeper,
    pub(super) budgets: Arc<Budgets>,
    pub(super) clock: SharedClock,
}

/// What to ask.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    path: Cow<'static, str>,
    query: String,
    body: Option<Bytes>,
    signed: bool,
}

impl Request {
    /// A read of a path below the organization; the path is sent as it is.
    pub(super) fn get(endpoint: Endpoint, path: impl Into<Cow<'static, str>>) -> Self {
        Self { endpoint, path: path.into(), query: String::new(), body: None, signed: true }
    }

    /// A change with a JSON body.
    pub(super) fn post<B: Serialize>(
        endpoint: Endpoint,
        path: impl Into<Cow<'static, str>>,
        body: &B,
    ) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::invalid_input(endpoint, &error.to_string()))?;
        Ok(Self { body: Some(body.into()), ..Self::get(endpoint, path) })
    }

    /// The same with one more query parameter; arrays are repeated keys.
    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(key);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, RESERVED));
        self
    }

    /// The same with a parameter for each value.
    pub(super) fn queries<'a>(self, key: &str, values: impl IntoIterator<Item = &'a String>) -> Self {
        values.into_iter().fold(self, |request, value| request.query(key, value))
    }

    /// Whether it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        self.endpoint.is_read()
    }

    /// The same without a token.
    pub(super) fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }
}

impl Core {
    /// Calls, and repeats what is safe to repeat.
    pub(super) async fn call(&self, request: Request) -> Result<Answer, Error> {
        self.call_with(request, None).await
    }

    /// The same, where the budget of the first attempt has been taken.
    pub(super) async fn call_with(&self, request: Request, permit: Option<Permit>) -> Result<Answer, Error> {
        self.call_while(request, permit, &|| true).await
    }

    /// The same, while `holds`: asked after every wait, right before sending.
    pub(super) async fn call_while(
        &self,
        request: Request,
        mut permit: Option<Permit>,
        holds: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Answer, Error> {
        let endpoint = request.endpoint;
        let mut left = self.transport.deadline();
        let mut repeats = 0;
        let mut signed_in_again = false;
        loop {
            if permit.take().is_none() {
                // Without a token there is no point in queueing; after a long queue the token may be another.
                self.token_for(&request).await?;
                self.budgets.acquire(endpoint).instrument(info_span!("wait for the rate budget", %endpoint)).await;
            }
            let token = self.token_for(&request).await?;
            if !holds() {
                return Err(Error::new(endpoint, Cause::TooLate));
            }
            let started = self.clock.boot();
            let error = match self.send(&request, token.as_ref(), Gate::new(None, self.clock.clone()), left).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            left = left.saturating_sub(self.clock.boot().saturating_sub(started));
            if error.status() == Some(401) && token.is_some() && !signed_in_again && !left.is_zero() {
                signed_in_again = true;
                continue;
            }
            let backoff = jittered(FIRST_BACKOFF * 2_u32.pow(repeats));
            if !endpoint.is_read() || !error.passing() || repeats == REPEATS || left <= backoff {
                return Err(error);
            }
            repeats += 1;
            left -= backoff;
            tokio::time::sleep(backoff).await;
        }
    }

    /// Calls exactly once, with a reserved call, and not after the time to send.
    pub(super) async fn call_once(&self, request: &Request, reservation: &mut Reservation) -> Result<Answer, Error> {
        let token = self.token_for(request).await?;
        reservation.begin()?;
        let gate = Gate::new(reservation.send_before(), self.clock.clone());
        self.send(request, token.as_ref(), gate, self.transport.deadline()).await
    }

    /// The sign-in itself: three headers and no body.
    pub(super) async fn send_sign_in(&self, credentials: &Credentials) -> Result<Answer, Error> {
        let endpoint = Endpoint::SignIn;
        let request = Request { body: None, ..Request::get(endpoint, "user/signin_with_api_key").unsigned() };
        let gate = Gate::new(None, self.clock.clone());
        let mut http = self.http_request(&request, &gate)?;
        let api_key = credentials.api_key.expose_secret();
        for (name, value) in
            [("x-api-key", api_key), ("x-api-key-id", &credentials.api_key_id), ("x-user-id", &credentials.user_id)]
        {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                Error::invalid_input(endpoint, &format!("the value for {name} does not fit into a header"))
            })?;
            value.set_sensitive(true);
            http.headers_mut().insert(name, value);
        }
        self.budgets.acquire(endpoint).await;
        self.exchange(endpoint, http, gate, self.transport.deadline(), None).await
    }

    /// A token if the request needs one.
    async fn token_for(&self, request: &Request) -> Result<Option<Token>, Error> {
        if !request.signed {
            return Ok(None);
        }
        let endpoint = request.endpoint;
        match self.tokens.token(self).await {
            Ok(token) => Ok(Some(token)),
            Err(Error { cause: cause @ Cause::CredentialsRejected { .. }, .. }) => Err(Error::new(endpoint, cause)),
            Err(error) => Err(Error::new(endpoint, Cause::SignIn(Box::new(error)))),
        }
    }

    /// One attempt.
    async fn send(
        &self,
        request: &Request,
        token: Option<&Token>,
        gate: Arc<Gate>,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        let endpoint = request.endpoint;
        let mut http = self.http_request(request, &gate)?;
        if let Some(token) = token {
            let bearer = format!("Bearer {}", token.secret().expose_secret());
            let mut value = HeaderValue::from_str(&bearer)
                .map_err(|_| Error::invalid_input(endpoint, "the token does not fit into a header"))?;
            value.set_sensitive(true);
            http.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let result = self.exchange(endpoint, http, gate, deadline, token).await;
        if let Some(token) = token {
            match &result {
                Err(error) if error.status() == Some(401) => self.tokens.rejected(token, error),
                Err(error) if error.status().is_none() => {}
                _ => self.tokens.accepted(),
            }
        }
        result
    }

    /// Sends, counts, and lets the budget learn.
    async fn exchange(
        &self,
        endpoint: Endpoint,
        request: http::Request<GatedBody>,
        gate: Arc<Gate>,
        deadline: Duration,
        token: Option<&Token>,
    ) -> Result<Answer, Error> {
        let api_key = &self.tokens.credentials().api_key;
        let secrets = Secrets::new([Some(api_key), token.map(Token::secret)].into_iter().flatten().cloned());
        let started = self.clock.boot();
        let attempt = Attempt { endpoint, request, gate, deadline, secrets, now: self.clock.now() };
        let span = info_span!("call Amigo", otel.kind = "client", %endpoint, status = Empty, outcome = Empty);
        let result = self.transport.send(attempt).instrument(span.clone()).await;
        let took = self.clock.boot().saturating_sub(started);
        self.budgets.observer().call(endpoint, result.as_ref().map(|answer| answer.status), took);
        let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        let status = result.as_ref().map_or_else(Error::status, |answer| Some(answer.status));
        span.record("status", status).record("outcome", outcome);
        tracing::debug!(%endpoint, status, outcome, ?took, "called the Amigo API");
        match &result {
            Ok(_) => self.budgets.succeeded(endpoint),
            Err(error) if error.status() == Some(429) => self.budgets.limited(endpoint, error.retry_after()),
            Err(_) => {}
        }
        result
    }

    fn http_request(&self, request: &Request, gate: &Arc<Gate>) -> Result<http::Request<GatedBody>, Error> {
        let endpoint = request.endpoint;
        let invalid = |error: http::Error| Error::invalid_input(endpoint, &error.to_string());
        let mut builder = http::Request::builder()
            .method(endpoint.method())
            .uri(self.uri(request)?)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT);
        if request.body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        builder.body(gate.body(request.body.clone())).map_err(invalid)
    }

    fn uri(&self, request: &Request) -> Result<Uri, Error> {
        let endpoint = request.endpoint;
        let base = &self.connection.base_url;
        let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
            return Err(Error::invalid_input(endpoint, "the API's address has no scheme or no host"));
        };
        let prefix = base.path().trim_end_matches('/');
        let organization = segment(endpoint, &self.connection.organization)?;
        let Request { path, query, .. } = request;
        format!("{scheme}://{authority}{prefix}/v1/{organization}/{path}{query}")
            .parse()
            .map_err(|_| Error::invalid_input(endpoint, "the address is too long or malformed"))
    }
}

/// A name as one segment of a path. A dot segment would be resolved away on the road, to a different operation.
pub(super) fn segment(endpoint: Endpoint, name: &str) -> Result<String, Error> {
    if matches!(name, "" | "." | "..") {
        return Err(Error::invalid_input(endpoint, &format!("{name:?} cannot be part of a path")));
    }
    Ok(utf8_percent_encode(name, RESERVED).to_string())
}

/// Between half of the pause and all of it, so that many callers do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
