//! Kubernetes Events, published in the background.
//!
//! A reconciler passes an [`Announcement`] to [`Announcer::announce`], which never waits and never fails. One task publishes
//! the Events in order. An Event that it cannot publish, or that does not fit into the queue, appears in the log.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use amigo_runtime::clock::SharedClock;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event as PublishedEvent},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::PostParams,
    core::ObjectMeta,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
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

/// Kubernetes accepts names of at most 253 characters. An Event's name adds a dot and 16 digits.
const LONGEST_NAME: usize = 253 - 17;

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
    environment: EventEnvironment,
}

/// What Events are published with.
pub struct EventEnvironment {
    pub client: Client,
    pub reporter: Reporter,
    pub clock: SharedClock,
    pub metrics: Metrics,
}

#[must_use]
pub fn channel(environment: EventEnvironment) -> (Announcer, Publisher) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let recorder = Recorder::new(environment.client.clone(), environment.reporter.clone());
    (Announcer(sender), Publisher { queue, recorder, environment })
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
        self.environment.metrics.kubernetes_written(Kind::Event, Verb::Create);
        let name = reference.name.as_deref().unwrap_or_default();
        let published = if name.len() > LONGEST_NAME {
            self.publish_with_short_name(event, reference).await
        } else {
            self.recorder.publish(&event, reference).await
        };
        if let Err(error) = published {
            tracing::warn!(%error, reason, object = reference.name, "cannot publish an Event");
        }
    }
}

impl Publisher {
    /// The recorder names an Event after its object, and has no name for one whose name is almost as long as names can be.
    async fn publish_with_short_name(&self, event: Event, reference: &ObjectReference) -> kube::Result<()> {
        let EventEnvironment { client, reporter, clock, metrics: _ } = &self.environment;
        let now = clock.now();
        let name = format!("{}.{:x}", short_name(reference.name.as_deref().unwrap_or_default()), now.as_nanosecond());
        let namespace = reference.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let published = PublishedEvent {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace.clone()), ..ObjectMeta::default() },
            action: Some(event.action),
            event_time: Some(MicroTime(now)),
            note: event.note,
            reason: Some(event.reason),
            regarding: Some(reference.clone()),
            reporting_controller: Some(reporter.controller.clone()),
            reporting_instance: reporter.instance.clone().or_else(|| Some(reporter.controller.clone())),
            type_: Some(if event.type_ == EventType::Warning { "Warning" } else { "Normal" }.to_owned()),
            ..PublishedEvent::default()
        };
        let events: Api<PublishedEvent> = Api::namespaced(client.clone(), &namespace);
        events.create(&PostParams::default(), &published).await.map(drop)
    }
}

/// The start of a name that does not end in a separator.
fn short_name(name: &str) -> &str {
    name.get(..LONGEST_NAME).unwrap_or(name).trim_end_matches(['.', '-'])
}

/// Cut at a character boundary.
fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_NOTE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_name_is_a_valid_start() {
        let name = format!("{}-b.{}", "a".repeat(LONGEST_NAME - 3), "c".repeat(20));
        assert_eq!(short_name(&name), format!("{}-b", "a".repeat(LONGEST_NAME - 3)));
        assert_eq!(short_name("one"), "one");
    }

    #[test]
    fn notes_fit_with_multibyte_characters() {
        assert_eq!(shortened("short"), "short");
        assert!(shortened(&"é…".repeat(1000)).len() <= LONGEST_NOTE);
    }
}
