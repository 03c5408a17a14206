//! `amigo-dev`: the tour and the reference generator, for developers of this repository. No release contains it.

use std::{io::Write as _, process::ExitCode};

use amigo_dev::{TourOptions, reference, tour};
use amigo_operator::telemetry::{LogFormat, logs};
use amigo_runtime::clock::SystemClock;
use clap::{Parser, Subcommand};

/// Developer programs of amigo-operator.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator against a local API server and the sandbox, and watch a grant expire.
    Tour(TourOptions),
    /// Print the reference of all fields and reasons as Markdown (docs/reference.md).
    Reference,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the program prints its error here")]
            {
                eprintln!("amigo-dev: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Tour(options) => {
            // While the API server starts, the client logs failed connections.
            let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,kube_client=off".to_owned());
            logs::init(LogFormat::Text, &filter)?;
            Ok(tour(options, SystemClock::shared()).await?)
        }
        Command::Reference => Ok(write!(std::io::stdout(), "{}", reference())?),
    }
}
