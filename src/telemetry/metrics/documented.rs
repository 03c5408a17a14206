//! Compares the metrics with the documentation, the alerts and the dashboard.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use regex::Regex;

use super::*;
use crate::telemetry::census::{Census, ObjectLabels, OrganizationCensus, RateLimitUsage};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");
const ALERTS: &str = include_str!("../../../charts/amigo-operator/files/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../charts/amigo-operator/files/dashboard.json");

/// Type and labels.
type About = (String, BTreeSet<String>);

struct Everything;

impl TakeCensus for Everything {
    fn take_census(&self) -> Census {
        let at = Some(Timestamp::UNIX_EPOCH);
        let acme = OrganizationCensus {
            name: "acme".to_owned(),
            ready: true,
            api_key_created_at: at,
            api_key_expires_at: at,
            last_sweep_at: at,
            grants: vec![("managed", 0)],
            oldest_waiting_since: at,
            rate_limits: vec![RateLimitUsage { operation: "users", allowed: 1, used: 1, waiting: 1 }],
        };
        let organization = "acme".to_owned();
        let role = ObjectLabels { kind: Kind::Role, organization, ready: "True", reason: "Ready" };
        Census { organizations: vec![acme], objects: [(role, 1)].into() }
    }
}

/// Every metric, with at least one series each.
fn page() -> String {
    let metrics = Metrics::new();
    let source: Arc<dyn TakeCensus> = Arc::new(Everything);
    metrics.collect_from(Arc::downgrade(&source));
    // Without `..`: a new metric does not compile until it is here.
    let Metrics {
        registry: _,
        reconcile_total,
        reconcile_duration,
        active_reconciles,
        api_requests,
        api_request_duration,
        api_unknown_outcomes,
        rate_limit_wait,
        kubernetes_writes,
        leader: _,
        expiry_delay: _,
        request_to_issued: _,
        requests_failed,
        objects_released,
        assumption_violations,
        census: _,
    } = &metrics;
    let (kind, operation) = (Kind::Role, "users");
    drop(reconcile_total.get_or_create(&ReconcileLabels { kind, outcome: Outcome::Done }));
    drop(reconcile_duration.get_or_create(&KindLabel { kind }));
    drop(active_reconciles.get_or_create(&KindLabel { kind }));
    drop(api_requests.get_or_create(&RequestLabels { operation, outcome: "ok", status: "200" }));
    drop(api_request_duration.get_or_create(&OperationLabel { operation }));
    drop(api_unknown_outcomes.get_or_create(&OperationLabel { operation }));
    drop(rate_limit_wait.get_or_create(&OperationLabel { operation }));
    drop(kubernetes_writes.get_or_create(&WriteLabels { kind, verb: Verb::Patch }));
    drop(requests_failed.get_or_create(&ReasonLabel { reason: "InvalidRequest" }));
    drop(objects_released.get_or_create(&KindLabel { kind }));
    drop(assumption_violations.get_or_create(&AssumptionLabel { assumption: Assumption::LostTags }));
    metrics.encode().unwrap()
}

/// Metrics by the name that queries use.
fn served() -> BTreeMap<String, About> {
    let page = page();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let about = |(family, kind): (&str, &str)| {
        let name = match kind {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            _ => family.to_owned(),
        };
        let labels = page.lines().filter(|line| line.starts_with(family)).flat_map(labels_of).collect();
        (name, (kind.to_owned(), labels))
    };
    types.map(about).collect()
}

fn labels_of(series: &str) -> Vec<String> {
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    label.captures_iter(series).map(|found| found[1].to_owned()).filter(|label| label != "le").collect()
}

fn documented() -> BTreeMap<String, About> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `amigo_operator_"));
    let about = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let words = |cell: &str| -> BTreeSet<String> { cell.split(", ").map(|word| word.replace('`', "")).collect() };
        let labels = words(cells[3]).into_iter().filter(|label| !label.is_empty()).collect();
        assert!(cells[4].len() > 5 && cells[5].contains('?'), "no meaning or no question: {row}");
        (cells[1].replace('`', ""), (cells[2].to_owned(), labels))
    };
    rows.map(about).collect()
}

/// The metrics that a text's queries name.
fn named_in(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\bamigo_operator_\w+").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// The series that Prometheus has of these metrics.
fn series() -> BTreeSet<String> {
    let of = |(name, (kind, _)): (String, About)| match kind.as_str() {
        "histogram" => ["bucket", "sum", "count"].map(|part| format!("{name}_{part}")).to_vec(),
        _ => vec![name],
    };
    served().into_iter().flat_map(of).collect()
}

#[test]
fn documented_metrics_equal_served_metrics() {
    assert_eq!(documented(), served());
}

#[test]
fn labels_are_not_those_of_prometheus() {
    let taken = ["endpoint", "namespace", "pod", "service", "job", "instance", "container"];
    let labels: BTreeSet<String> = served().into_values().flat_map(|(_, labels)| labels).collect();
    assert!(taken.iter().all(|label| !labels.contains(*label)), "{labels:?}");
}

#[test]
fn alerts_and_dashboard_query_existing_series() {
    let (series, named) = (series(), named_in(&[ALERTS, DASHBOARD].concat()));
    assert!(named.is_subset(&series), "no such series: {:?}", named.difference(&series));
}

#[test]
fn every_metric_is_on_the_dashboard_or_alerts() {
    let named = named_in(&[ALERTS, DASHBOARD].concat());
    let unused = |name: &&String| !named.iter().any(|used| used.starts_with(name.as_str()));
    let unused: Vec<String> = served().keys().filter(unused).cloned().collect();
    assert!(unused.is_empty(), "in no query: {unused:?}");
}
