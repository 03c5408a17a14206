//! The HTTP server for probes and metrics: `/livez`, `/readyz`, `/metrics`.
//!
//! A follower is ready, too: otherwise it would block a rollout. A leader is ready when its stores are filled.

use std::{
    fmt::Write as _,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use amigo_runtime::clock::SharedClock;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Without it, scrapers parse the text as another format.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The state behind the probes; clones share it.
#[derive(Clone, Debug)]
pub struct Health {
    clock: SharedClock,
    stalled_after: Duration,
    last_beat: Arc<Mutex<Duration>>,
    flags: Arc<Mutex<Vec<ReadyFlag>>>,
}

impl Health {
    /// Alive until `stalled_after` passes without a [`Health::beat`].
    #[must_use]
    pub fn new(clock: SharedClock, stalled_after: Duration) -> Self {
        let last_beat = Arc::new(Mutex::new(clock.boot()));
        Self { clock, stalled_after, last_beat, flags: Arc::default() }
    }

    /// Call it in the main loop.
    pub fn beat(&self) {
        *self.last_beat.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.boot();
    }

    /// Adds a condition of readiness, not met yet.
    #[must_use]
    pub fn ready_flag(&self, name: &'static str) -> ReadyFlag {
        let flag = ReadyFlag { name, is_set: Arc::default() };
        self.flags.lock().unwrap_or_else(PoisonError::into_inner).push(flag.clone());
        flag
    }

    /// Time since the last beat.
    fn silence(&self) -> Duration {
        let last_beat = *self.last_beat.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.boot().saturating_sub(last_beat)
    }

    fn missing(&self) -> Vec<&'static str> {
        let flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        flags.iter().filter(|flag| !flag.is_set.load(Ordering::Acquire)).map(|flag| flag.name).collect()
    }
}

/// One condition of readiness.
#[derive(Clone, Debug)]
pub struct ReadyFlag {
    name: &'static str,
    is_set: Arc<AtomicBool>,
}

impl ReadyFlag {
    pub fn set(&self, ready: bool) {
        self.is_set.store(ready, Ordering::Release);
    }
}

pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .with_state(health)
        .merge(Router::new().route("/metrics", get(scrape)).with_state(metrics))
}

/// Serves until `stop` is cancelled, then finishes the requests in progress.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn live(State(health): State<Health>) -> Response {
    let silence = health.silence();
    if silence <= health.stalled_after {
        return "ok\n".into_response();
    }
    let text = format!("the main loop has been silent for {} s\n", silence.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let missing = health.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let text = missing.iter().fold(String::new(), |mut text, name| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "not ready: {name}");
        text
    });
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn scrape(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use amigo_runtime::clock::TestClock;
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use jiff::Timestamp;
    use tower::ServiceExt as _;

    use super::*;

    fn health() -> (Health, Arc<TestClock>) {
        let clock = Arc::new(TestClock::stopped_at(Timestamp::UNIX_EPOCH));
        (Health::new(clock.clone(), Duration::from_secs(30)), clock)
    }

    async fn page(health: &Health, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(health.clone(), Metrics::new()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn alive_while_the_main_loop_beats() {
        let (health, clock) = health();
        clock.advance(Duration::from_secs(31));
        assert_eq!(page(&health, "/livez").await, (503, "the main loop has been silent for 31 s\n".into()));
        health.beat();
        assert_eq!(page(&health, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn ready_when_every_flag_is_set() {
        let (health, _) = health();
        let (server, caches) = (health.ready_flag("API server"), health.ready_flag("caches"));
        server.set(true);
        assert_eq!(page(&health, "/readyz").await, (503, "not ready: caches\n".into()));
        caches.set(true);
        assert_eq!(page(&health, "/readyz").await.0, 200);
        server.set(false);
        assert_eq!(page(&health, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn metrics_declare_their_format() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router(health().0, Metrics::new()).oneshot(request).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], OPEN_METRICS);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"# EOF\n"));
    }

    #[tokio::test]
    async fn server_stops_when_cancelled() {
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = tokio::spawn(serve(listener, router(health().0, Metrics::new()), stop.clone()));
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
    }
}
