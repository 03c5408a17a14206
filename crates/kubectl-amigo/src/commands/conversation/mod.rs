//! Temporary access to conversations.

mod list_access;
mod request_access;

use clap::Subcommand;

use crate::{Exit, Failure, Session};

/// Temporary access to conversations.
#[derive(Debug, Subcommand)]
pub enum ConversationCommand {
    /// List temporary access.
    ListAccess(list_access::Arguments),
    /// Ask for temporary access to the conversations of one owner.
    RequestAccess(Box<request_access::Arguments>),
}

/// Runs one of them.
///
/// # Errors
/// What the user must know.
pub async fn run(command: ConversationCommand, session: &mut Session) -> Result<Exit, Failure> {
    match command {
        ConversationCommand::ListAccess(arguments) => list_access::run(arguments, session).await,
        ConversationCommand::RequestAccess(arguments) => request_access::run(*arguments, session).await,
    }
}
