//! `amigo-operator`: the controllers, the CRDs, and a health check.

mod run;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use amigo_operator::telemetry::probe;
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use http::Uri;

// musl's own allocator is slow under several threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes access to the Amigo platform declarative: roles as reviewed YAML, temporary access that ends on time.
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
    /// Wait until a URL, such as that of /readyz, answers with a success: a health check without a shell.
    Probe {
        /// What is asked, with plain http.
        #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080/readyz")]
        url: Uri,
        /// How long it is asked again.
        #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = run::duration)]
        within: Duration,
    },
    /// Print the CRDs, for `kubectl apply -f -`.
    Crds {
        /// Write one file a kind into this folder instead.
        #[arg(long, value_name = "FOLDER")]
        output_dir: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one place where the program reports its end")]
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

/// Two threads: the work is waiting, and every thread costs memory.
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
