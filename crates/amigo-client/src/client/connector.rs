//! Connects within one deadline, and tells failures of the network from those of TLS.

use std::{
    error::Error as StdError,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tower::Service;

use crate::Excerpt;

/// A connection that was not made; not a byte of a request was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ConnectFailure {
    /// The name did not resolve, the server did not accept, or it took too long.
    #[error("{0}")]
    Connect(String),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(String),
}

impl ConnectFailure {
    /// The connection failure among the causes of an error.
    pub(super) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(failure) = error.downcast_ref() {
                return Some(failure);
            }
            cause = error.source();
        }
        None
    }
}

/// TCP, then TLS if the address says `https`.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<Tcp>,
    timeout: Duration,
}

/// TCP with errors that say so: any other failure is one of TLS.
#[derive(Clone)]
pub(super) struct Tcp(HttpConnector);

impl Connector {
    /// `timeout` covers name, connection and handshake together.
    pub(super) fn new(tls: rustls::ClientConfig, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        let inner =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(Tcp(tcp));
        Self { inner, timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectFailure;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        self.inner.poll_ready(context).map_err(|error| failure(&*error))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connecting = self.inner.call(address);
        let timeout = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(result) => result.map_err(|error| failure(&*error)),
                Err(_) => Err(ConnectFailure::Connect(format!("no connection within {timeout:?}"))),
            }
        })
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailure;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        self.0.poll_ready(context).map_err(|error| ConnectFailure::Connect(causes(&error).to_string()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connecting = self.0.call(address);
        Box::pin(async move { connecting.await.map_err(|error| ConnectFailure::Connect(causes(&error).to_string())) })
    }
}

/// The messages of an error and of its sources.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> Excerpt {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    Excerpt::new(&chain.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

fn failure(error: &(dyn StdError + 'static)) -> ConnectFailure {
    ConnectFailure::find(error).cloned().unwrap_or_else(|| ConnectFailure::Tls(causes(error).to_string()))
}
