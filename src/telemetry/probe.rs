//! Waits until a health page returns a success, for `helm test` and containers without a shell.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::{sleep, timeout};

const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
#[error("{url} did not return a success within {within:?}: {last}")]
pub struct ProbeError {
    url: Uri,
    within: Duration,
    last: String,
}

/// Sends requests over http:// until one succeeds.
///
/// # Errors
/// If none succeeds in time. The message contains the last response.
pub async fn probe(url: Uri, within: Duration) -> Result<(), ProbeError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut last = "no response".to_owned();
    let succeeded = async {
        loop {
            match client.get(url.clone()).await.map(|response| response.status()) {
                Ok(status) if status.is_success() => return,
                Ok(status) => last = format!("status {status}"),
                Err(error) => last = error.to_string(),
            }
            sleep(PAUSE).await;
        }
    };
    timeout(within, succeeded).await.map_err(|_| ProbeError { url, within, last })
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use http::StatusCode;
    use tokio::net::TcpListener;

    use super::*;

    async fn serve(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/readyz")
    }

    #[tokio::test]
    async fn probe_ends_with_a_success() {
        let url = serve(Router::new().route("/readyz", get(async || "ok"))).await;
        probe(url.parse().unwrap(), Duration::from_secs(20)).await.unwrap();
    }

    #[tokio::test]
    async fn failed_probe_names_url_and_status() {
        let url = serve(Router::new().route("/readyz", get(async || StatusCode::SERVICE_UNAVAILABLE))).await;
        let error = probe(url.parse().unwrap(), Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains("503 Service Unavailable"), "{error}");
    }
}
