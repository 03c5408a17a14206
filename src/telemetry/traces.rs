//! Traces of reconciles, sent to an OpenTelemetry collector (OTLP over HTTP). Needs the feature `otlp`.
//!
//! Reconciles, waits for the rate limiter, and requests to both APIs are spans. Spans contain no bodies, headers or
//! credentials. `OTEL_TRACES_SAMPLER` and its argument select traces; the default keeps all. Work never waits for the
//! exporter, which drops traces that it cannot deliver.

use tracing_subscriber::{Layer, Registry};

/// A layer of the subscriber beside the log lines.
pub type Extra = Box<dyn Layer<Registry> + Send + Sync>;

/// The traces of this process.
#[derive(Debug, Default)]
pub struct Traces {
    #[cfg(feature = "otlp")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

#[cfg(feature = "otlp")]
pub use exporter::Error;

#[cfg(feature = "otlp")]
mod exporter {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{Request, Response, Uri};
    use http_body_util::{BodyExt as _, Full, Limited};
    use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
    use hyper_util::{
        client::legacy::{Client, connect::HttpConnector},
        rt::TokioExecutor,
    };
    use opentelemetry::{KeyValue, trace::TracerProvider as _};
    use opentelemetry_http::{HttpClient, HttpError};
    use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
    use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
    use tokio::runtime::Handle;
    use tracing_subscriber::{Layer as _, filter::Targets};

    use super::{Extra, Traces};

    /// Timeout of one delivery, which is not retried.
    const DEADLINE: Duration = Duration::from_secs(10);
    const LARGEST_RESPONSE: usize = 64 * 1024;

    #[derive(Debug, thiserror::Error)]
    pub enum Error {
        #[error("--otlp-endpoint {0} is not the address of a collector, such as http://collector:4318")]
        Address(String),
        #[error("cannot read the system's certificates: {0}")]
        Certificates(#[from] std::io::Error),
        #[error("cannot set up the trace exporter: {0}")]
        Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    }

    impl Traces {
        /// Exports traces of the replica `identity` to `endpoint` (without `/v1/traces`). Call it within the runtime that
        /// sends: the exporter has its own thread.
        ///
        /// # Errors
        /// If the address is not usable.
        pub fn new(endpoint: &str, identity: &str) -> Result<Self, Error> {
            let address = || Error::Address(endpoint.to_owned());
            let base: Uri = endpoint.parse().map_err(|_| address())?;
            if !matches!(base.scheme_str(), Some("http" | "https")) {
                return Err(address());
            }
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(Sender::new()?)
                .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
                .with_timeout(DEADLINE)
                .build()?;
            let about = [
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", identity.to_owned()),
            ];
            let resource = Resource::builder().with_service_name("amigo-operator").with_attributes(about).build();
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
            Ok(Self { provider: Some(provider) })
        }

        #[must_use]
        pub fn layer(&self) -> Option<Extra> {
            let tracer = self.provider.as_ref()?.tracer("amigo-operator");
            // `kube_client` has a span for each Kubernetes API request. Other spans are noise.
            let spans = Targets::new()
                .with_target("amigo_operator", tracing::Level::INFO)
                .with_target("amigo_client", tracing::Level::INFO)
                .with_target("kube_runtime::controller", tracing::Level::INFO)
                .with_target("kube_client::client::builder", tracing::Level::DEBUG);
            Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(spans).boxed())
        }

        /// Delivers the remaining traces.
        pub async fn finish(self) {
            let Some(provider) = self.provider else { return };
            let problem = match tokio::task::spawn_blocking(move || provider.shutdown()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(problem, "cannot deliver the last traces");
        }
    }

    /// Sends on the runtime: the exporter's thread has none.
    #[derive(Clone, Debug)]
    struct Sender {
        client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
        runtime: Handle,
    }

    impl Sender {
        fn new() -> Result<Self, Error> {
            let provider = rustls::crypto::ring::default_provider();
            let connector =
                HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?.https_or_http().enable_http1();
            let client = Client::builder(TokioExecutor::new()).build(connector.build());
            Ok(Self { client, runtime: Handle::current() })
        }
    }

    #[async_trait::async_trait]
    impl HttpClient for Sender {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let client = self.client.clone();
            let delivery = async move {
                let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, LARGEST_RESPONSE).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(parts, body))
            };
            self.runtime.spawn(async { tokio::time::timeout(DEADLINE, delivery).await }).await??
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Traces {
    #[must_use]
    pub fn layer(&self) -> Option<Extra> {
        None
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub async fn finish(self) {}
}
