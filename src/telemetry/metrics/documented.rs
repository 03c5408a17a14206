//! That every metric is documented, and that documents, alerts and the dashboard name no others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use regex::Regex;

use super::*;
use crate::telemetry::census::{BudgetCensus, Census, GrantCounts, ObjectLabels, OrganizationCensus};

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
            grants: Some(GrantCounts::default()),
            oldest_waiting_since: at,
            budgets: vec![BudgetCensus { operation: "users", allowed: 1, used: 1, waiting: 1 }],
        };
        let organization = "acme".to_owned();
        let role = ObjectLabels { kind: Kind::Role, organization, ready: "True", reason: "Ready" };
        Census { organizations: vec![acme], objects: [(role, 1)].into() }
    }
}

/// Everything the operator can serve, each metric with one series at least.
fn page() -> String {
    let metrics = Metrics::new();
    let source: Arc<dyn TakeCensus> = Arc::new(Everything);
    metrics.count_what_is(Arc::downgrade(&source));
    // Without `..`: a new metric does not compile until it is here.
    let Metrics {
        registry: _,
        reconciliations,
        reconcile_duration,
        reconciling,
        amigo_calls,
        amigo_call_duration,
        amigo_lost_answers,
        budget_wait,
        kubernetes_writes,
        leader: _,
        expiry_overshoot: _,
        request_to_issued: _,
        give_ups,
        assumption_violations,
        census: _,
    } = &metrics;
    let (kind, operation) = (Kind::Role, "users");
    drop(reconciliations.get_or_create(&ReconcileLabels { kind, outcome: Outcome::Done }));
    drop(reconcile_duration.get_or_create(&KindLabel { kind }));
    drop(reconciling.get_or_create(&KindLabel { kind }));
    drop(amigo_calls.get_or_create(&CallLabels { operation, outcome: "ok", status: "200" }));
    drop(amigo_call_duration.get_or_create(&OperationLabel { operation }));
    drop(amigo_lost_answers.get_or_create(&OperationLabel { operation }));
    drop(budget_wait.get_or_create(&OperationLabel { operation }));
    drop(kubernetes_writes.get_or_create(&WriteLabels { kind, verb: Verb::Patch }));
    drop(give_ups.get_or_create(&ReasonLabel { reason: "InvalidRequest" }));
    drop(assumption_violations.get_or_create(&AssumptionLabel { assumption: Assumption::KeepsTags }));
    metrics.encode().unwrap()
}

/// Metrics by the name people ask for.
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
fn every_metric_is_documented_with_its_type_and_labels_and_no_other() {
    assert_eq!(documented(), served());
}

#[test]
fn no_label_is_one_that_prometheus_sets_itself() {
    let taken = ["endpoint", "namespace", "pod", "service", "job", "instance", "container"];
    let labels: BTreeSet<String> = served().into_values().flat_map(|(_, labels)| labels).collect();
    assert!(taken.iter().all(|label| !labels.contains(*label)), "{labels:?}");
}

#[test]
fn alerts_and_dashboard_ask_for_series_that_exist() {
    let (series, named) = (series(), named_in(&[ALERTS, DASHBOARD].concat()));
    assert!(named.is_subset(&series), "no such series: {:?}", named.difference(&series));
}

#[test]
fn every_metric_is_on_the_dashboard_or_in_an_alert() {
    let named = named_in(&[ALERTS, DASHBOARD].concat());
    let unused = |name: &&String| !named.iter().any(|used| used.starts_with(name.as_str()));
    let unused: Vec<String> = served().keys().filter(unused).cloned().collect();
    assert!(unused.is_empty(), "nobody looks at {unused:?}");
}
