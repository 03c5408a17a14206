//! The operations over HTTP: takes requests apart, lets faults happen, sends replies.

use std::{collections::BTreeMap, io, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    response::Response,
    routing::MethodRouter,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Sandbox,
    behavior::{Behavior, WrongSlash},
    call::Input,
    connection::Connection,
    control,
    errors::Refusal,
    faults::{Effect, Fault, When},
    operation::Operation,
    query::Query,
    reply::{Reply, ReplyBody},
};

/// The largest request body that is read, in bytes.
const LARGEST_BODY: usize = 1_000_000;

/// Sent in place of a lost answer where only its manner matters.
const STAND_IN: &str = r#"{"detail":"This answer is broken on purpose."}"#;

/// What one request can reach besides the sandbox.
struct Wire {
    connection: Option<Connection>,
    closing: CancellationToken,
}

/// The router of the API and of the control paths. `closing` ends requests that hang.
pub(super) fn router(sandbox: Sandbox, closing: CancellationToken) -> Router {
    let mut paths: BTreeMap<&'static str, MethodRouter<Sandbox>> = BTreeMap::new();
    for operation in Operation::ALL {
        let Ok(filter) = operation.method().try_into() else { continue };
        let handler = move |State(sandbox): State<Sandbox>, Path(path): Path<BTreeMap<String, String>>, request| {
            answer(sandbox, operation, path, request)
        };
        let router = paths.remove(operation.path()).unwrap_or_default();
        paths.insert(operation.path(), router.on(filter, handler));
    }
    let api = paths
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods.fallback(wrong_method)));
    api.merge(control::router()).fallback(wrong_path).layer(Extension(closing)).with_state(sandbox)
}

async fn answer(sandbox: Sandbox, operation: Operation, path: BTreeMap<String, String>, request: Request) -> Response {
    let wire = Wire {
        connection: request.extensions().get::<ConnectInfo<Connection>>().map(|info| info.0.clone()),
        closing: request.extensions().get::<CancellationToken>().cloned().unwrap_or_default(),
    };
    let organization = path.get("organization").cloned();
    let faults = sandbox.hit_faults(operation);
    let sequence = sandbox.request_arrived(organization, Some(operation));
    let Some(response) = carry_out(&sandbox, operation, path, request, &faults, &wire).await else {
        return no_answer(&wire);
    };
    sandbox.request_answered(sequence, Some(operation), response.status().as_u16());
    response
}

/// The answer, or `None` if none is to be sent.
async fn carry_out(
    sandbox: &Sandbox,
    operation: Operation,
    path: BTreeMap<String, String>,
    request: Request,
    faults: &[Fault],
    wire: &Wire,
) -> Option<Response> {
    for fault in faults.iter().filter(|fault| fault.when == When::BeforeCommit) {
        if let Some(outcome) = happen(&fault.effect, None, wire).await {
            return outcome;
        }
    }
    let reply = match read(path, request).await {
        Ok(input) => sandbox.perform(operation, &input),
        Err(refusal) => refusal.render(&Behavior::default()),
    };
    for fault in faults.iter().filter(|fault| fault.when == When::AfterCommit) {
        if let Some(outcome) = happen(&fault.effect, Some(&reply), wire).await {
            return outcome;
        }
    }
    Some(respond(reply))
}

async fn read(path: BTreeMap<String, String>, request: Request) -> Result<Input, Refusal> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let body = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| Refusal::BadRequest("The body cannot be read or is too large."))?;
    Ok(Input { path, query, headers: parts.headers, body })
}

/// What comes of an effect: `None` to go on as usual, else the answer, if there is one.
async fn happen(effect: &Effect, reply: Option<&Reply>, wire: &Wire) -> Option<Option<Response>> {
    match effect {
        Effect::Delay { milliseconds } => {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*milliseconds)) => None,
                () = wire.closing.cancelled() => Some(None),
            }
        }
        Effect::Drop => Some(None),
        Effect::Hang => {
            wire.closing.cancelled().await;
            Some(None)
        }
        Effect::Status { status, retry_after, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = body.clone().unwrap_or_else(|| json!({ "detail": "The sandbox was told to fail." }));
            let mut reply = Reply::json(status, body);
            if let Some(retry_after) = retry_after {
                reply = reply.with_header("retry-after", retry_after.clone());
            }
            Some(Some(respond(reply)))
        }
        Effect::Redirect { location } => {
            let reply = Reply::json(StatusCode::TEMPORARY_REDIRECT, json!({}));
            Some(Some(respond(reply.with_header("location", location.clone()))))
        }
        Effect::HugeBody { bytes } => Some(Some(whole(format!("{{\"padding\":\"{}\"}}", "x".repeat(*bytes))))),
        Effect::MalformedBody => Some(Some(whole("{\"detail\": [".to_owned()))),
        Effect::CutBody => Some(Some(cut(reply))),
    }
}

fn whole(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    declare_json(&mut response);
    response
}

fn cut(reply: Option<&Reply>) -> Response {
    let body = match reply.map(|reply| &reply.body) {
        Some(ReplyBody::Json(body)) => body.to_string(),
        _ => STAND_IN.to_owned(),
    };
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let failure = async {
        // The server only sends what it has when the body pauses.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let pieces = stream::iter([Ok(half)]).chain(stream::once(failure));
    let mut response = Response::new(Body::from_stream(pieces));
    declare_json(&mut response);
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    response
}

fn declare_json(response: &mut Response) {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// Cuts the connection; without one, an answer whose body fails.
fn no_answer(wire: &Wire) -> Response {
    if let Some(connection) = &wire.connection {
        connection.sever();
    }
    let failure = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    Response::new(Body::from_stream(stream::iter([failure])))
}

/// A reply as an HTTP response.
pub(super) fn respond(reply: Reply) -> Response {
    let mut response = match reply.body {
        ReplyBody::Empty => Response::new(Body::empty()),
        ReplyBody::Json(body) => whole(body.to_string()),
        ReplyBody::Text(text) => Response::new(Body::from(text)),
    };
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn wrong_method(State(sandbox): State<Sandbox>) -> Response {
    respond_to_unknown(&sandbox, Reply::json(StatusCode::METHOD_NOT_ALLOWED, json!({ "detail": "Method Not Allowed" })))
}

async fn wrong_path(State(sandbox): State<Sandbox>, uri: Uri) -> Response {
    let reply = match redirect(&sandbox, &uri) {
        Some(location) => Reply::json(StatusCode::TEMPORARY_REDIRECT, json!({})).with_header("location", location),
        None => Reply::json(StatusCode::NOT_FOUND, json!({ "detail": "Not Found" })),
    };
    respond_to_unknown(&sandbox, reply)
}

fn respond_to_unknown(sandbox: &Sandbox, reply: Reply) -> Response {
    let sequence = sandbox.request_arrived(None, None);
    sandbox.request_answered(sequence, None, reply.status.as_u16());
    respond(reply)
}

/// Where a path with the wrong trailing slash should have gone, if its organization redirects.
fn redirect(sandbox: &Sandbox, uri: &Uri) -> Option<String> {
    let path = uri.path();
    let right = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    let organization = path.split('/').nth(2)?;
    let redirects = sandbox.behavior(organization)?.wrong_slash == WrongSlash::Redirect;
    let known = Operation::ALL.iter().any(|operation| fits(operation.path(), &right));
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (redirects && known).then(|| format!("{right}{query}"))
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let segment = |(wanted, given): (&&str, &&str)| {
        if wanted.starts_with('{') { !given.is_empty() } else { wanted == given }
    };
    template.len() == path.len() && template.iter().zip(&path).all(segment)
}
