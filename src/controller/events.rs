//! Kubernetes Events, published in the background.
//!
//! A reconciler passes an [`Announcement`] to [`Announcer::announce`], which never waits and never fails. One task publishes
//! the Events in order. An Event that it cannot publish, or that does not fit into the queue, appears in the log.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{
    Metrics,
    labels::{Kind, Verb},
};

/// Capacity of the queue: two Events for each of four thousand simultaneous grants.
const QUEUE: usize = 8192;

/// Time to publish queued Events during a shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// The Kubernetes API accepts notes of at most 1,024 bytes.
const LONGEST_NOTE: usize = 1000;

/// The content of an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// One of `amigo_api::reasons`.
    pub reason: &'static str,
    pub message: String,
    /// Whether the type is Warning.
    pub warning: bool,
}

#[derive(Clone, Debug)]
pub struct Announcer(mpsc::Sender<(ObjectReference, Announcement)>);

pub struct Publisher {
    queue: mpsc::Receiver<(ObjectReference, Announcement)>,
    recorder: Recorder,
    metrics: Metrics,
}

#[must_use]
pub fn channel(recorder: Recorder, metrics: Metrics) -> (Announcer, Publisher) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (Announcer(sender), Publisher { queue, recorder, metrics })
}

impl Announcer {
    pub fn announce(&self, reference: ObjectReference, announcement: Announcement) {
        if let Err(unsent) = self.0.try_send((reference, announcement)) {
            let (reference, announcement) = unsent.into_inner();
            let Announcement { reason, message, warning: _ } = announcement;
            tracing::warn!(
                reason,
                message,
                object = reference.name,
                "the Event queue is full; not publishing this Event"
            );
        }
    }
}

impl Publisher {
    /// Publishes until `stop`, and then the queued Events for a short time.
    pub async fn publish(mut self, stop: CancellationToken) {
        while let Some(Some((reference, announcement))) = stop.run_until_cancelled(self.queue.recv()).await {
            self.publish_one(&reference, &announcement).await;
        }
        self.queue.close();
        let rest = async {
            while let Some((reference, announcement)) = self.queue.recv().await {
                self.publish_one(&reference, &announcement).await;
            }
        };
        if tokio::time::timeout(DRAIN, rest).await.is_err() {
            tracing::warn!("stopped before all Events were published");
        }
    }

    async fn publish_one(&self, reference: &ObjectReference, announcement: &Announcement) {
        let Announcement { reason, message, warning } = announcement;
        // The recorder merges Events with the same reason and action, and keeps the first note.
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        let event = Event {
            type_: if *warning { EventType::Warning } else { EventType::Normal },
            reason: (*reason).to_owned(),
            note: Some(shortened(message)),
            action: format!("{reason}-{:016x}", hasher.finish()),
            secondary: None,
        };
        self.metrics.kubernetes_written(Kind::Event, Verb::Create);
        if let Err(error) = self.recorder.publish(&event, reference).await {
            tracing::warn!(%error, reason, object = reference.name, "cannot publish an Event");
        }
    }
}

/// Cut at a character boundary.
fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_NOTE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_with_multibyte_characters() {
        assert_eq!(shortened("short"), "short");
        assert!(shortened(&"é…".repeat(1000)).len() <= LONGEST_NOTE);
    }
}
