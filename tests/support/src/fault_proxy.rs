//! A proxy before the API server that loses responses, refuses requests, and falsifies the watches of grants.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use amigo_dev::ControlPlane;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use kube::Client;
use tokio::{sync::watch, time::sleep};

use crate::{OPERATOR, proxy::serve};

/// The end of a watch whose version is too old.
const GONE: &str = "{\"type\": \"ERROR\", \"object\": {\"kind\": \"Status\", \"apiVersion\": \"v1\", \"status\": \"Failure\", \
                    \"reason\": \"Expired\", \"message\": \"too old resource version\", \"code\": 410}}\n";

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum ApiFault {
    /// The API server performs it, and the connection ends within the response.
    LostResponse,
    /// The API server performs it, and a gateway responds with this status.
    GatewayError(StatusCode),
    /// The API server performs it, and the response arrives later.
    Delayed(Duration),
    /// The API server does not get it; the response has this status.
    Refused(StatusCode),
    /// The API server does not get it; the response is this JSON.
    Replaced(String),
}

/// What becomes of the events of the watches of grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchMode {
    /// They arrive.
    #[default]
    Faithful,
    /// They arrive twice.
    Repeating,
    /// They are lost.
    Silent,
}

/// The proxy; it serves until the test's runtime ends.
pub struct FaultProxy {
    /// The kubeconfig of its clients.
    pub kubeconfig: String,
    state: Arc<Mutex<State>>,
    expiries: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    faults: Vec<Planned>,
    mode: WatchMode,
}

/// A fault of the requests with this method, or any, and this end of the path.
struct Planned {
    method: Option<Method>,
    path_end: String,
    skip: u32,
    times: u32,
    fault: ApiFault,
}

impl FaultProxy {
    /// Starts a proxy that sends everything in the name of the operator.
    pub async fn start(plane: &ControlPlane) -> Self {
        let client = plane.client_of(OPERATOR).await.expect("a client");
        let (state, expiries) = (Arc::<Mutex<State>>::default(), watch::Sender::new(()));
        let passage = Passage { client, state: Arc::clone(&state), expiries: expiries.clone() };
        let router = Router::new().fallback(move |request: Request| passage.clone().pass(request));
        Self { kubeconfig: serve(router).await, state, expiries }
    }

    /// Lets a fault hit one request, after `skip` others of this method and end of the path.
    pub fn fail(&self, method: Method, path_end: &str, skip: u32, fault: ApiFault) {
        let (method, path_end) = (Some(method), path_end.to_owned());
        lock(&self.state).faults.push(Planned { method, path_end, skip, times: 1, fault });
    }

    /// Refuses all requests.
    pub fn refuse_all(&self) {
        let fault = ApiFault::Refused(StatusCode::SERVICE_UNAVAILABLE);
        let all = Planned { method: None, path_end: String::new(), skip: 0, times: u32::MAX, fault };
        lock(&self.state).faults.push(all);
    }

    /// Lets all requests pass.
    pub fn clear(&self) {
        lock(&self.state).faults.clear();
    }

    /// How many faults have not hit all their requests.
    pub fn pending(&self) -> usize {
        lock(&self.state).faults.len()
    }

    /// Changes what becomes of the events of watches.
    pub fn set_watch(&self, mode: WatchMode) {
        lock(&self.state).mode = mode;
    }

    /// Ends all watches of grants with 410, so that their clients list again.
    pub fn expire_watches(&self) {
        self.expiries.send_replace(());
    }
}

/// What the handler of a request needs.
#[derive(Clone)]
struct Passage {
    client: Client,
    state: Arc<Mutex<State>>,
    expiries: watch::Sender<()>,
}

impl Passage {
    async fn pass(self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let fault = lock(&self.state).take(&head.method, head.uri.path());
        match fault {
            Some(ApiFault::Refused(status)) => return status.into_response(),
            Some(ApiFault::Replaced(text)) => return json(Body::from(text)),
            _ => {}
        }
        let body = to_bytes(body, usize::MAX).await.expect("a request");
        let Ok(response) = self.client.send(forwarded(&head, &body)).await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        match fault {
            Some(ApiFault::GatewayError(status)) => return status.into_response(),
            Some(ApiFault::LostResponse) => return cut(),
            Some(ApiFault::Delayed(time)) => sleep(time).await,
            _ => {}
        }
        let (status, body) = (response.status(), Body::new(response.into_body()));
        let is_watch = head.uri.query().is_some_and(|query| query.contains("watch=true"));
        let is_watch = is_watch && head.uri.path().ends_with("/temporarypermissiongrants");
        let mut response = json(if is_watch { Body::from_stream(self.watch(body)) } else { body });
        *response.status_mut() = status;
        response
    }

    /// The events of a watch, one a line.
    fn watch(self, body: Body) -> impl Stream<Item = io::Result<Bytes>> {
        let begin = (body.into_data_stream(), Vec::new(), self.expiries.subscribe(), false);
        stream::unfold((self.state, begin), |(state, (mut events, mut partial, mut expiries, is_over))| async move {
            if is_over {
                return None;
            }
            tokio::select! {
                _ = expiries.changed() => Some((Ok(Bytes::from(GONE)), (state, (events, partial, expiries, true)))),
                chunk = events.next() => {
                    let passed = chunk?.map_err(io::Error::other).map(|chunk| {
                        partial.extend(chunk);
                        lock(&state).filter(&complete_lines(&mut partial))
                    });
                    Some((passed, (state, (events, partial, expiries, false))))
                }
            }
        })
    }
}

impl State {
    fn take(&mut self, method: &Method, path: &str) -> Option<ApiFault> {
        let is_meant = |planned: &&mut Planned| {
            planned.method.as_ref().is_none_or(|planned| planned == method) && path.ends_with(&planned.path_end)
        };
        let planned = self.faults.iter_mut().find(is_meant)?;
        if planned.skip > 0 {
            planned.skip -= 1;
            return None;
        }
        planned.times -= 1;
        let fault = planned.fault.clone();
        self.faults.retain(|planned| planned.times > 0);
        Some(fault)
    }

    fn filter(&self, lines: &[u8]) -> Bytes {
        match self.mode {
            WatchMode::Faithful => Bytes::copy_from_slice(lines),
            WatchMode::Silent => Bytes::new(),
            WatchMode::Repeating => {
                lines.split_inclusive(|byte| *byte == b'\n').flat_map(|line| [line, line].concat()).collect()
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("the faults")
}

/// Takes all but the last, incomplete line.
fn complete_lines(partial: &mut Vec<u8>) -> Vec<u8> {
    let end = partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    partial.drain(..end).collect()
}

/// The request as the proxy's own client sends it.
fn forwarded(head: &Parts, body: &Bytes) -> http::Request<kube::client::Body> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = http::Request::builder().method(&head.method).uri(path);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        request = head.headers.get(&name).into_iter().fold(request, |request, value| request.header(&name, value));
    }
    request.body(body.to_vec().into()).expect("a request")
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response whose body fails.
fn cut() -> Response {
    let failure = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    json(Body::from_stream(stream::iter([Ok(Bytes::from("{")), failure])))
}
