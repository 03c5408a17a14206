//! The names that are there, for completion: quickly or not at all.

use std::{sync::mpsc, thread, time::Duration};

use amigo_api::{Role, TemporaryPermissionGrant};
use amigo_permissions::names;
use amigo_runtime::clock::SystemClock;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _, api::ListParams, config::Kubeconfig};

use crate::{ClusterOptions, Console, Failure, Session, kubernetes::Kubernetes};

/// How long somebody who pressed a key is kept waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// More names than this help nobody to choose.
const MOST: u32 = 500;

/// Names with a word about each.
type Names = Vec<(String, String)>;

/// What names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of Organizations.
    Organizations,
    /// Of requests for access in the namespace.
    Grants,
    /// Of Roles in the namespace.
    Roles,
    /// Of namespaces.
    Namespaces,
    /// Of contexts in the kubeconfig.
    Contexts,
    /// Of clusters in the kubeconfig.
    Clusters,
    /// Of permissions.
    Permissions,
}

/// The names that are there; none where they cannot be had in time.
pub fn live(kind: Kind, options: &ClusterOptions) -> Names {
    match kind {
        Kind::Permissions => names::KNOWN.map(|name| (name.to_owned(), String::new())).into(),
        Kind::Contexts => kubeconfig(options).contexts.into_iter().map(|one| (one.name, String::new())).collect(),
        Kind::Clusters => kubeconfig(options).clusters.into_iter().map(|one| (one.name, String::new())).collect(),
        Kind::Organizations | Kind::Grants | Kind::Roles | Kind::Namespaces => within_patience(kind, options.clone()),
    }
}

fn kubeconfig(options: &ClusterOptions) -> Kubeconfig {
    let read = options.kubeconfig.as_ref().map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    read.unwrap_or_default()
}

/// On a thread of its own: a program that signs in to the cluster may block for longer than anybody waits for a key.
fn within_patience(kind: Kind, options: ClusterOptions) -> Names {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let found = runtime.map(|runtime| runtime.block_on(of_cluster(kind, options)));
        // Whoever asked may have gone on without an answer.
        let _ = sender.send(found.ok().and_then(Result::ok).unwrap_or_default());
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

async fn of_cluster(kind: Kind, options: ClusterOptions) -> Result<Names, Failure> {
    let session = Session::new(options, Console::of_process(), SystemClock::shared());
    let kubernetes = session.kubernetes().await?;
    match kind {
        Kind::Organizations => {
            let found = kubernetes.organizations().await?.into_iter();
            Ok(found.map(|one| (one.name_any(), one.spec.console())).collect())
        }
        Kind::Grants => {
            list(kubernetes.api(), |grant: &TemporaryPermissionGrant| {
                grant.spec.justification.trim().lines().next().unwrap_or_default().to_owned()
            })
            .await
        }
        Kind::Roles => list(kubernetes.api(), |role: &Role| role.spec.description.trim().to_owned()).await,
        _ => namespaces(&kubernetes).await,
    }
}

async fn namespaces(kubernetes: &Kubernetes) -> Result<Names, Failure> {
    list(Api::<Namespace>::all(kubernetes.client.clone()), |_| String::new()).await
}

async fn list<K>(api: Api<K>, about: impl Fn(&K) -> String) -> Result<Names, Failure>
where
    K: Clone + std::fmt::Debug + kube::Resource + serde::de::DeserializeOwned,
{
    let listed = api.list(&ListParams::default().limit(MOST)).await;
    let found = listed.map_err(|error| Failure::of_kube("list names", &error))?.items;
    Ok(found.iter().map(|object| (object.name_any(), about(object))).collect())
}
