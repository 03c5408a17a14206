//! One attempt of a request: address, headers, rate limit, and what every attempt reports.

use std::{sync::Arc, time::Duration};

use amigo_runtime::{clock::SharedClock, crash_points::Effect};
use http::{HeaderMap, Uri, header};
use secrecy::SecretString;
use tracing::{Instrument as _, field::Empty, info_span};

use super::{
    gate::{Gate, GatedBody},
    rate_limiter::RateLimiter,
    request::{ApiRequest, segment},
    response::ApiResponse,
    secrets::Secrets,
    token::Token,
    transport::{Attempt, Transport},
};
use crate::{ApiAddress, Error};

const USER_AGENT: &str = concat!("amigo-operator/", env!("CARGO_PKG_VERSION"));

/// Sends requests to one organization, each once.
pub(super) struct Sender {
    pub(super) transport: Transport,
    pub(super) address: ApiAddress,
    pub(super) rate_limiter: Arc<RateLimiter>,
    pub(super) clock: SharedClock,
    /// Removed from everything that the server sends back.
    pub(super) api_key: SecretString,
}

impl Sender {
    /// A gate that opens only before boot time `send_before`.
    pub(super) fn gate(&self, send_before: Option<Duration>) -> Arc<Gate> {
        Gate::new(send_before, self.clock.clone())
    }

    /// Sends one request, which the rate limiter has admitted.
    pub(super) async fn send(
        &self,
        request: &ApiRequest,
        token: Option<&Token>,
        gate: Arc<Gate>,
        deadline: Duration,
    ) -> Result<ApiResponse, Error> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = token
                .authorization()
                .map_err(|_| Error::invalid_input(request.endpoint, "the token is not a valid header value"))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        let secrets =
            Secrets::new([Some(&self.api_key), token.map(|token| &token.secret)].into_iter().flatten().cloned());
        self.send_with_headers(request, headers, secrets, gate, deadline).await
    }

    /// Sends one request with more headers.
    pub(super) async fn send_with_headers(
        &self,
        request: &ApiRequest,
        headers: HeaderMap,
        secrets: Secrets,
        gate: Arc<Gate>,
        deadline: Duration,
    ) -> Result<ApiResponse, Error> {
        let mut http = self.http_request(request, &gate)?;
        http.headers_mut().extend(headers);
        let endpoint = request.endpoint;
        self.exchange(Attempt { endpoint, request: http, gate, deadline, secrets, now: self.clock.now() }).await
    }

    /// Sends, observes, and reports the outcome to the rate limiter.
    async fn exchange(&self, attempt: Attempt) -> Result<ApiResponse, Error> {
        let endpoint = attempt.endpoint;
        let started = self.clock.boot();
        let span = info_span!("Amigo API request", otel.kind = "client", %endpoint, status = Empty, outcome = Empty);
        let effect = Effect::begin(|| endpoint.to_string());
        let result = self.transport.send(attempt).instrument(span.clone()).await;
        effect.end();
        let took = self.clock.boot().saturating_sub(started);
        self.rate_limiter.observer().request(endpoint, result.as_ref().map(|response| response.status), took);
        let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        let status = result.as_ref().map_or_else(Error::status, |response| Some(response.status));
        span.record("status", status).record("outcome", outcome);
        tracing::debug!(%endpoint, status, outcome, ?took, "sent a request to the Amigo API");
        match &result {
            Ok(response) => {
                self.rate_limiter.succeeded(endpoint);
                // No cache stores the response of a POST.
                if let Some(date) = response.date.filter(|_| !endpoint.is_read()) {
                    self.transport.server_clock().record(date, self.clock.now());
                }
            }
            Err(error) if error.status() == Some(429) => self.rate_limiter.limited(endpoint, error.retry_after()),
            Err(_) => {}
        }
        result
    }

    fn http_request(&self, request: &ApiRequest, gate: &Arc<Gate>) -> Result<http::Request<GatedBody>, Error> {
        let endpoint = request.endpoint;
        let mut builder = http::Request::builder()
            .method(endpoint.method())
            .uri(self.uri(request)?)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT);
        if request.body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        } else if endpoint.method() == http::Method::POST {
            // The HTTP library leaves it out, and some proxies then respond with 411 (RFC 9110 8.6).
            builder = builder.header(header::CONTENT_LENGTH, 0);
        }
        let request = builder.body(gate.body(request.body.clone()));
        request.map_err(|error| Error::invalid_input(endpoint, &error.to_string()))
    }

    fn uri(&self, request: &ApiRequest) -> Result<Uri, Error> {
        let ApiRequest { endpoint, path, query, .. } = request;
        let base = &self.address.base_url;
        let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
            return Err(Error::invalid_input(*endpoint, "the base URL of the API has no scheme or no host"));
        };
        let prefix = base.path().trim_end_matches('/');
        let organization = segment(*endpoint, &self.address.organization)?;
        format!("{scheme}://{authority}{prefix}/v1/{organization}/{path}{query}")
            .parse()
            .map_err(|_| Error::invalid_input(*endpoint, "the URL is too long or malformed"))
    }
}
