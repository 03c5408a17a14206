//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;

use super::commands::{
    can_i, completion, conversation::ConversationCommand, revoke, role::RoleCommand, status, test as access_test,
};

/// Ask for, look at and end access to the Amigo platform.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl amigo",
    bin_name = "kubectl amigo",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 granted or yes, 1 failed or no, 2 wrong usage, 3 refused, 4 still pending, 124 timeout, 130 Ctrl-C."
)]
pub struct Arguments {
    /// Which cluster, as whom.
    #[command(flatten)]
    pub options: ClusterOptions,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// kubectl's own options, in any position.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of kubectl")]
pub struct ClusterOptions {
    /// The kubeconfig file, instead of $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The namespace, instead of the context's.
    #[arg(long, short, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The user to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// A group to impersonate; may be repeated.
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "impersonate")]
    pub impersonate_groups: Vec<String>,
    /// The operator's own namespace, where the Secrets of Organizations are.
    #[arg(long, global = true, value_name = "NAME", env = "AMIGO_OPERATOR_NAMESPACE", default_value = "amigo-system")]
    pub operator_namespace: String,
    /// What the plugin may do to reach Amigo itself.
    #[command(flatten)]
    pub amigo: AmigoOptions,
}

/// Where the API key of an Organization may be sent, by the few commands that ask Amigo itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of commands that ask Amigo itself")]
pub struct AmigoOptions {
    /// A host that may be sent the API key, beside Amigo's documented ones; may be repeated.
    #[arg(long, global = true, hide_short_help = true, value_name = "HOST", env = "AMIGO_ALLOWED_API_HOST")]
    #[arg(value_delimiter = ',')]
    pub allowed_api_host: Vec<String>,
    /// Send the API key over plain http as well, as the sandbox needs.
    #[arg(long, global = true, hide_short_help = true, env = "AMIGO_ALLOW_PLAIN_HTTP")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_plain_http: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask for access to conversations, and see who has it.
    #[command(subcommand)]
    Conversation(ConversationCommand),
    /// Delete a request for access, and say until when access goes on.
    Revoke(revoke::Arguments),
    /// Tell the whole story of one request: who, why, each permission, what failed and what to do.
    Explain(status::Arguments),
    /// Check whether a user may do something, and say why.
    #[command(name = "can-i")]
    CanI(can_i::Arguments),
    /// Check, compare and export roles.
    #[command(subcommand)]
    Role(RoleCommand),
    /// Run the access tests of `*.test.yaml` files over manifests.
    Test(access_test::Arguments),
    /// Print a completion script for a shell.
    Completion(completion::Arguments),
    /// Print the version.
    Version,
}

/// An option that says how long to wait, as kubectl has it: `30s`, `5m`.
///
/// # Errors
/// When the text is no such time.
pub fn wait_option(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| "write a time such as 30s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wait_is_written_as_for_kubectl() {
        assert_eq!(wait_option("1m30s"), Ok(Duration::from_secs(90)));
        assert!(wait_option("-5s").is_err() && wait_option("soon").is_err());
    }

    #[test]
    fn the_key_goes_to_documented_hosts_unless_told_otherwise() {
        let plain = Arguments::try_parse_from(["kubectl-amigo", "version"]).unwrap().options.amigo;
        assert!(!plain.allow_plain_http && plain.allowed_api_host.is_empty());
        let line = "kubectl-amigo version --allow-plain-http --allowed-api-host=127.0.0.1,sandbox";
        let told = Arguments::try_parse_from(line.split(' ')).unwrap().options.amigo;
        assert!(told.allow_plain_http && told.allowed_api_host == ["127.0.0.1", "sandbox"]);
    }

    #[test]
    fn options_of_kubectl_stand_anywhere_after_the_verb() {
        for line in ["kubectl-amigo version -n team", "kubectl-amigo -n team version"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.options.namespace.as_deref(), Some("team"));
        }
    }
}
