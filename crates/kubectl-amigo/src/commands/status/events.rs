//! Events of an object.

use k8s_openapi::api::core::v1::Event;
use kube::{Api, Resource, ResourceExt as _, api::ListParams};

use super::report::{EventReport, StatusReport};
use crate::{Failure, Session, kubernetes::Kubernetes};

/// Adds Events, which the API server keeps for an hour and not every user may list.
pub async fn add_events<K>(report: &mut StatusReport, object: &K, kubernetes: &Kubernetes, session: &mut Session)
where
    K: Resource,
{
    let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
    let events: Api<Event> = Api::namespaced(kubernetes.client.clone(), &namespace);
    let selector = format!("involvedObject.uid={}", object.uid().unwrap_or_default());
    match events.list(&ListParams::default().fields(&selector)).await {
        Ok(list) => report.events = event_reports(list.items),
        Err(error) => {
            let failure = Failure::from_kube(&format!("list Events in namespace {namespace}"), &error);
            session.console.warn(&format!("Events are not shown: {}", failure.message));
        }
    }
}

/// Events, oldest first.
fn event_reports(events: Vec<Event>) -> Vec<EventReport> {
    let one = |event: Event| {
        let last = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let once = event.event_time.as_ref().map(|time| time.0);
        let written = event.last_timestamp.as_ref().or(event.metadata.creation_timestamp.as_ref()).map(|time| time.0);
        EventReport {
            at: last.or(once).or(written).unwrap_or_default(),
            kind: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        }
    };
    let mut reports: Vec<_> = events.into_iter().map(one).collect();
    reports.sort_by_key(|event| event.at);
    reports
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::fixtures::at;

    #[test]
    fn events_are_sorted_by_their_last_time() {
        let event = |reason: &str, second: i64| Event {
            reason: Some(reason.to_owned()),
            metadata: kube::core::ObjectMeta { creation_timestamp: Some(Time(at(second))), ..Default::default() },
            ..Event::default()
        };
        let found: Vec<_> =
            event_reports(vec![event("Active", 20), event("Issuing", 10)]).into_iter().map(|one| one.reason).collect();
        assert_eq!(found, ["Issuing", "Active"]);
    }
}
