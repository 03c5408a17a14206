//! Kubernetes Events, published beside the work: nothing that matters waits for one.
//!
//! # Expected flow
//! A reconciler hands an [`Announcement`] to [`Announcer::announce`] and goes on; one task publishes them in order.
//!
//! # Guarantees
//! Announcing never waits and never fails the work. What cannot be published is told in the log.
//!
//! # Assumptions
//! The client ends every call in time.
//!
//! # Caveats
//! When more wait than the queue holds, the newest are told in the log only.
//!
//! # Errors
//! None.

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

/// How many Events may wait: two for each of four thousand grants that begin at once.
const QUEUE: usize = 8192;

/// How long Events that still wait are published after everything else has ended.
const DRAIN: Duration = Duration::from_secs(3);

/// The longest note that the Kubernetes API takes is 1,024 bytes.
const LONGEST_NOTE: usize = 1000;

/// One thing to tell in an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// One of `amigo_api::reasons`.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// Whether somebody should look.
    pub warning: bool,
}

/// Takes Events to be published.
#[derive(Clone, Debug)]
pub struct Announcer(mpsc::Sender<(ObjectReference, Announcement)>);

/// Publishes what the announcers take.
pub struct Publisher {
    queue: mpsc::Receiver<(ObjectReference, Announcement)>,
    recorder: Recorder,
    metrics: Metrics,
}

/// Both ends.
#[must_use]
pub fn channel(recorder: Recorder, metrics: Metrics) -> (Announcer, Publisher) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (Announcer(sender), Publisher { queue, recorder, metrics })
}

impl Announcer {
    /// Tells of something about an object.
    pub fn announce(&self, reference: ObjectReference, announcement: Announcement) {
        if let Err(refused) = self.0.try_send((reference, announcement)) {
            let (reference, announcement) = refused.into_inner();
            let Announcement { reason, message, warning: _ } = announcement;
            tracing::warn!(reason, message, object = reference.name, "too many Events wait: this one is not published");
        }
    }
}

impl Publisher {
    /// Publishes until `ended`, and then for a little while what still waits.
    pub async fn publish(mut self, ended: CancellationToken) {
        while let Some(Some((reference, announcement))) = ended.run_until_cancelled(self.queue.recv()).await {
            self.publish_one(&reference, &announcement).await;
        }
        self.queue.close();
        let rest = async {
            while let Some((reference, announcement)) = self.queue.recv().await {
                self.publish_one(&reference, &announcement).await;
            }
        };
        if tokio::time::timeout(DRAIN, rest).await.is_err() {
            tracing::warn!("some Events could not be published before the end");
        }
    }

    async fn publish_one(&self, reference: &ObjectReference, announcement: &Announcement) {
        let Announcement { reason, message, warning } = announcement;
        // The recorder takes Events of one reason and action for one, and keeps the first note.
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
            tracing::warn!(%error, reason, object = reference.name, "an Event could not be published");
        }
    }
}

/// The text up to its last whole character within the longest note.
fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_NOTE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_whatever_their_letters() {
        assert_eq!(shortened("short"), "short");
        assert!(shortened(&"é…".repeat(1000)).len() <= LONGEST_NOTE);
    }
}
