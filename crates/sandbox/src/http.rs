//! The operations over HTTP: parses requests, injects faults, sends responses.

use std::{collections::BTreeMap, io, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    response::Response,
    routing::{MethodFilter, MethodRouter},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Sandbox,
    behavior::{Behavior, WrongSlash},
    context::ApiRequest,
    control,
    errors::ApiError,
    faults::{Effect, Fault, When},
    listener::ConnectionHandle,
    operation::Operation,
    query::Query,
    reply::{Reply, ReplyBody},
};

const MAX_BODY_BYTES: usize = 1_000_000;

/// The body that a fault truncates if the request produced none.
const PLACEHOLDER_BODY: &str = r#"{"detail":"The sandbox truncated this response."}"#;

/// How a fault affects the connection of one request.
struct FaultContext {
    connection: Option<ConnectionHandle>,
    shutdown: CancellationToken,
}

/// The router of the API and of the control paths. `shutdown` ends requests that hang.
pub(super) fn router(sandbox: Sandbox, shutdown: CancellationToken) -> Router {
    let mut paths: BTreeMap<&'static str, (MethodRouter<Sandbox>, Vec<Method>)> = BTreeMap::new();
    for operation in Operation::ALL {
        let Ok(filter) = operation.method().try_into() else { continue };
        let handler = move |State(sandbox): State<Sandbox>, Path(path): Path<BTreeMap<String, String>>, request| {
            handle(sandbox, operation, path, request)
        };
        let (router, mut methods) = paths.remove(operation.path()).unwrap_or_default();
        methods.push(operation.method());
        paths.insert(operation.path(), (router.on(filter, handler), methods));
    }
    let api = paths.into_iter().fold(Router::new(), |router, (path, (operations, methods))| {
        let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let refuse = move |State(sandbox): State<Sandbox>| async move { wrong_method(&sandbox, allow) };
        // Unlike axum, the API does not answer HEAD where it answers GET.
        router.route(path, operations.on(MethodFilter::HEAD, refuse.clone()).fallback(refuse))
    });
    api.merge(control::router()).fallback(wrong_path).layer(Extension(shutdown)).with_state(sandbox)
}

async fn handle(sandbox: Sandbox, operation: Operation, path: BTreeMap<String, String>, request: Request) -> Response {
    let fault_context = FaultContext {
        connection: request.extensions().get::<ConnectInfo<ConnectionHandle>>().map(|info| info.0.clone()),
        shutdown: request.extensions().get::<CancellationToken>().cloned().unwrap_or_default(),
    };
    let organization = path.get("organization").cloned();
    let faults = sandbox.take_faults(operation);
    let sequence = sandbox.record_request(organization, Some(operation));
    let Some(mut response) = process(&sandbox, operation, path, request, &faults, &fault_context).await else {
        return no_response(&fault_context);
    };
    set_date(&mut response, sandbox.clock.now());
    sandbox.record_response(sequence, Some(operation), response.status().as_u16());
    response
}

/// Processes the request. `None` means that a fault suppresses the response.
async fn process(
    sandbox: &Sandbox,
    operation: Operation,
    path: BTreeMap<String, String>,
    request: Request,
    faults: &[Fault],
    context: &FaultContext,
) -> Option<Response> {
    for fault in faults.iter().filter(|fault| fault.when == When::BeforeCommit) {
        if let Some(outcome) = inject(&fault.effect, None, context).await {
            return outcome;
        }
    }
    let reply = match read(path, request).await {
        Ok(request) => sandbox.process(operation, &request),
        Err(error) => error.render(&Behavior::default(), &ApiRequest::default()),
    };
    for fault in faults.iter().filter(|fault| fault.when == When::AfterCommit) {
        if let Some(outcome) = inject(&fault.effect, Some(&reply), context).await {
            return outcome;
        }
    }
    Some(into_response(reply))
}

async fn read(path: BTreeMap<String, String>, request: Request) -> Result<ApiRequest, ApiError> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_| ApiError::BadRequest("The body cannot be read or is too large."))?;
    Ok(ApiRequest { path, query, headers: parts.headers, body })
}

/// Applies an effect. `None` continues as usual; `Some(None)` sends no response.
async fn inject(effect: &Effect, reply: Option<&Reply>, context: &FaultContext) -> Option<Option<Response>> {
    match effect {
        Effect::Delay { milliseconds } => {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*milliseconds)) => None,
                () = context.shutdown.cancelled() => Some(None),
            }
        }
        Effect::Drop => Some(None),
        Effect::Hang => {
            context.shutdown.cancelled().await;
            Some(None)
        }
        Effect::Status { status, retry_after, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = body.clone().unwrap_or_else(|| json!({ "detail": "The sandbox injected this error." }));
            let mut reply = Reply::json(status, body);
            if let Some(retry_after) = retry_after {
                reply = reply.with_header("retry-after", retry_after.clone());
            }
            Some(Some(into_response(reply)))
        }
        Effect::Redirect { location } => {
            let reply = Reply::json(StatusCode::TEMPORARY_REDIRECT, json!({}));
            Some(Some(into_response(reply.with_header("location", location.clone()))))
        }
        Effect::HugeBody { bytes } => Some(Some(json_response(format!("{{\"padding\":\"{}\"}}", "x".repeat(*bytes))))),
        Effect::MalformedBody => Some(Some(json_response("{\"detail\": [".to_owned()))),
        Effect::CutBody => Some(Some(truncated_response(reply))),
    }
}

fn json_response(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    set_json_content_type(&mut response);
    response
}

fn truncated_response(reply: Option<&Reply>) -> Response {
    let body = match reply.map(|reply| &reply.body) {
        Some(ReplyBody::Json(body)) => body.to_string(),
        _ => PLACEHOLDER_BODY.to_owned(),
    };
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let failure = async {
        // The server flushes only when the body pauses.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let pieces = stream::iter([Ok(half)]).chain(stream::once(failure));
    let mut response = Response::new(Body::from_stream(pieces));
    set_json_content_type(&mut response);
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    response
}

fn set_json_content_type(response: &mut Response) {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// The sandbox's clock; otherwise the server would add the system's.
fn set_date(response: &mut Response, now: Timestamp) {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok();
    if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
}

/// Aborts the connection. A request within the process has none: it receives a response whose body fails.
fn no_response(context: &FaultContext) -> Response {
    if let Some(connection) = &context.connection {
        connection.abort();
    }
    let failure = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    Response::new(Body::from_stream(stream::iter([failure])))
}

pub(super) fn into_response(reply: Reply) -> Response {
    let mut response = match reply.body {
        ReplyBody::Empty => Response::new(Body::empty()),
        ReplyBody::Json(body) => json_response(body.to_string()),
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

fn wrong_method(sandbox: &Sandbox, allow: String) -> Response {
    let reply = Reply::json(StatusCode::METHOD_NOT_ALLOWED, json!({ "detail": "Method Not Allowed" }));
    respond_to_unknown(sandbox, reply.with_header("allow", allow))
}

async fn wrong_path(State(sandbox): State<Sandbox>, uri: Uri) -> Response {
    let reply = match redirect(&sandbox, &uri) {
        Some(location) => Reply::json(StatusCode::TEMPORARY_REDIRECT, json!({})).with_header("location", location),
        None => Reply::json(StatusCode::NOT_FOUND, json!({ "detail": "Not Found" })),
    };
    respond_to_unknown(&sandbox, reply)
}

fn respond_to_unknown(sandbox: &Sandbox, reply: Reply) -> Response {
    let sequence = sandbox.record_request(None, None);
    sandbox.record_response(sequence, None, reply.status.as_u16());
    into_response(reply)
}

/// The correct path for one with the wrong trailing slash, if the organization redirects.
fn redirect(sandbox: &Sandbox, uri: &Uri) -> Option<String> {
    let path = uri.path();
    let right = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    let organization = path.split('/').nth(2)?;
    let redirects = sandbox.behavior(organization)?.wrong_slash == WrongSlash::Redirect;
    let known = Operation::ALL.iter().any(|operation| matches_template(operation.path(), &right));
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (redirects && known).then(|| format!("{right}{query}"))
}

fn matches_template(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let segment = |(wanted, given): (&&str, &&str)| {
        if wanted.starts_with('{') { !given.is_empty() } else { wanted == given }
    };
    template.len() == path.len() && template.iter().zip(&path).all(segment)
}
