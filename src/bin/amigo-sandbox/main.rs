//! `amigo-sandbox`: a test implementation of the Amigo API.

use std::process::ExitCode;

use amigo_operator::telemetry::{LogFormat, logs};
use amigo_runtime::clock::SystemClock;
use amigo_sandbox::SandboxOptions;
use clap::Parser;

/// Serve a sandbox of the Amigo API for tests and trials. It is not Amigo, and its data is fictional.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: SandboxOptions,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the program prints its error here")]
            {
                eprintln!("amigo-sandbox: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(options: SandboxOptions) -> anyhow::Result<()> {
    logs::init(LogFormat::Text, "info")?;
    Ok(amigo_sandbox::run(options, SystemClock::shared()).await?)
}
