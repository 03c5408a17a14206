//! Options that several commands share.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::SignedDuration;

/// kubectl's own options, in any position.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "kubectl options")]
pub struct ClusterOptions {
    /// Path to the kubeconfig file [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig context
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig cluster
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Namespace [default: the namespace of the context]
    #[arg(long, short, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// Group to impersonate. Repeatable.
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "impersonate")]
    pub impersonate_groups: Vec<String>,
    /// Namespace of amigo-operator, which contains the Secrets of Organizations
    #[arg(long, global = true, value_name = "NAME", env = "AMIGO_OPERATOR_NAMESPACE", default_value = "amigo-system")]
    pub operator_namespace: String,
    #[command(flatten)]
    pub amigo: AmigoOptions,
}

impl ClusterOptions {
    /// As for kubectl, an empty value is no value: `-n "$NAMESPACE"` without the variable.
    #[must_use]
    pub fn without_empty(mut self) -> Self {
        self.kubeconfig.take_if(|path| path.as_os_str().is_empty());
        for option in [&mut self.context, &mut self.cluster, &mut self.namespace, &mut self.impersonate] {
            option.take_if(|text| text.is_empty());
        }
        self
    }
}

/// Where the few commands that call Amigo may send the API key of an Organization.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of commands that call Amigo")]
pub struct AmigoOptions {
    /// Additional host that may receive the API key. Repeatable. Amigo's documented hosts are always allowed. To send the
    /// key unencrypted, as to the sandbox, write `http://HOST`.
    #[arg(long, global = true, hide_short_help = true, value_name = "HOST", env = "AMIGO_ALLOWED_API_HOST")]
    #[arg(value_delimiter = ',')]
    pub allowed_api_host: Vec<String>,
}

/// Parses a waiting time as kubectl writes it: `30s`, `5m`.
///
/// # Errors
/// When the text is not a duration, or a negative one.
pub fn wait_option(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| "must be a duration such as 30s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_options_are_unset() {
        let text = Some(String::new());
        let options = ClusterOptions { namespace: text.clone(), context: text, ..ClusterOptions::default() };
        let options = options.without_empty();
        assert_eq!((options.namespace, options.context), (None, None));
    }

    #[test]
    fn wait_option_accepts_kubectl_durations() {
        assert_eq!(wait_option("1m30s"), Ok(Duration::from_secs(90)));
        assert!(wait_option("-5s").is_err() && wait_option("soon").is_err());
    }
}
