//! The cluster that the kubeconfig of the user names.

use std::time::Duration;

use amigo_runtime::kubernetes::client_with_response_hook;
use kube::{Api, Client, Config, config::KubeConfigOptions, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{Failure, Warnings, kubeconfig, options::ClusterOptions};

/// How long one call to the API server may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// The cluster and the namespace a command works in.
pub struct Kubernetes {
    /// For single calls: no retries, with a deadline.
    pub client: Client,
    /// For watches, without a deadline.
    pub watching: Client,
    pub namespace: String,
    /// Those of the session.
    pub warnings: Warnings,
}

impl Kubernetes {
    /// Connects to the cluster that the options name.
    ///
    /// # Errors
    /// When no cluster is configured, or the kubeconfig is unusable.
    pub async fn connect(options: &ClusterOptions, warnings: &Warnings) -> Result<Self, Failure> {
        let config = config(options).await?;
        let namespace = config.default_namespace.clone();
        let unusable = |error: kube::Error| Failure::failed(format!("cannot use the kubeconfig: {error}"));
        let client = client_with_response_hook(config.clone(), CALL_DEADLINE, warnings.hook()).map_err(unusable)?;
        let watching = Client::try_from(config).map_err(unusable)?;
        Ok(Self { client, watching, namespace, warnings: warnings.clone() })
    }

    /// Objects of a namespaced kind in the command's namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()> + DeserializeOwned,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

async fn config(options: &ClusterOptions) -> Result<Config, Failure> {
    let mut config = load(options).await?;
    if let Some(namespace) = &options.namespace {
        config.default_namespace.clone_from(namespace);
    }
    if options.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&options.impersonate);
        config.auth_info.impersonate_groups =
            (!options.impersonate_groups.is_empty()).then(|| options.impersonate_groups.clone());
    }
    Ok(config)
}

/// As kubectl does: the context of the kubeconfig, else the service account of the pod. A kubeconfig that cannot be used
/// is never a reason to act as the pod.
async fn load(options: &ClusterOptions) -> Result<Config, Failure> {
    let choice = KubeConfigOptions { context: options.context.clone(), cluster: options.cluster.clone(), user: None };
    let kubeconfig = kubeconfig::read(options)?.unwrap_or_default();
    let named = options.kubeconfig.is_some() || options.context.is_some() || options.cluster.is_some();
    if !named && kubeconfig.current_context.as_ref().is_none_or(String::is_empty) {
        return Config::incluster().map_err(|_| {
            Failure::failed("no cluster is configured: the kubeconfig has no current context")
                .advise("set --kubeconfig, --context or $KUBECONFIG, or sign in to a cluster")
        });
    }
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|error| {
        Failure::failed(format!("cannot use the kubeconfig: {error}"))
            .advise("to list its contexts, run `kubectl config get-contexts`")
    })?;
    kubeconfig::settle_token(&mut config.auth_info)?;
    Ok(config)
}
