//! Metrics with typed methods: callers name neither metrics nor labels.
//!
//! Labels are enums, constants (`&'static str`), or names of Organizations. An administrator creates one Organization per
//! contract with Amigo, so these are a bounded set. No other object's name is a label. No label is called `endpoint`,
//! `namespace`, `pod`, `service` or `job`, because Prometheus sets these itself and renames others. Events are counted
//! here; [`super::census`] collects the current state at each scrape.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry, Unit},
};

use super::{
    census::{CensusTaker, TakeCensus},
    labels::{Assumption, Kind, Outcome, Verb, status_label},
};

#[cfg(test)]
mod documented;

const PREFIX: &str = "amigo_operator";
// An API request or a reconcile: milliseconds to its deadline.
const WORK_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
// A wait in a queue: none to minutes.
const QUEUE_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0];
// Promised: within a second at p99.
const EXPIRY_DELAY_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 30.0, 300.0];

type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the operator; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconcile_total: Family<ReconcileLabels, Counter>,
    reconcile_duration: HistogramFamily<KindLabel>,
    active_reconciles: Family<KindLabel, Gauge>,
    api_requests: Family<RequestLabels, Counter>,
    api_request_duration: HistogramFamily<OperationLabel>,
    api_unknown_outcomes: Family<OperationLabel, Counter>,
    rate_limit_wait: HistogramFamily<OperationLabel>,
    kubernetes_writes: Family<WriteLabels, Counter>,
    leader: Gauge,
    expiry_delay: Histogram,
    request_to_issued: Histogram,
    requests_failed: Family<ReasonLabel, Counter>,
    objects_released: Family<KindLabel, Counter>,
    assumption_violations: Family<AssumptionLabel, Counter>,
    census: CensusTaker,
}

/// One finished request to the Amigo API. The texts are constants of the client.
#[derive(Clone, Copy, Debug)]
pub struct ApiRequest {
    pub operation: &'static str,
    /// `ok`, or the kind of error.
    pub outcome: &'static str,
    /// `None` without a response.
    pub status: Option<u16>,
    /// Whether a write may have taken effect although no usable response arrived.
    pub outcome_unknown: bool,
    /// From the first byte sent to the last byte read.
    pub duration: Duration,
}

/// A reconcile is active until this is dropped.
#[derive(Debug)]
pub struct ActiveReconcile(Gauge);

impl Drop for ActiveReconcile {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let census = CensusTaker::default();
        registry.register_collector(Box::new(census.clone()));
        let add = &mut registry;
        add.register("build", "Version of the operator", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            reconcile_total: metric(add, "reconcile", "Reconciles by kind and outcome"),
            reconcile_duration: histograms(add, "reconcile_duration", "Duration of reconciles by kind", work),
            active_reconciles: metric(add, "active_reconciles", "Reconciles in progress by kind"),
            api_requests: metric(add, "api_requests", "Amigo API requests by operation, outcome and HTTP status"),
            api_request_duration: histograms(
                add,
                "api_request_duration",
                "Duration of Amigo API requests by operation",
                work,
            ),
            api_unknown_outcomes: metric(add, "api_unknown_outcomes", "Amigo API writes whose outcome is unknown"),
            rate_limit_wait: histograms(
                add,
                "rate_limit_wait",
                "Time that Amigo API requests waited for the rate limiter",
                queue,
            ),
            kubernetes_writes: metric(add, "kubernetes_writes", "Writes to the Kubernetes API by kind and verb"),
            leader: metric(add, "leader", "1 if this replica is the leader, else 0"),
            expiry_delay: histogram(
                add,
                "expiry_delay",
                "Time from the expiry of a grant to the deletion of its object",
                Histogram::new(EXPIRY_DELAY_SECONDS),
            ),
            request_to_issued: histogram(
                add,
                "request_to_issued",
                "Time from the creation of a request to its issue",
                queue(),
            ),
            requests_failed: metric(add, "requests_failed", "Access requests that failed permanently, by reason"),
            objects_released: metric(
                add,
                "objects_released",
                "Deleted Roles and RoleAssignments whose cleanup at Amigo the operator gave up, by kind",
            ),
            assumption_violations: assumption_violations(add),
            census,
            registry: Arc::new(registry),
        }
    }

    /// All metrics in the `OpenMetrics` text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string cannot fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Exports these counters as zero: Prometheus does not see the first event of a series that begins at one.
    pub fn start_at_zero(&self, write_operations: &[&'static str], failure_reasons: &[&'static str]) {
        for operation in write_operations {
            drop(self.api_unknown_outcomes.get_or_create(&OperationLabel { operation }));
        }
        for kind in [Kind::Role, Kind::RoleAssignment] {
            drop(self.objects_released.get_or_create(&KindLabel { kind }));
        }
        for reason in failure_reasons {
            drop(self.requests_failed.get_or_create(&ReasonLabel { reason }));
        }
    }

    /// Collects the current state from `source` at each scrape.
    pub fn collect_from(&self, source: Weak<dyn TakeCensus>) {
        self.census.set_source(source);
    }

    #[must_use]
    pub fn start_reconcile(&self, kind: Kind) -> ActiveReconcile {
        let gauge = self.active_reconciles.get_or_create_owned(&KindLabel { kind });
        gauge.inc();
        ActiveReconcile(gauge)
    }

    pub fn reconcile_finished(&self, kind: Kind, outcome: Outcome, duration: Duration) {
        self.reconcile_total.get_or_create(&ReconcileLabels { kind, outcome }).inc();
        self.reconcile_duration.get_or_create(&KindLabel { kind }).observe(duration.as_secs_f64());
    }

    pub fn api_request_finished(&self, request: ApiRequest) {
        let ApiRequest { operation, outcome, status, outcome_unknown, duration } = request;
        self.api_requests.get_or_create(&RequestLabels { operation, outcome, status: status_label(status) }).inc();
        self.api_request_duration.get_or_create(&OperationLabel { operation }).observe(duration.as_secs_f64());
        if outcome_unknown {
            self.api_unknown_outcomes.get_or_create(&OperationLabel { operation }).inc();
        }
    }

    pub fn rate_limit_waited(&self, operation: &'static str, wait: Duration) {
        self.rate_limit_wait.get_or_create(&OperationLabel { operation }).observe(wait.as_secs_f64());
    }

    pub fn kubernetes_written(&self, kind: Kind, verb: Verb) {
        self.kubernetes_writes.get_or_create(&WriteLabels { kind, verb }).inc();
    }

    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(i64::from(is_leader));
    }

    /// The operator deleted the object of an expired grant; `delay` is the time since the expiry.
    pub fn expired(&self, delay: Duration) {
        self.expiry_delay.observe(delay.as_secs_f64());
    }

    pub fn issued(&self, since_request: Duration) {
        self.request_to_issued.observe(since_request.as_secs_f64());
    }

    /// The operator let a deleted object go without its cleanup at Amigo.
    pub fn object_released(&self, kind: Kind) {
        self.objects_released.get_or_create(&KindLabel { kind }).inc();
    }

    pub fn request_failed(&self, reason: &'static str) {
        self.requests_failed.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub fn assumption_violated(&self, assumption: Assumption) {
        self.assumption_violations.get_or_create(&AssumptionLabel { assumption }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: Kind,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: Kind,
    verb: Verb,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AssumptionLabel {
    assumption: Assumption,
}

fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn assumption_violations(registry: &mut Registry) -> Family<AssumptionLabel, Counter> {
    let help = "Observed violations of the grant protocol's assumptions";
    let family: Family<AssumptionLabel, Counter> = metric(registry, "assumption_violations", help);
    for assumption in Assumption::ALL {
        drop(family.get_or_create(&AssumptionLabel { assumption: *assumption }));
    }
    family
}

fn histogram(registry: &mut Registry, name: &str, help: &str, histogram: Histogram) -> Histogram {
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

fn histograms<L>(registry: &mut Registry, name: &str, help: &str, new: fn() -> Histogram) -> HistogramFamily<L>
where
    L: EncodeLabelSet + Clone + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::new_with_constructor(new);
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

fn work() -> Histogram {
    Histogram::new(WORK_SECONDS)
}

fn queue() -> Histogram {
    Histogram::new(QUEUE_SECONDS)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::telemetry::census::{Census, OrganizationCensus, RateLimitUsage};

    fn shows(metrics: &Metrics, line: &str) {
        let text = metrics.encode().unwrap();
        assert!(text.lines().any(|shown| shown == line), "no line {line} in\n{text}");
    }

    #[test]
    fn events_are_counted_by_label() {
        let metrics = Metrics::new();
        metrics.reconcile_finished(Kind::TemporaryPermissionGrant, Outcome::TimedOut, Duration::from_secs(3));
        metrics.api_request_finished(ApiRequest {
            operation: "create_grant",
            outcome: "server_error",
            status: Some(500),
            outcome_unknown: true,
            duration: Duration::from_secs(1),
        });
        metrics.kubernetes_written(Kind::Lease, Verb::Replace);
        metrics.request_failed("ActivationDeadlinePassed");
        metrics.assumption_violated(Assumption::LostTags);
        shows(&metrics, r#"amigo_operator_reconcile_total{kind="TemporaryPermissionGrant",outcome="timed_out"} 1"#);
        shows(
            &metrics,
            r#"amigo_operator_api_requests_total{operation="create_grant",outcome="server_error",status="500"} 1"#,
        );
        shows(&metrics, r#"amigo_operator_api_unknown_outcomes_total{operation="create_grant"} 1"#);
        shows(&metrics, r#"amigo_operator_kubernetes_writes_total{kind="Lease",verb="replace"} 1"#);
        shows(&metrics, r#"amigo_operator_requests_failed_total{reason="ActivationDeadlinePassed"} 1"#);
        shows(&metrics, r#"amigo_operator_assumption_violations_total{assumption="lost_tags"} 1"#);
    }

    #[test]
    fn times_are_in_seconds() {
        let metrics = Metrics::new();
        metrics.rate_limit_waited("list_grants", Duration::from_millis(1500));
        metrics.expired(Duration::from_millis(500));
        metrics.issued(Duration::from_secs(2));
        shows(&metrics, r#"amigo_operator_rate_limit_wait_seconds_sum{operation="list_grants"} 1.5"#);
        shows(&metrics, r#"amigo_operator_expiry_delay_seconds_bucket{le="0.5"} 1"#);
        shows(&metrics, "amigo_operator_request_to_issued_seconds_sum 2.0");
    }

    struct One(Census);

    impl TakeCensus for One {
        fn take_census(&self) -> Census {
            self.0.clone()
        }
    }

    #[test]
    fn state_is_exported_while_its_source_exists() {
        let metrics = Metrics::new();
        let grants = Vec::from([("managed", 3), ("orphaned", 1)]);
        let rate_limits = vec![RateLimitUsage { operation: "list_grants", allowed: 80, used: 7, waiting: 2 }];
        let last_sweep_at = Some(Timestamp::from_second(90).unwrap());
        let name = "acme".to_owned();
        let acme = OrganizationCensus { name, last_sweep_at, grants, rate_limits, ..OrganizationCensus::default() };
        let source: Arc<dyn TakeCensus> = Arc::new(One(Census { organizations: vec![acme], ..Census::default() }));
        metrics.collect_from(Arc::downgrade(&source));
        shows(&metrics, r#"amigo_operator_grants{organization="acme",state="orphaned"} 1"#);
        shows(&metrics, r#"amigo_operator_rate_limit_waiting_requests{organization="acme",operation="list_grants"} 2"#);
        shows(&metrics, r#"amigo_operator_last_sweep_timestamp_seconds{organization="acme"} 90"#);
        shows(&metrics, r#"amigo_operator_organization_ready{organization="acme"} 0"#);
        drop(source);
        assert!(!metrics.encode().unwrap().contains("acme"));
    }

    #[test]
    fn reconcile_is_active_until_dropped() {
        let metrics = Metrics::new();
        let (first, second) = (metrics.start_reconcile(Kind::Role), metrics.start_reconcile(Kind::Role));
        shows(&metrics, r#"amigo_operator_active_reconciles{kind="Role"} 2"#);
        drop((first, second));
        shows(&metrics, r#"amigo_operator_active_reconciles{kind="Role"} 0"#);
    }

    #[test]
    fn leadership_is_one_or_zero() {
        let metrics = Metrics::new();
        shows(&metrics, "amigo_operator_leader 0");
        metrics.set_leader(true);
        shows(&metrics, "amigo_operator_leader 1");
    }
}
