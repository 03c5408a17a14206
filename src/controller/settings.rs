//! What the operator is told at its start.

use std::time::Duration;

use amigo_client::DOCUMENTED_HOSTS;
use amigo_lifecycle::grant::Timing;

/// What the operator is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's own namespace: where Secrets are read and the lease lives.
    pub namespace: String,
    /// Unique to this process.
    pub identity: String,
    /// Hosts that Organizations may name in `apiUrl`.
    pub allowed_hosts: Vec<String>,
    /// Whether `apiUrl` may be plain http, as for the sandbox.
    pub allow_plain_http: bool,
    /// The grant protocol's times.
    pub timing: Timing,
    /// How often all live grants at Amigo are compared with the objects.
    pub sweep_interval: Duration,
    /// How often refused credentials are tried again without a changed Secret.
    pub probe_interval: Duration,
    /// How many objects of one kind are worked on at a time.
    pub concurrency: u16,
    /// The longest one call of the Amigo API may take: after a stop nothing is waited for any longer.
    pub call_deadline: Duration,
    /// The longest one pass over an object may take.
    pub pass_deadline: Duration,
}

impl Settings {
    /// The defaults for an operator in this namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            identity: identity.into(),
            allowed_hosts: DOCUMENTED_HOSTS.map(str::to_owned).to_vec(),
            allow_plain_http: false,
            timing: Timing::default(),
            sweep_interval: Duration::from_mins(10),
            probe_interval: Duration::from_mins(10),
            // High, because a pass that waits for Amigo must not keep another object from expiring in time.
            concurrency: 512,
            call_deadline: Duration::from_secs(20),
            pass_deadline: Duration::from_mins(2),
        }
    }
}
