//! The kubectl plugin, `kubectl amigo`.
//!
//! It talks to the API server only. What needs the Amigo API itself reads the Organization's Secret with the caller's own
//! rights, and says so when it may not. Data goes to stdout, prose to stderr.

mod arguments;
mod commands;
mod console;
mod exit;
mod failure;
#[cfg(test)]
mod fixtures;
mod identity;
mod kubernetes;
mod manifests;
mod organizations;
mod output;
mod remote;
pub mod table;
mod verdict;
mod warnings;

pub use arguments::{AmigoOptions, Arguments, ClusterOptions, Command, wait_option};
pub use commands::completion::answer as answer_completion;
pub use console::Console;
pub use exit::Exit;
pub use failure::Failure;
pub use warnings::Warnings;

use amigo_runtime::clock::SharedClock;

use self::commands::{can_i, completion, conversation, revoke, role, status, test as access_test};

/// What every command works with.
pub struct Session {
    /// Which cluster, as whom.
    pub options: ClusterOptions,
    /// Where output goes.
    pub console: Console,
    /// What time it is.
    pub clock: SharedClock,
    /// What the API server warned of.
    pub warnings: Warnings,
}

impl Session {
    /// A session in which nothing has happened yet.
    #[must_use]
    pub fn new(options: ClusterOptions, console: Console, clock: SharedClock) -> Self {
        Self { options, console, clock, warnings: Warnings::default() }
    }

    /// Tells what the API server has warned of since the last time.
    pub fn heed(&mut self) {
        for warning in self.warnings.take() {
            self.console.warn(&warning);
        }
    }
}

/// Runs one command and says on stderr why it failed, if it did.
pub async fn run(arguments: Arguments, console: Console, clock: SharedClock) -> Exit {
    let mut session = Session::new(arguments.options, console, clock);
    let ended = dispatch(arguments.command, &mut session).await;
    session.heed();
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            session.console.complain(&failure);
            failure.exit
        }
    }
}

async fn dispatch(command: Command, session: &mut Session) -> Result<Exit, Failure> {
    match command {
        Command::Conversation(command) => conversation::run(command, session).await,
        Command::Revoke(arguments) => revoke::run(arguments, session).await,
        Command::Explain(arguments) => status::run(arguments, session).await,
        Command::CanI(arguments) => can_i::run(arguments, session).await,
        Command::Role(command) => role::run(command, session).await,
        Command::Test(arguments) => access_test::run(arguments, session).await,
        Command::Completion(arguments) => completion::run(&arguments, session),
        Command::Version => {
            session.console.line(&format!("kubectl amigo {}", env!("CARGO_PKG_VERSION")))?;
            Ok(Exit::Granted)
        }
    }
}
