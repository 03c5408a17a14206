//! What every command works with.

use amigo_api::Organization;
use amigo_client::Client;
use amigo_runtime::clock::SharedClock;

use super::{Console, Failure, Warnings, kubernetes::Kubernetes, options::ClusterOptions, remote};

/// The options, streams and clock of one run.
pub struct Session {
    pub options: ClusterOptions,
    pub console: Console,
    pub clock: SharedClock,
    /// Warnings of the API server.
    pub warnings: Warnings,
}

impl Session {
    #[must_use]
    pub fn new(options: ClusterOptions, console: Console, clock: SharedClock) -> Self {
        let options = options.without_empty();
        Self { options, console, clock, warnings: Warnings::default() }
    }

    /// Prints the warnings of the API server since the last call.
    pub fn report_warnings(&mut self) {
        for warning in self.warnings.take() {
            self.console.warn(&warning);
        }
    }

    /// Connects to the cluster that the options name.
    ///
    /// # Errors
    /// When no cluster is configured, or the kubeconfig is unusable.
    pub async fn kubernetes(&self) -> Result<Kubernetes, Failure> {
        Kubernetes::connect(&self.options, &self.warnings).await
    }

    /// Connects to the Amigo API of an Organization, as the operator's own user.
    ///
    /// # Errors
    /// When the caller may not read the Secret, the Secret lacks a key, or the address of the API is not allowed.
    pub async fn amigo(&self, kubernetes: &Kubernetes, organization: &Organization) -> Result<Client, Failure> {
        remote::connect(kubernetes, organization, &self.options, &self.clock).await
    }
}
