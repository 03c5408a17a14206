//! Checks of roles before they are applied.

mod diff;
mod export;
mod lint;

use clap::Subcommand;

use crate::{Exit, Failure, Session};

/// Checks of roles before they are applied.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Show what a role would change at Amigo.
    Diff(diff::Arguments),
    /// Print roles at Amigo as manifests ready for adoption.
    Export(export::Arguments),
    /// Check roles against best practices and known traps.
    Lint(lint::Arguments),
}

/// Runs one of them.
///
/// # Errors
/// What the user must know.
pub async fn run(command: RoleCommand, session: &mut Session) -> Result<Exit, Failure> {
    match command {
        RoleCommand::Diff(arguments) => diff::run(arguments, session).await,
        RoleCommand::Export(arguments) => export::run(arguments, session).await,
        RoleCommand::Lint(arguments) => lint::run(arguments, session).await,
    }
}
