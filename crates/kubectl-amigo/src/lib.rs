//! The kubectl plugin, `kubectl amigo`.
//!
//! It calls the API server only. The few commands that call the Amigo API read the Organization's Secret with the
//! user's own rights, and say so when they may not. Data goes to stdout, prose to stderr.

mod arguments;
mod commands;
mod completion;
mod console;
mod exit;
mod failure;
#[cfg(test)]
mod fixtures;
mod identity;
mod kubeconfig;
mod kubernetes;
mod manifests;
mod options;
mod organizations;
mod output;
mod remaining_access;
mod remote;
mod requests;
mod session;
mod stored_objects;
pub mod table;
mod verdict;
mod warnings;

pub use arguments::{Arguments, Command};
pub use completion::answer as answer_completion;
pub use console::Console;
pub use exit::Exit;
pub use failure::Failure;
pub use options::{AmigoOptions, ClusterOptions};
pub use session::Session;
pub use warnings::Warnings;

use amigo_runtime::clock::SharedClock;

/// Runs one command and reports its failure on stderr.
pub async fn run(arguments: Arguments, console: Console, clock: SharedClock) -> Exit {
    let mut session = Session::new(arguments.options, console, clock);
    let result = arguments.command.run(&mut session).await;
    session.report_warnings();
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            session.console.error(&failure);
            failure.exit
        }
    }
}
