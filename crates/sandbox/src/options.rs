//! The options of the program `amigo-sandbox`, and its main loop.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use amigo_runtime::clock::SharedClock;
use clap::Args;
use rand::Rng;
use thiserror::Error;
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::{Sandbox, Seed, SeedError};

#[derive(Args, Clone, Debug)]
pub struct SandboxOptions {
    /// Address to listen on. `[::]` means IPv6 and IPv4, or only IPv4 if the node has no IPv6.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// YAML file with the organizations, users, roles and conversations to start with [default: a built-in example].
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// Seed of the random generator, for a reproducible run [default: random].
    #[arg(long, value_name = "NUMBER")]
    pub random_seed: Option<u64>,
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// A failure to start or to serve.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("cannot read seed file {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
}

/// Serves the sandbox until the process receives an interrupt or, on Unix, SIGTERM.
///
/// # Errors
/// If the seed is missing or invalid, the address is in use, or the listener fails.
pub async fn run(options: SandboxOptions, clock: SharedClock) -> Result<(), RunError> {
    let seed = match &options.seed {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|source| RunError::Read { path: path.clone(), source })?;
            Seed::from_yaml(&text)?
        }
        None => Seed::example()?,
    };
    let random_seed = options.random_seed.unwrap_or_else(|| rand::rng().random());
    let sandbox = Sandbox::new(seed, clock, random_seed)?;
    let address = options.listen;
    let listener = bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    let address = listener.local_addr()?;
    warn!("this is a sandbox, not Amigo: all data is fictional, and the sandbox discards it on exit");
    info!(%address, organizations = ?sandbox.organizations(), random_seed, "sandbox listens on http://{address}");
    sandbox.serve(listener, shutdown_signal()).await?;
    Ok(())
}

async fn shutdown_signal() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            warn!(%error, "cannot handle interrupts");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                warn!(%error, "cannot handle SIGTERM");
                std::future::pending::<()>().await;
            }
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
