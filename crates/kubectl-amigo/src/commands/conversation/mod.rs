//! Temporary access to conversations.

mod list_access;
mod request_access;

use clap::Subcommand;

use self::{list_access::ListAccessArgs, request_access::RequestAccessArgs};
use crate::{Exit, Failure, Session};

#[derive(Debug, Subcommand)]
pub enum ConversationCommand {
    /// List temporary access
    ListAccess(ListAccessArgs),
    /// Request temporary access to the conversations of one owner
    RequestAccess(Box<RequestAccessArgs>),
}

pub async fn run(command: ConversationCommand, session: &mut Session) -> Result<Exit, Failure> {
    match command {
        ConversationCommand::ListAccess(args) => list_access::run(args, session).await,
        ConversationCommand::RequestAccess(args) => request_access::run(*args, session).await,
    }
}
