//! The options: those of the guide, and what kubectl's users expect.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::values::{self, Conversation};
use crate::{
    output::{OutputFormat, OutputOptions, formats},
    wait_option,
};

const EXAMPLES: &str = "\
Examples:
  # Two hours of access to what a page of the console shows
  kubectl amigo conversation request-access https://org.amigo.ai/admin/conversation/abc123def456abc123def456 \\
      -j \"Debugging reported issue #42\"

  # By the conversation's id, for four hours
  kubectl amigo conversation request-access abc123def456abc123def456 -e production \\
      -j \"Reviewing customer feedback\" -d PT4H

  # For a colleague, and so that `kubectl amigo revoke` ends it within five minutes
  kubectl amigo conversation request-access abc123def456abc123def456 -e production \\
      -j \"Pair debugging session\" --user-email colleague@example.com --revoke-within PT5M

  # As a manifest for git
  kubectl amigo conversation request-access abc123def456abc123def456 -e production \\
      -j \"Reviewing customer feedback\" --user-email colleague@example.com --dry-run=client

The access opens all conversations of the conversation's owner: Amigo has no permission for a single one.

Exit codes: 0 granted (with --no-wait: requested), 1 failed, 2 wrong usage, 3 refused, 4 amigo-operator does not
answer, 124 not granted within --timeout, 130 Ctrl-C. Whatever ends the wait, the request itself stands.";

/// Ask for temporary access to the conversations of one owner.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])))]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The conversation's page in the console, or its id of 24 hexadecimal digits.
    #[arg(value_parser = values::conversation)]
    pub conversation: Conversation,

    /// Why: at least 10 characters, kept at Amigo as the audit record. A ticket number helps.
    #[arg(long, short, value_name = "TEXT", value_parser = values::justification)]
    pub justification: String,

    /// The Organization's name [default: the one whose console the page belongs to, or the only one].
    #[arg(long, short, value_name = "ORGANIZATION")]
    pub env: Option<String>,

    /// How long, as ISO 8601 from PT1M to P3D, such as PT30M or P1D [default: the Organization's, else PT2H].
    #[arg(long, short, value_name = "DURATION", value_parser = values::duration)]
    pub duration: Option<String>,

    /// Who gets the access [default: you].
    #[arg(long, value_name = "EMAIL", value_parser = values::email)]
    pub user_email: Option<String>,

    /// The id of the conversation's owner, where the operator cannot look it up.
    #[arg(long, value_name = "ID", value_parser = values::owner)]
    pub owner_user_id: Option<String>,

    /// Deleting the request ends the access within this time, from PT5M; else issued access lasts to its end.
    #[arg(long, value_name = "DURATION", value_parser = values::revoke_within)]
    pub revoke_within: Option<String>,

    /// How long the ended request is kept, such as P7D [default: deleted at once].
    #[arg(long, value_name = "DURATION", value_parser = values::ttl_after_expiry)]
    pub ttl_after_expiry: Option<String>,

    /// The request's name [default: made from the user, the conversation and chance].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Wait until the access is there [default].
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value_t = true, default_missing_value = "true", overrides_with = "no_wait", hide_default_value = true
    )]
    pub wait: bool,

    /// Only send the request, and print its name.
    #[arg(long, overrides_with = "wait")]
    pub no_wait: bool,

    /// How long to wait, such as 30s or 5m.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = wait_option)]
    pub timeout: Duration,

    /// Print the request instead of sending it (client), or let the API server check it without keeping it (server).
    #[arg(long, value_name = "MODE", value_enum, default_value_t, hide_possible_values = true)]
    pub dry_run: DryRun,

    #[command(flatten)]
    pub output: OutputOptions,
}

impl Arguments {
    /// Whether to wait for the access.
    pub fn waits(&self) -> bool {
        self.wait && !self.no_wait
    }
}

/// kubectl's `--dry-run`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// The request is made.
    #[default]
    None,
    /// It is only printed.
    Client,
    /// The API server checks it and does not keep it.
    Server,
}
