//! The command line, and which command runs.

use clap::{Parser, Subcommand};

use super::{
    Exit, Failure, Session,
    commands::{
        can_i,
        completion::{self, CompletionArgs},
        conversation::{self, ConversationCommand},
        resync::{self, ResyncArgs},
        revoke::{self, RevokeArgs},
        role::{self, RoleCommand},
        status::{self, StatusArgs},
        test,
    },
    options::ClusterOptions,
};

/// Request, view and end access to the Amigo platform
#[derive(Debug, Parser)]
#[command(
    name = "kubectl amigo",
    bin_name = "kubectl amigo",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 granted or yes, 1 failed or no, 2 usage error, 3 refused, 4 pending, 124 timeout, 130 Ctrl-C."
)]
pub struct Arguments {
    #[command(flatten)]
    pub options: ClusterOptions,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Request access to conversations, and list who has access
    #[command(subcommand)]
    Conversation(ConversationCommand),
    /// Delete a request for access, and show when the access ends
    Revoke(RevokeArgs),
    /// Show the status of a request: user, reason, permissions, failures and remedies
    Status(StatusArgs),
    /// Compare an object with Amigo now, and correct differences
    Resync(ResyncArgs),
    /// Check whether a user may do something, and explain why
    #[command(name = "can-i")]
    CanI(can_i::Arguments),
    /// Check, compare and export roles
    #[command(subcommand)]
    Role(RoleCommand),
    /// Run the access tests in `*.test.yaml` files against manifests
    Test(test::Arguments),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Print the version
    Version,
}

impl Command {
    pub(super) async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Conversation(command) => conversation::run(command, session).await,
            Self::Revoke(args) => revoke::run(args, session).await,
            Self::Status(args) => status::run(args, session).await,
            Self::Resync(args) => resync::run(args, session).await,
            Self::CanI(args) => can_i::run(args, session).await,
            Self::Role(command) => role::run(command, session).await,
            Self::Test(args) => test::run(args, session).await,
            Self::Completion(args) => completion::run(&args, session),
            Self::Version => {
                session.console.line(&format!("kubectl amigo {}", env!("CARGO_PKG_VERSION")))?;
                Ok(Exit::Granted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn api_key_goes_to_documented_hosts_by_default() {
        let default = Arguments::try_parse_from(["kubectl-amigo", "version"]).unwrap().options.amigo;
        assert!(default.allowed_api_host.is_empty());
        let line = "kubectl-amigo version --allowed-api-host=http://127.0.0.1,sandbox";
        let set = Arguments::try_parse_from(line.split(' ')).unwrap().options.amigo;
        assert!(set.allowed_api_host == ["http://127.0.0.1", "sandbox"]);
    }

    #[test]
    fn kubectl_options_work_in_any_position() {
        for line in ["kubectl-amigo version -n team", "kubectl-amigo -n team version"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.options.namespace.as_deref(), Some("team"));
        }
    }
}
