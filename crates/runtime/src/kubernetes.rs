//! Clients for the API server beyond kube's default one.
//!
//! # Expected flow
//! Watches and plain reads use kube's default client. What must not happen twice or late (the lease of the leader, the
//! intent of a grant) uses [`client_no_retry`].
//!
//! # Guarantees
//! One call is at most one request the server begins to serve, and answers or fails within the deadline.
//!
//! # Assumptions
//! Writes carry a `resourceVersion`: after a deadline it is unknown whether the write happened.
//!
//! # Caveats
//! Answers are read whole: a watch through this client ends at the deadline. The HTTP library may send a request
//! again that it could not even begin on a connection the server had closed.
//!
//! # Errors
//! A missed deadline is `kube::Error::Service` around [`DeadlineExceeded`].

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

// The API server itself refuses objects over about 1.5 MiB; lists are for the other client.
const ANSWER_LIMIT: usize = 16 << 20;

/// A client that never retries and gives up on a call, answer included, after `deadline`.
///
/// kube's default client sends any request again, up to 15 times, after 429, 503 and 504, and waits for an answer
/// without limit.
///
/// # Errors
/// When the configuration names unusable certificates or credentials.
pub fn client_no_retry(config: Config, deadline: Duration) -> kube::Result<Client> {
    client_with_response_hook(config, deadline, Arc::new(|_| ()))
}

/// What is done with the headers of every answer.
pub type ResponseHook = Arc<dyn Fn(&HeaderMap) + Send + Sync>;

/// The same, for whoever wants to see the headers of answers, where the API server puts its warnings.
///
/// # Errors
/// As for [`client_no_retry`].
pub fn client_with_response_hook(mut config: Config, deadline: Duration, heed: ResponseHook) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(deadline);
    config.read_timeout = Some(deadline);
    config.write_timeout = Some(deadline);
    // Else the time a connection idled in the pool counts as waiting for the answer.
    config.reset_reader_on_write = true;
    let layer = layer_fn(move |inner| WithDeadline { inner, deadline, heed: Arc::clone(&heed) });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// A call did not end in time; whether the server acted on it is unknown.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no whole answer from the API server within {0:?}")]
pub struct DeadlineExceeded(pub Duration);

struct WithDeadline<S> {
    inner: S,
    deadline: Duration,
    heed: ResponseHook,
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
        let heed = Arc::clone(&self.heed);
        let answer = whole(self.inner.call(request));
        async move {
            let answer = tokio::time::timeout(deadline, answer).await.map_err(|_| DeadlineExceeded(deadline))??;
            heed(answer.headers());
            Ok(answer)
        }
        .boxed()
    }
}

async fn whole<B>(
    answer: impl Future<Output = Result<Response<B>, BoxError>>,
) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: http_body::Body<Data = Bytes, Error = BoxError>,
{
    let (parts, body) = answer.await?.into_parts();
    let body = Limited::new(body, ANSWER_LIMIT).collect().await?.to_bytes();
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

    /// A server that answers every request with these bytes and then says nothing more.
    async fn server(answer: &'static str) -> (Config, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
                seen.fetch_add(1, Ordering::SeqCst);
                connection.write_all(answer.as_bytes()).await.unwrap();
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
    async fn a_busy_server_is_asked_once() {
        let answer = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy";
        let (config, requests) = server(answer).await;
        let error = get(config, Duration::from_secs(5)).await;
        assert!(matches!(&error, kube::Error::Api(status) if status.code == 429), "{error}");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let (config, requests) = server("").await;
        let error = get(config, Duration::from_millis(100)).await;
        assert!(missed_deadline(&error), "{error}");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn half_an_answer_ends_at_the_deadline() {
        let (config, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
        let error = get(config, Duration::from_millis(100)).await;
        assert!(missed_deadline(&error), "{error}");
    }
}
