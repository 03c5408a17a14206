//! Looking at a request until it is granted: watched, and read where watching fails.

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

/// How often a request is read that cannot be watched.
const PAUSE: Duration = Duration::from_secs(1);

/// What one look at the request showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// The request.
    Here(Box<TemporaryPermissionGrant>),
    /// There is none of this name.
    Gone,
    /// It may not be read, in the words of the API server.
    Forbidden(String),
    /// The look failed, and why.
    Trouble(String),
}

/// All looks, one after another.
pub struct Looks {
    watched: BoxStream<'static, Look>,
    read: Box<dyn Fn() -> BoxStream<'static, Look> + Send + Sync>,
    /// Reads that are under way since the watch failed. One that resumes says nothing until something changes, so
    /// only a read tells that the trouble is over.
    reads: Option<BoxStream<'static, Look>>,
}

impl Looks {
    /// Watches; reads again and again where watching is not permitted, or fails.
    pub fn at(name: &str, kubernetes: &Kubernetes) -> Self {
        let watched: Api<TemporaryPermissionGrant> =
            Api::namespaced(kubernetes.watching.clone(), &kubernetes.namespace);
        let watching = watch_object(watched, name).default_backoff().map(|seen| match seen {
            Ok(Some(grant)) => Look::Here(Box::new(grant)),
            Ok(None) => Look::Gone,
            Err(error) if is_forbidden(&error) => Look::Forbidden(error.to_string()),
            Err(error) => Look::Trouble(error.to_string()),
        });
        let permitted = watching.take_while(|look| future::ready(!matches!(look, Look::Forbidden(_))));
        let (api, name) = (kubernetes.api(), name.to_owned());
        let read = move || reading(api.clone(), name.clone()).boxed();
        Self::of(permitted.chain(read()).boxed(), read)
    }

    fn of(
        watched: BoxStream<'static, Look>,
        read: impl Fn() -> BoxStream<'static, Look> + Send + Sync + 'static,
    ) -> Self {
        Self { watched, read: Box::new(read), reads: None }
    }

    /// The next look. Nothing is lost when it is not waited for to its end.
    pub async fn next(&mut self) -> Look {
        let reads = async {
            match &mut self.reads {
                Some(reads) => reads.next().await,
                None => None,
            }
        };
        let look = tokio::select! {
            Some(look) = self.watched.next() => look,
            Some(look) = reads => look,
            else => future::pending().await,
        };
        match &look {
            Look::Trouble(_) if self.reads.is_some() => {}
            Look::Trouble(_) => self.reads = Some((self.read)()),
            _ => self.reads = None,
        }
        look
    }
}

fn reading(api: Api<TemporaryPermissionGrant>, name: String) -> impl Stream<Item = Look> + Send {
    stream::unfold((api, name), |(api, name)| async move {
        sleep(PAUSE).await;
        let look = match api.get_opt(&name).await {
            Ok(Some(grant)) => Look::Here(Box::new(grant)),
            Ok(None) => Look::Gone,
            Err(kube::Error::Api(status)) if status.code == 403 => Look::Forbidden(status.message),
            Err(error) => Look::Trouble(error.to_string()),
        };
        Some((look, (api, name)))
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

    fn looks(watched: Vec<Look>, read: &[Look]) -> Looks {
        let read = read.to_vec();
        Looks::of(stream::iter(watched).chain(stream::pending()).boxed(), move || stream::iter(read.clone()).boxed())
    }

    fn here() -> Look {
        Look::Here(Box::new(request("one", |_| ())))
    }

    fn trouble() -> Look {
        Look::Trouble("reset".to_owned())
    }

    #[tokio::test]
    async fn trouble_is_over_when_a_read_works() {
        let mut looks = looks(vec![trouble()], &[trouble(), here(), here()]);
        assert_eq!((looks.next().await, looks.next().await, looks.next().await), (trouble(), trouble(), here()));
        assert_eq!(looks.next().now_or_never(), None, "what can be watched is not read");
    }

    #[tokio::test]
    async fn what_can_be_watched_is_not_read() {
        let mut looks = looks(vec![here(), Look::Gone], &[trouble()]);
        assert_eq!((looks.next().await, looks.next().await), (here(), Look::Gone));
        assert_eq!(looks.next().now_or_never(), None);
    }
}
