//! The sandbox as a program.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use amigo_runtime::clock::SharedClock;
use clap::Args;
use rand::Rng;
use thiserror::Error;
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::{Sandbox, Seed, SeedError};

/// The arguments of the sandbox.
#[derive(Args, Clone, Debug)]
pub struct SandboxOptions {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// YAML file with organizations, users, roles and conversations; without it a built-in example is used.
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// Start of the random source, for a run that can be repeated.
    #[arg(long, value_name = "NUMBER")]
    pub random_seed: Option<u64>,
}

/// Why the sandbox did not start, or ended.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error("cannot read the seed {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the sandbox ended: {0}")]
    Serve(#[from] io::Error),
}

/// Serves the sandbox until the program is told to stop (interrupt or, on Unix, SIGTERM).
///
/// # Errors
/// If the seed is missing or bad, the address is taken, or the listener fails.
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
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    let address = listener.local_addr()?;
    warn!("this is a sandbox, not Amigo: nothing here is real, and everything is lost when it ends");
    info!(%address, organizations = ?sandbox.organizations(), random_seed, "sandbox listens on http://{address}");
    sandbox.serve(listener, told_to_stop()).await?;
    Ok(())
}

async fn told_to_stop() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            warn!(%error, "interrupts are not heard");
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
                warn!(%error, "SIGTERM is not heard");
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
