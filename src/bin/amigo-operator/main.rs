//! `amigo-operator`: runs the controllers, prints the CRDs, and checks health.

mod run;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use amigo_operator::{controller, telemetry::probe};
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use http::Uri;

// musl's own allocator is slow under several threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Manages roles and temporary access on the Amigo platform as Kubernetes objects.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controllers.
    Run(Box<run::RunOptions>),
    /// Check health without a shell: wait until a URL, such as /readyz, returns a success.
    Probe {
        /// URL to request, with http://.
        #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080/readyz")]
        url: Uri,
        /// Time after which the check fails.
        #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = controller::parse_duration)]
        within: Duration,
    },
    /// Print the CRDs. Use `kubectl apply --server-side -f -` to install them.
    Crds {
        /// Write one file per kind to this directory instead.
        #[arg(long, value_name = "DIRECTORY")]
        output_dir: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the only output of a failed start")]
            {
                eprintln!("amigo-operator: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(options) => block_on(run::run(*options)),
        Command::Probe { url, within } => block_on(async { Ok(probe::probe(url, within).await?) }),
        Command::Crds { output_dir } => print_crds(output_dir.as_deref()),
    }
}

/// Two threads: the operator mostly waits, and every thread costs memory.
fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

fn print_crds(output_dir: Option<&Path>) -> anyhow::Result<()> {
    for definition in &amigo_api::all() {
        let (file_name, yaml) = amigo_api::manifest(definition)?;
        match output_dir {
            Some(folder) => {
                fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
                let path = folder.join(file_name);
                fs::write(&path, yaml).with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => write!(std::io::stdout(), "---\n{yaml}")?,
        }
    }
    Ok(())
}
