//! The API server as if it had one namespace, so that each of many operators sees only the objects of its own test.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
};
use http::{StatusCode, Uri, header};
use kube::Client;

use crate::{OPERATOR, TestEnv, proxy::serve};

const KINDS: &str = "/apis/permissions.amigo.ai/v1alpha1/";

impl TestEnv {
    /// Serves this test's objects until the test ends, and returns the kubeconfig of an operator that sees no others.
    pub async fn kubeconfig_of_own_objects(&self) -> String {
        let mut config = self.plane().config_of(OPERATOR).await.expect("a configuration");
        config.default_retry = false;
        let client = Client::try_from(config).expect("a client");
        let (namespace, organization) = (self.namespace.clone(), self.organization.clone());
        let forward = move |request: Request| {
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            forward(client.clone(), narrow(target, &namespace, &organization), request)
        };
        serve(Router::new().fallback(forward)).await
    }
}

/// The target of a request, without the objects of other tests.
fn narrow(target: &str, namespace: &str, organization: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path.strip_prefix(KINDS) {
        Some("organizations") => format!("{path}?fieldSelector=metadata.name%3D{organization}&{query}"),
        Some(kind) if !kind.contains('/') => format!("{KINDS}namespaces/{namespace}/{kind}?{query}"),
        _ => target.to_owned(),
    }
}

async fn forward(client: Client, target: String, request: Request) -> http::Response<Body> {
    let (mut parts, body) = request.into_parts();
    parts.uri = target.parse::<Uri>().expect("a path");
    parts.headers.remove(header::HOST);
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec();
    match client.send(http::Request::from_parts(parts, body.into())).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let mut response = http::Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}
