//! `amigo-sandbox`: an embedded Amigo API to try things against. Not Amigo itself.

use std::process::ExitCode;

use amigo_operator::telemetry::{LogFormat, logs};
use amigo_runtime::clock::SystemClock;
use amigo_sandbox::SandboxOptions;
use clap::Parser;

/// Serve an embedded Amigo API for tests and trials. It is not Amigo itself.
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
            #[expect(clippy::print_stderr, reason = "the program reports its failure here")]
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
