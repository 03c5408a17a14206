//! The options: those of the guide, and those that kubectl users expect.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use jiff::Timestamp;

use super::values::{self, Conversation};
use crate::{
    options::wait_option,
    output::{OutputFormat, OutputOptions, formats},
};

const FORMATS: &[OutputFormat] = &[OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];

const EXAMPLES: &str = "\
Examples:
  # Request access to the conversation on a console page for two hours
  kubectl amigo conversation request-access https://org.amigo.ai/admin/conversation/abc123def456abc123def456 \\
      -j \"Debugging reported issue #42\"

  # Request access by conversation ID for four hours
  kubectl amigo conversation request-access abc123def456abc123def456 --organization production \\
      -j \"Reviewing customer feedback\" -d PT4H

  # Request access for a colleague that `kubectl amigo revoke` can end within five minutes
  kubectl amigo conversation request-access abc123def456abc123def456 --organization production \\
      -j \"Pair debugging session\" --user colleague@example.com --revoke-within PT5M

  # Print a manifest for git, which grants access once
  kubectl amigo conversation request-access abc123def456abc123def456 --organization production \\
      -j \"Reviewing customer feedback\" --user colleague@example.com --dry-run=client

The access includes all conversations of the conversation's owner: Amigo cannot limit access to one conversation.

Permissions: create, get and watch on temporarypermissiongrants; list on organizations.
Exit codes: 0 granted (with --no-wait: requested), 1 failed, 2 usage error, 3 refused, 4 amigo-operator does not
respond, 124 not granted within --timeout, 130 Ctrl-C. The request remains when the wait ends.";

/// Request temporary access to the conversations of one owner
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(FORMATS)))]
#[command(after_help = EXAMPLES)]
pub struct RequestAccessArgs {
    /// Console page of the conversation, or its ID (24 hexadecimal digits)
    #[arg(value_parser = values::conversation)]
    pub conversation: Conversation,

    /// Reason for the access, 10 to 1024 characters. Amigo keeps it as the audit record; include a ticket number.
    #[arg(long, short, value_name = "TEXT", value_parser = values::justification)]
    pub justification: String,

    /// Organization name [default: the Organization of the console page, or the only one]
    #[arg(long, short = 'e', visible_alias = "env", value_name = "NAME")]
    pub organization: Option<String>,

    /// Duration in ISO 8601, PT1M to P3D, such as PT30M or P1D [default: the Organization's, else PT2H]
    #[arg(long, short, value_name = "DURATION", value_parser = values::duration)]
    pub duration: Option<String>,

    /// Email address of the user who gets access [default: you]
    #[arg(long, visible_alias = "user-email", value_name = "EMAIL", value_parser = values::email)]
    pub user: Option<String>,

    /// User ID of the conversation's owner, if the operator cannot look it up
    #[arg(long, value_name = "ID", value_parser = values::owner)]
    pub owner_user_id: Option<String>,

    /// End the access within this time (PT5M or more) after you delete the request. Without it, access lasts to its end.
    #[arg(long, value_name = "DURATION", value_parser = values::revoke_within)]
    pub revoke_within: Option<String>,

    /// Keep the expired request for this time, such as P7D [default: delete it at once]
    #[arg(long, value_name = "DURATION", value_parser = values::ttl_after_expiry)]
    pub ttl_after_expiry: Option<String>,

    /// No access after this time, such as 2027-01-31T18:00:00Z. With --dry-run=client, the default is the latest end
    /// of access that is requested now.
    #[arg(long, value_name = "TIME", value_parser = values::not_after)]
    pub not_after: Option<Timestamp>,

    /// Name of the request [default: generated from the user and the conversation]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Wait until the access is granted [default: true]
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value_t = true, default_missing_value = "true", overrides_with = "no_wait", hide_default_value = true
    )]
    pub wait: bool,

    /// Create the request and print its name without waiting
    #[arg(long, overrides_with = "wait")]
    pub no_wait: bool,

    /// Maximum time to wait, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = wait_option)]
    pub timeout: Duration,

    /// none, client (print the request without sending it) or server (validate it without persisting it)
    #[arg(long, value_name = "MODE", value_enum, default_value_t, hide_possible_values = true)]
    pub dry_run: DryRun,

    #[command(flatten)]
    pub output: OutputOptions,
}

impl RequestAccessArgs {
    pub fn waits(&self) -> bool {
        self.wait && !self.no_wait
    }
}

/// kubectl's `--dry-run`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    #[default]
    None,
    Client,
    Server,
}
