//! Configuration of the operator: flags of `amigo-operator run`, with their defaults.

use std::time::Duration;

use amigo_client::DOCUMENTED_HOSTS;
use amigo_lifecycle::grant::Timing;
use clap::Parser;
use jiff::SignedDuration;

/// Interval at which the operator retries rejected credentials if their Secret has not changed.
const PROBE_INTERVAL: Duration = Duration::from_mins(10);

/// Longest duration of one reconcile.
const RECONCILE_DEADLINE: Duration = Duration::from_mins(2);

/// What the controllers and the leader election need. The hidden flags set the pace of tests.
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    /// The operator's own namespace, which contains its Secrets and its Lease.
    #[arg(skip)]
    pub namespace: String,

    /// Unique to this process: see [`super::leader::unique_identity`].
    #[arg(skip)]
    pub identity: String,

    /// Host that an Organization may use in apiUrl. Repeatable. Replaces the default list of Amigo hosts. A host without
    /// a scheme means https. To send credentials unencrypted, as to the sandbox, write `http://HOST` or `http://HOST:PORT`.
    #[arg(long = "allowed-api-host", value_name = "HOST", default_values = DOCUMENTED_HOSTS)]
    pub allowed_hosts: Vec<String>,

    /// Timeout of one request to the Amigo API.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    pub call_deadline: Duration,

    /// Interval at which the operator compares all live grants at Amigo with the objects.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub sweep_interval: Duration,

    /// See [`PROBE_INTERVAL`].
    #[arg(skip = PROBE_INTERVAL)]
    pub probe_interval: Duration,

    // High, because a reconcile that waits for Amigo must not delay the expiry of another grant.
    /// Maximum number of concurrent reconciles per kind.
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    pub concurrency: u16,

    /// See [`RECONCILE_DEADLINE`].
    #[arg(skip = RECONCILE_DEADLINE)]
    pub reconcile_deadline: Duration,

    // The default leaves time for a GitOps sync that deletes and creates objects in any order.
    /// How long a deleted Role or RoleAssignment waits for a missing Organization or an allowed namespace.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration, hide = true)]
    pub release_grace: Duration,

    /// Time without renewal after which another replica becomes the leader.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub lease_duration: Duration,

    /// Name of the Lease.
    #[arg(long, value_name = "NAME", default_value = "amigo-operator", hide = true)]
    pub lease_name: String,

    /// Grant protocol: time within which a request that Amigo received may take effect.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub commit_time: Duration,

    /// Grant protocol: time that Amigo may need to list a new grant.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub list_lag: Duration,

    /// Grant protocol: time from the consistent read to the first byte of the last request.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration, hide = true)]
    pub send_window: Duration,

    /// Grant protocol: interval of retries.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, hide = true)]
    pub tick: Duration,
}

impl Settings {
    /// The defaults for an operator in this namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), identity: identity.into(), ..Self::parse_from(["amigo-operator"]) }
    }

    /// The times of the grant protocol.
    #[must_use]
    pub fn timing(&self) -> Timing {
        let Self { send_window, commit_time: commit, list_lag, tick, .. } = *self;
        Timing { send_window, commit, list_lag, tick }
    }

    /// Time without renewal after which the leader steps down: 10 s of 15 s.
    #[must_use]
    pub fn renew_deadline(&self) -> Duration {
        self.lease_duration * 2 / 3
    }

    /// Interval at which replicas check the Lease: 2 s of 15 s.
    #[must_use]
    pub fn retry_period(&self) -> Duration {
        self.lease_duration * 2 / 15
    }
}

/// Parses the value of a flag.
///
/// # Errors
/// With an example of a valid duration.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|_| "use a duration such as 90s, 10m or PT2H".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn defaults_are_those_of_the_grant_protocol() {
        Settings::command().debug_assert();
        assert_eq!(Settings::new("amigo-system", "me").timing(), Timing::default());
    }

    #[test]
    fn default_election_times_are_15_10_and_2_seconds() {
        let settings = Settings::new("amigo-system", "me");
        let times = [settings.lease_duration, settings.renew_deadline(), settings.retry_period()];
        assert_eq!(times, [15, 10, 2].map(Duration::from_secs));
    }
}
