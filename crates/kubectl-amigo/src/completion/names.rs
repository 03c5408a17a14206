//! Names in the cluster and in the kubeconfig, for completion: quickly or not at all.

use std::{sync::mpsc, thread, time::Duration};

use amigo_api::{Role, Stored, TemporaryPermissionGrant};
use amigo_permissions::names::KNOWN;
use amigo_runtime::clock::SystemClock;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _, config::Kubeconfig};

use crate::{ClusterOptions, Console, Failure, Session, kubeconfig, kubernetes::Kubernetes};

/// How long a key press may wait for names.
const TIMEOUT: Duration = Duration::from_secs(2);

/// More names than this are too many to choose from.
const MOST: u32 = 500;

/// Names with a description each.
type Names = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Organizations,
    Grants,
    Roles,
    Namespaces,
    Contexts,
    Clusters,
    Permissions,
}

/// The names of one kind; none when they cannot be read in time.
pub fn names(kind: Kind, options: &ClusterOptions) -> Names {
    match kind {
        Kind::Permissions => KNOWN.map(|name| (name.to_owned(), String::new())).into(),
        Kind::Contexts => kubeconfig(options).contexts.into_iter().map(|one| (one.name, String::new())).collect(),
        Kind::Clusters => kubeconfig(options).clusters.into_iter().map(|one| (one.name, String::new())).collect(),
        Kind::Organizations | Kind::Grants | Kind::Roles | Kind::Namespaces => with_timeout(kind, options.clone()),
    }
}

fn kubeconfig(options: &ClusterOptions) -> Kubeconfig {
    kubeconfig::read(options).ok().flatten().unwrap_or_default()
}

/// On its own thread: a credential plugin of the cluster may block for longer than the timeout.
fn with_timeout(kind: Kind, options: ClusterOptions) -> Names {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let found = runtime.map(|runtime| runtime.block_on(from_cluster(kind, options)));
        // The receiver is gone after the timeout.
        let _ = sender.send(found.ok().and_then(Result::ok).unwrap_or_default());
    });
    receiver.recv_timeout(TIMEOUT).unwrap_or_default()
}

async fn from_cluster(kind: Kind, options: ClusterOptions) -> Result<Names, Failure> {
    let session = Session::new(options, Console::from_process(), SystemClock::shared());
    let kubernetes = session.kubernetes().await?;
    match kind {
        Kind::Organizations => {
            let found = kubernetes.organizations().await?.into_iter();
            Ok(found.map(|one| (one.name_any(), one.spec.console())).collect())
        }
        Kind::Grants => {
            let found: Vec<TemporaryPermissionGrant> = list(&kubernetes, kubernetes.api()).await?;
            let reason = |text: &str| text.trim().lines().next().unwrap_or_default().to_owned();
            Ok(found.iter().map(|grant| (grant.name_any(), reason(&grant.spec.justification))).collect())
        }
        Kind::Roles => {
            let found: Vec<Role> = list(&kubernetes, kubernetes.api()).await?;
            Ok(found.iter().map(|role| (role.name_any(), role.spec.description.trim().to_owned())).collect())
        }
        _ => {
            let found: Vec<Namespace> = list(&kubernetes, Api::all(kubernetes.client.clone())).await?;
            Ok(found.iter().map(|namespace| (namespace.name_any(), String::new())).collect())
        }
    }
}

async fn list<K>(kubernetes: &Kubernetes, api: Api<Stored<K>>) -> Result<Vec<K>, Failure>
where
    K: Clone + std::fmt::Debug + kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned,
{
    kubernetes.list(&api, Some(MOST), "list names").await
}
