//! HTTP connections: TLS, deadlines, caps. One for all organizations.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{Timestamp, fmt::rfc2822};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    connector::{ConnectFailure, Connector, causes},
    error_body,
    gate::{CloseOnDrop, Gate, GatedBody},
    response::ApiResponse,
    secrets::Secrets,
    server_clock::ServerClock,
};
use crate::{Cause, Endpoint, Error, Excerpt};

/// How much is read of a response that is no success: enough for an excerpt.
const ERROR_BODY_CAP: usize = 64 * 1024;

/// The longest wait that a server can request: one odd response must not stop an organization for days, and adding the
/// wait to a time must not overflow.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// How connections are made and how long things may take.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// For name, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// For one request, from its start to the last byte of the response, repeats included.
    pub request_deadline: Duration,
    /// How long an unused connection is kept. Shorter than what load balancers keep, so that a request seldom meets
    /// a connection that the other side is closing.
    pub idle_timeout: Duration,
    /// Certificates (PEM) to trust in addition to those of the operating system.
    pub extra_root_certificates: Vec<u8>,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_deadline: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(30),
            extra_root_certificates: Vec::new(),
        }
    }
}

/// The transport cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The extra root certificates are not PEM, or not certificates.
    #[error("cannot read the extra root certificates: {0}")]
    RootCertificates(String),
    /// The TLS library rejects its configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The HTTP/1.1 connections, cheap to clone. Create one for the program; every client clones it.
///
/// It follows no redirects and retries nothing. Every request ends at its deadline, and every response body has a size
/// limit. It ignores the proxy variables of the environment.
#[derive(Clone)]
pub struct Transport {
    http: legacy::Client<Connector, GatedBody>,
    deadline: Duration,
    server_clock: Arc<ServerClock>,
}

/// One attempt of a request.
pub(super) struct Attempt {
    pub(super) endpoint: Endpoint,
    pub(super) request: Request<GatedBody>,
    pub(super) gate: Arc<Gate>,
    pub(super) deadline: Duration,
    /// What must not appear in an error.
    pub(super) secrets: Secrets,
    pub(super) now: Timestamp,
}

impl Transport {
    /// Sets up TLS and an empty pool of connections.
    ///
    /// # Errors
    /// [`TransportError`] if the extra certificates or the TLS configuration are not usable.
    pub fn new(options: &TransportOptions) -> Result<Self, TransportError> {
        let connector = Connector::new(tls_config(&options.extra_root_certificates)?, options.connect_timeout);
        let http = legacy::Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(16)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { http, deadline: options.request_deadline, server_clock: Arc::default() })
    }

    /// The same connections, for a server whose clock is compared with this one in `server_clock`.
    #[must_use]
    pub fn for_server(&self, server_clock: &Arc<ServerClock>) -> Self {
        Self { server_clock: Arc::clone(server_clock), ..self.clone() }
    }

    pub(super) fn server_clock(&self) -> &ServerClock {
        &self.server_clock
    }

    /// The total deadline of one request.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sends one request once and reads the response.
    pub(super) async fn send(&self, attempt: Attempt) -> Result<ApiResponse, Error> {
        let Attempt { endpoint, request, gate, deadline, secrets, now } = attempt;
        let _guard = CloseOnDrop(Arc::clone(&gate));
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| no_response(endpoint, &gate, &error))?;
            read(endpoint, response, secrets, now).await
        };
        tokio::time::timeout(deadline, exchange).await.unwrap_or_else(|_| {
            let begun = gate.close();
            Err(Error::new(endpoint, Cause::Timeout { deadline, begun }))
        })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transport").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

async fn read(
    endpoint: Endpoint,
    response: Response<Incoming>,
    secrets: Secrets,
    now: Timestamp,
) -> Result<ApiResponse, Error> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), now);
    let date = response.headers().get(header::DATE).and_then(http_date);
    let success = endpoint.succeeded(status);
    let cap = if success { endpoint.body_cap() } else { ERROR_BODY_CAP };
    let body = Limited::new(response.into_body(), cap).collect().await;
    if !success {
        // The status decides; a body that is cut or too large only loses the message.
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if endpoint == Endpoint::SignIn && status == 404 && !error_body::is_documented(&body) {
            // A load balancer without a backend, not Amigo without the organization.
            let detail = "it is not an error of the Amigo API".into();
            return Err(Error::new(endpoint, Cause::Malformed { status, detail }));
        }
        let message = error_message(endpoint, status, &body, &secrets);
        return Err(Error::new(endpoint, Cause::Status { status, message, retry_after }));
    }
    match body {
        Ok(body) => Ok(ApiResponse { endpoint, status, body: body.to_bytes(), date, secrets }),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::new(endpoint, Cause::BodyTooLarge { status, cap })),
        Err(error) => Err(Error::new(endpoint, Cause::Interrupted { detail: causes(&*error), begun: true })),
    }
}

/// The error of a request without a response.
fn no_response(endpoint: Endpoint, gate: &Gate, error: &legacy::Error) -> Error {
    let begun = gate.close();
    if gate.late() {
        return Error::new(endpoint, Cause::TooLate);
    }
    let cause = match ConnectFailure::find(error) {
        Some(ConnectFailure::Tls(detail)) => Cause::Tls { detail: Excerpt::new(detail) },
        Some(ConnectFailure::Connect(detail)) => Cause::Connect { detail: Excerpt::new(detail) },
        None if error.is_connect() => Cause::Connect { detail: causes(error) },
        None => Cause::Interrupted { detail: causes(error), begun },
    };
    Error::new(endpoint, cause)
}

fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(value.to_str().ok()?.trim()).ok()
}

/// `Retry-After` in seconds or as a date, at most [`LONGEST_RETRY_AFTER`]; a date in the past is no wait.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let requested = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is a long wait, too.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        Duration::try_from(http_date(headers.get(header::RETRY_AFTER)?)?.duration_since(now)).unwrap_or_default()
    };
    Some(requested.min(LONGEST_RETRY_AFTER))
}

/// The message of a response that is no success. A proxy may change the response of a sign-in, which can then contain a
/// token that this client has not seen, and so cannot remove.
fn error_message(endpoint: Endpoint, status: u16, body: &[u8], secrets: &Secrets) -> Excerpt {
    let is_error = (400..=599).contains(&status);
    let names_token = || body.windows(TOKEN_MEMBER.len()).any(|part| part == TOKEN_MEMBER);
    if endpoint == Endpoint::SignIn && (!is_error || names_token()) {
        return "response body omitted because it may contain a token".into();
    }
    error_body::excerpt(body, secrets)
}

/// The secret member of a sign-in response.
const TOKEN_MEMBER: &[u8] = b"id_token";

fn tls_config(extra_root_certificates: &[u8]) -> Result<rustls::ClientConfig, TransportError> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    for certificate in CertificateDer::pem_slice_iter(extra_root_certificates) {
        let certificate = certificate.map_err(|error| TransportError::RootCertificates(error.to_string()))?;
        roots.add(certificate).map_err(|error| TransportError::RootCertificates(error.to_string()))?;
    }
    if roots.is_empty() {
        tracing::warn!(errors = native.errors.len(), "no trusted root certificates; every TLS connection will fail");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: &str) -> Option<u64> {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_accepts_seconds_and_dates() {
        assert_eq!(seconds("12"), Some(12));
        assert_eq!(seconds("Sun, 22 Nov 2026 10:00:30 GMT"), Some(30));
        assert_eq!(seconds("Sun, 22 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-3"), None);
        assert_eq!(seconds(""), None);
    }

    #[test]
    fn retry_after_is_at_most_ten_minutes() {
        for long in ["601", "86400", "18446744073709551615", "99999999999999999999999"] {
            assert_eq!(seconds(long), Some(600), "{long}");
        }
        assert_eq!(seconds("Wed, 22 Nov 2028 10:00:00 GMT"), Some(600));
    }
}
