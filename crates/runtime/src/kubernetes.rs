//! A Kubernetes client that never retries, for writes that must not happen twice or late: the lease of the leader, the
//! intent of a grant. Watches and other reads use kube's default client.
//!
//! The server begins to serve a request at most once, and the request succeeds or fails within the deadline. A missed
//! deadline is `kube::Error::Service` around [`DeadlineExceeded`]; the outcome of the write is then unknown, so writes need
//! a `resourceVersion`.
//!
//! The client reads complete responses: a watch ends at the deadline. The HTTP library may repeat a request that it could
//! not begin because the server had closed the connection.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{BoxError, Service, layer::layer_fn};

// The API server rejects objects over about 1.5 MiB; lists use the other client.
const RESPONSE_LIMIT: usize = 16 << 20;

/// A client that never retries. A request fails unless its response is complete within `deadline`.
///
/// kube's default client repeats every request up to 15 times after 429, 503 and 504, and waits for a response without a
/// limit.
///
/// # Errors
/// When the configuration names unusable certificates or credentials.
pub fn client_no_retry(config: Config, deadline: Duration) -> kube::Result<Client> {
    client_with_response_hook(config, deadline, Arc::new(|_| ()))
}

/// Gets the headers of every response.
pub type ResponseHook = Arc<dyn Fn(&HeaderMap) + Send + Sync>;

/// The same, and calls `hook` with the headers of every response, which contain the warnings of the API server.
///
/// # Errors
/// As for [`client_no_retry`].
pub fn client_with_response_hook(mut config: Config, deadline: Duration, hook: ResponseHook) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(deadline);
    config.read_timeout = Some(deadline);
    config.write_timeout = Some(deadline);
    // Otherwise the idle time of a pooled connection counts as waiting for the response.
    config.reset_reader_on_write = true;
    let layer = layer_fn(move |inner| WithDeadline { inner, deadline, hook: Arc::clone(&hook) });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// The request missed its deadline. The outcome is unknown.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no complete response from the API server within {0:?}")]
pub struct DeadlineExceeded(pub Duration);

struct WithDeadline<S> {
    inner: S,
    deadline: Duration,
    hook: ResponseHook,
}

impl<S, B> Service<Request<Body>> for WithDeadline<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = self.deadline;
        let hook = Arc::clone(&self.hook);
        let response = complete(self.inner.call(request));
        async move {
            let response = tokio::time::timeout(deadline, response).await.map_err(|_| DeadlineExceeded(deadline))??;
            hook(response.headers());
            Ok(response)
        }
        .boxed()
    }
}

async fn complete<B>(
    response: impl Future<Output = Result<Response<B>, BoxError>>,
) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: http_body::Body<Data = Bytes, Error = BoxError>,
{
    let (parts, body) = response.await?.into_parts();
    let body = Limited::new(body, RESPONSE_LIMIT).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A server that writes these bytes for every request, and keeps the connection open.
    async fn server(response: &'static str) -> (Config, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
                seen.fetch_add(1, Ordering::SeqCst);
                connection.write_all(response.as_bytes()).await.unwrap();
                open.push(connection);
            }
        });
        (Config::new(address.parse().unwrap()), requests)
    }

    async fn get(config: Config, deadline: Duration) -> kube::Error {
        let client = client_no_retry(config, deadline).unwrap();
        Api::<ConfigMap>::namespaced(client, "default").get("any").await.unwrap_err()
    }

    fn missed_deadline(error: &kube::Error) -> bool {
        matches!(error, kube::Error::Service(inner) if inner.is::<DeadlineExceeded>())
    }

    #[tokio::test]
    async fn busy_server_gets_one_request() {
        let response = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy";
        let (config, requests) = server(response).await;
        let error = get(config, Duration::from_secs(5)).await;
        assert!(matches!(&error, kube::Error::Api(status) if status.code == 429), "{error}");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn missing_response_ends_at_deadline() {
        let (config, requests) = server("").await;
        let error = get(config, Duration::from_millis(100)).await;
        assert!(missed_deadline(&error), "{error}");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn truncated_response_ends_at_deadline() {
        let (config, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
        let error = get(config, Duration::from_millis(100)).await;
        assert!(missed_deadline(&error), "{error}");
    }
}
