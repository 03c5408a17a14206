//! Observations of a request: from a watch, or from reads while the watch fails.

use std::time::Duration;

use amigo_api::TemporaryPermissionGrant;
use futures::{Stream, StreamExt as _, future, stream, stream::BoxStream};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watch_object},
    },
};
use tokio::time::sleep;

use crate::kubernetes::Kubernetes;

/// The interval of reads without a watch.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    Present(Box<TemporaryPermissionGrant>),
    Deleted,
    /// The message of the API server.
    Forbidden(String),
    /// The error.
    Failed(String),
}

pub struct Observations {
    watched: BoxStream<'static, Observation>,
    read: Box<dyn Fn() -> BoxStream<'static, Observation> + Send + Sync>,
    /// Reads since the watch failed. A resumed watch yields nothing until the object changes, so only a read shows that
    /// the failure is over.
    reads: Option<BoxStream<'static, Observation>>,
}

impl Observations {
    /// Watches the request; reads it periodically when the watch is forbidden or fails.
    pub fn new(name: &str, kubernetes: &Kubernetes) -> Self {
        let watched: Api<TemporaryPermissionGrant> =
            Api::namespaced(kubernetes.watching.clone(), &kubernetes.namespace);
        let watching = watch_object(watched, name).default_backoff().map(|seen| match seen {
            Ok(Some(grant)) => Observation::Present(Box::new(grant)),
            Ok(None) => Observation::Deleted,
            Err(error) if is_forbidden(&error) => Observation::Forbidden(error.to_string()),
            Err(error) => Observation::Failed(error.to_string()),
        });
        let permitted = watching.take_while(|seen| future::ready(!matches!(seen, Observation::Forbidden(_))));
        let (api, name) = (kubernetes.api(), name.to_owned());
        let read = move || reading(api.clone(), name.clone()).boxed();
        Self::from_streams(permitted.chain(read()).boxed(), read)
    }

    fn from_streams(
        watched: BoxStream<'static, Observation>,
        read: impl Fn() -> BoxStream<'static, Observation> + Send + Sync + 'static,
    ) -> Self {
        Self { watched, read: Box::new(read), reads: None }
    }

    /// The next observation; cancel safe.
    pub async fn next(&mut self) -> Observation {
        let reads = async {
            match &mut self.reads {
                Some(reads) => reads.next().await,
                None => None,
            }
        };
        let observation = tokio::select! {
            Some(seen) = self.watched.next() => seen,
            Some(seen) = reads => seen,
            else => future::pending().await,
        };
        match &observation {
            Observation::Failed(_) if self.reads.is_some() => {}
            Observation::Failed(_) => self.reads = Some((self.read)()),
            _ => self.reads = None,
        }
        observation
    }
}

fn reading(api: Api<TemporaryPermissionGrant>, name: String) -> impl Stream<Item = Observation> + Send {
    stream::unfold((api, name), |(api, name)| async move {
        sleep(INTERVAL).await;
        let observation = match api.get_opt(&name).await {
            Ok(Some(grant)) => Observation::Present(Box::new(grant)),
            Ok(None) => Observation::Deleted,
            Err(kube::Error::Api(status)) if status.code == 403 => Observation::Forbidden(status.message),
            Err(error) => Observation::Failed(error.to_string()),
        };
        Some((observation, (api, name)))
    })
}

fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => status.code == 403,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::fixtures::request;

    fn observations(watched: Vec<Observation>, read: &[Observation]) -> Observations {
        let read = read.to_vec();
        Observations::from_streams(stream::iter(watched).chain(stream::pending()).boxed(), move || {
            stream::iter(read.clone()).boxed()
        })
    }

    fn present() -> Observation {
        Observation::Present(Box::new(request("one", |_| ())))
    }

    fn failed() -> Observation {
        Observation::Failed("reset".to_owned())
    }

    #[tokio::test]
    async fn successful_read_ends_a_failure() {
        let mut observed = observations(vec![failed()], &[failed(), present(), present()]);
        assert_eq!(
            (observed.next().await, observed.next().await, observed.next().await),
            (failed(), failed(), present())
        );
        assert_eq!(observed.next().now_or_never(), None, "a working watch needs no reads");
    }

    #[tokio::test]
    async fn watched_request_is_not_read() {
        let mut observed = observations(vec![present(), Observation::Deleted], &[failed()]);
        assert_eq!((observed.next().await, observed.next().await), (present(), Observation::Deleted));
        assert_eq!(observed.next().now_or_never(), None);
    }
}
