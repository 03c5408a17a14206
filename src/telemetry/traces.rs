//! Traces to an OpenTelemetry collector (OTLP over HTTP): what a pass over an object waited for. Needs the feature
//! `otlp`; without it nothing is traced and nothing of it is in the program.
//!
//! # Expected flow
//! [`Traces::to`] before logs are set up, [`Traces::layer`] into them, [`Traces::finish`] at the end of the process.
//!
//! # Guarantees
//! Passes, waits for a rate budget, and calls of both APIs are spans; contents, headers and credentials are not in them.
//!
//! # Assumptions
//! Made within the runtime that sends: its exporter has a thread of its own.
//!
//! # Caveats
//! `OTEL_TRACES_SAMPLER` and its argument say which traces are kept; all are, by default. What cannot be delivered is
//! lost, and work never waits for it.
//!
//! # Errors
//! Only an address that cannot be used.

use tracing_subscriber::{Layer, Registry};

/// What logs take beside their own lines.
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

    /// How long one delivery may take; it is not tried again.
    const DEADLINE: Duration = Duration::from_secs(10);
    const LARGEST_ANSWER: usize = 64 * 1024;

    /// Why there are no traces.
    #[derive(Debug, thiserror::Error)]
    pub enum Error {
        /// The address cannot be used.
        #[error("--otlp-endpoint {0} is not the address of a collector, such as http://collector:4318")]
        Address(String),
        /// The system has no certificates to trust.
        #[error("cannot read the system's certificates: {0}")]
        Certificates(#[from] std::io::Error),
        /// The exporter cannot be set up.
        #[error("cannot set up the exporter of traces: {0}")]
        Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    }

    impl Traces {
        /// Traces of the replica called `identity` to the collector at `endpoint`, `/v1/traces` left out.
        ///
        /// # Errors
        /// When the address cannot be used.
        pub fn to(endpoint: &str, identity: &str) -> Result<Self, Error> {
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

        /// What logs need so that spans become traces.
        #[must_use]
        pub fn layer(&self) -> Option<Extra> {
            let tracer = self.provider.as_ref()?.tracer("amigo-operator");
            // `kube_client` has a span for each call of the Kubernetes API. The rest would only make noise.
            let spans = Targets::new()
                .with_target("amigo_operator", tracing::Level::INFO)
                .with_target("kube_runtime::controller", tracing::Level::INFO)
                .with_target("kube_client::client::builder", tracing::Level::DEBUG);
            Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(spans).boxed())
        }

        /// Delivers what is left.
        pub async fn finish(self) {
            let Some(provider) = self.provider else { return };
            let problem = match tokio::task::spawn_blocking(move || provider.shutdown()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(problem, "the last traces were not delivered");
        }
    }

    /// Sends on the runtime, for the exporter's thread, which has none.
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
                let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(parts, body))
            };
            self.runtime.spawn(async { tokio::time::timeout(DEADLINE, delivery).await }).await??
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Traces {
    /// Nothing.
    #[must_use]
    pub fn layer(&self) -> Option<Extra> {
        None
    }

    /// Nothing is left.
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub async fn finish(self) {}
}
