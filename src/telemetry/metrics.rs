//! The metrics, by typed methods: no caller names a metric or a label.
//!
//! Labels are enums, constants (`&'static str`), or the name of an Organization object. Those are made by the
//! platform's administrator, one for each contract with Amigo, and their series go with them: a bounded set. No other
//! object's name ever is a label. No label is called `endpoint`, `namespace`, `pod`, `service` or `job`: Prometheus sets
//! those itself and renames ours. What happened is counted here; what there is, by [`super::census`] at each scrape.

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
// A call or a reconciliation: milliseconds to its deadline.
const WORK_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
// A queue: nothing to minutes.
const QUEUE_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0];
// Promised: within a second at p99.
const OVERSHOOT_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 30.0, 300.0];

type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the operator; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciliations: Family<ReconcileLabels, Counter>,
    reconcile_duration: HistogramFamily<KindLabel>,
    reconciling: Family<KindLabel, Gauge>,
    amigo_calls: Family<CallLabels, Counter>,
    amigo_call_duration: HistogramFamily<OperationLabel>,
    amigo_lost_answers: Family<OperationLabel, Counter>,
    budget_wait: HistogramFamily<OperationLabel>,
    kubernetes_writes: Family<WriteLabels, Counter>,
    leader: Gauge,
    expiry_overshoot: Histogram,
    request_to_issued: Histogram,
    give_ups: Family<ReasonLabel, Counter>,
    assumption_violations: Family<AssumptionLabel, Counter>,
    census: CensusTaker,
}

/// One call of the Amigo API, as the client saw it end. The texts are constants of the client.
#[derive(Clone, Copy, Debug)]
pub struct AmigoCall {
    /// One of the client's endpoints.
    pub operation: &'static str,
    /// `ok`, or the kind of error.
    pub outcome: &'static str,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Whether it was to change something, and may have although no good answer came.
    pub lost: bool,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

/// A pass is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
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
        add.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            reconciliations: counted(add, "reconciliations", "Reconciliations by kind and outcome"),
            reconcile_duration: timed_family(add, "reconcile_duration", "Time a reconciliation took", work),
            reconciling: counted(add, "reconciling", "Reconciliations under way by kind"),
            amigo_calls: counted(add, "amigo_calls", "Calls of the Amigo API by operation, outcome and HTTP status"),
            amigo_call_duration: timed_family(add, "amigo_call_duration", "Time a call of the Amigo API took", work),
            amigo_lost_answers: counted(
                add,
                "amigo_lost_answers",
                "Calls that may have changed something at Amigo although no good answer came",
            ),
            budget_wait: timed_family(
                add,
                "budget_wait",
                "From the booking of a call in its rate budget to its turn",
                queue,
            ),
            kubernetes_writes: counted(add, "kubernetes_writes", "Writes to the Kubernetes API by kind and verb"),
            leader: counted(add, "leader", "1 while this replica leads"),
            expiry_overshoot: timed(
                add,
                "expiry_overshoot",
                "From a grant's end to its object's deletion",
                overshoot(),
            ),
            request_to_issued: timed(add, "request_to_issued", "From the creation of a grant to its issue", queue()),
            give_ups: counted(add, "give_ups", "Objects the operator stopped trying, by reason"),
            assumption_violations: violations(add),
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

    /// Shows these counters from the beginning: of a series that begins at one, Prometheus does not see the first event.
    pub fn begin_at_zero(&self, changing_operations: &[&'static str], give_up_reasons: &[&'static str]) {
        for operation in changing_operations {
            drop(self.amigo_lost_answers.get_or_create(&OperationLabel { operation }));
        }
        for reason in give_up_reasons {
            drop(self.give_ups.get_or_create(&ReasonLabel { reason }));
        }
    }

    /// From now on this one is asked at each scrape what there is.
    pub fn count_what_is(&self, source: Weak<dyn TakeCensus>) {
        self.census.ask(source);
    }

    /// A reconciliation begins.
    #[must_use]
    pub fn begin_reconciling(&self, kind: Kind) -> UnderWay {
        let gauge = self.reconciling.get_or_create_owned(&KindLabel { kind });
        gauge.inc();
        UnderWay(gauge)
    }

    /// A reconciliation ended.
    pub fn reconciled(&self, kind: Kind, outcome: Outcome, took: Duration) {
        self.reconciliations.get_or_create(&ReconcileLabels { kind, outcome }).inc();
        self.reconcile_duration.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    /// A call of the Amigo API ended.
    pub fn amigo_called(&self, call: AmigoCall) {
        let AmigoCall { operation, outcome, status, lost, took } = call;
        self.amigo_calls.get_or_create(&CallLabels { operation, outcome, status: status_label(status) }).inc();
        self.amigo_call_duration.get_or_create(&OperationLabel { operation }).observe(took.as_secs_f64());
        if lost {
            self.amigo_lost_answers.get_or_create(&OperationLabel { operation }).inc();
        }
    }

    /// A call took its budget, so long after it was booked.
    pub fn budget_waited(&self, operation: &'static str, waited: Duration) {
        self.budget_wait.get_or_create(&OperationLabel { operation }).observe(waited.as_secs_f64());
    }

    /// The Kubernetes API was written to.
    pub fn kubernetes_written(&self, kind: Kind, verb: Verb) {
        self.kubernetes_writes.get_or_create(&WriteLabels { kind, verb }).inc();
    }

    /// This replica leads, or does not.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// An ended grant's object was deleted, so long after the end the server gave.
    pub fn expired(&self, overshoot: Duration) {
        self.expiry_overshoot.observe(overshoot.as_secs_f64());
    }

    /// A grant was issued, so long after its object was created.
    pub fn issued(&self, since_request: Duration) {
        self.request_to_issued.observe(since_request.as_secs_f64());
    }

    /// The operator stopped trying, for a reason of the list of constants.
    pub fn gave_up(&self, reason: &'static str) {
        self.give_ups.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// What the grant protocol takes for granted did not hold.
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
struct CallLabels {
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

fn counted<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn violations(registry: &mut Registry) -> Family<AssumptionLabel, Counter> {
    let help = "Seen violations of the grant protocol's assumptions";
    let family: Family<AssumptionLabel, Counter> = counted(registry, "assumption_violations", help);
    for assumption in Assumption::ALL {
        drop(family.get_or_create(&AssumptionLabel { assumption: *assumption }));
    }
    family
}

fn timed(registry: &mut Registry, name: &str, help: &str, histogram: Histogram) -> Histogram {
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

fn timed_family<L>(registry: &mut Registry, name: &str, help: &str, new: fn() -> Histogram) -> HistogramFamily<L>
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

fn overshoot() -> Histogram {
    Histogram::new(OVERSHOOT_SECONDS)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::telemetry::census::{BudgetCensus, Census, GrantCounts, OrganizationCensus};

    fn shows(metrics: &Metrics, line: &str) {
        let text = metrics.encode().unwrap();
        assert!(text.lines().any(|shown| shown == line), "no line {line} in\n{text}");
    }

    #[test]
    fn what_happened_is_counted_under_its_labels() {
        let metrics = Metrics::new();
        metrics.reconciled(Kind::TemporaryPermissionGrant, Outcome::TimedOut, Duration::from_secs(3));
        metrics.amigo_called(AmigoCall {
            operation: "create_grant",
            outcome: "server_error",
            status: Some(500),
            lost: true,
            took: Duration::from_secs(1),
        });
        metrics.kubernetes_written(Kind::Lease, Verb::Replace);
        metrics.gave_up("ActivationDeadlinePassed");
        metrics.assumption_violated(Assumption::KeepsTags);
        shows(
            &metrics,
            r#"amigo_operator_reconciliations_total{kind="TemporaryPermissionGrant",outcome="timed_out"} 1"#,
        );
        shows(
            &metrics,
            r#"amigo_operator_amigo_calls_total{operation="create_grant",outcome="server_error",status="500"} 1"#,
        );
        shows(&metrics, r#"amigo_operator_amigo_lost_answers_total{operation="create_grant"} 1"#);
        shows(&metrics, r#"amigo_operator_kubernetes_writes_total{kind="Lease",verb="replace"} 1"#);
        shows(&metrics, r#"amigo_operator_give_ups_total{reason="ActivationDeadlinePassed"} 1"#);
        shows(&metrics, r#"amigo_operator_assumption_violations_total{assumption="A4"} 1"#);
    }

    #[test]
    fn times_are_in_seconds() {
        let metrics = Metrics::new();
        metrics.budget_waited("list_grants", Duration::from_millis(1500));
        metrics.expired(Duration::from_millis(500));
        metrics.issued(Duration::from_secs(2));
        shows(&metrics, r#"amigo_operator_budget_wait_seconds_sum{operation="list_grants"} 1.5"#);
        shows(&metrics, r#"amigo_operator_expiry_overshoot_seconds_bucket{le="0.5"} 1"#);
        shows(&metrics, "amigo_operator_request_to_issued_seconds_sum 2.0");
    }

    struct One(Census);

    impl TakeCensus for One {
        fn take_census(&self) -> Census {
            self.0.clone()
        }
    }

    #[test]
    fn what_there_is_is_counted_while_somebody_can_count() {
        let metrics = Metrics::new();
        let grants = Some(GrantCounts { managed: 3, orphaned: 1, ..GrantCounts::default() });
        let budgets = vec![BudgetCensus { operation: "list_grants", allowed: 80, used: 7, waiting: 2 }];
        let last_sweep_at = Some(Timestamp::from_second(90).unwrap());
        let name = "acme".to_owned();
        let acme = OrganizationCensus { name, last_sweep_at, grants, budgets, ..OrganizationCensus::default() };
        let source: Arc<dyn TakeCensus> = Arc::new(One(Census { organizations: vec![acme], ..Census::default() }));
        metrics.count_what_is(Arc::downgrade(&source));
        shows(&metrics, r#"amigo_operator_grants{organization="acme",state="orphaned"} 1"#);
        shows(&metrics, r#"amigo_operator_budget_waiting_calls{organization="acme",operation="list_grants"} 2"#);
        shows(&metrics, r#"amigo_operator_last_sweep_timestamp_seconds{organization="acme"} 90"#);
        shows(&metrics, r#"amigo_operator_organization_ready{organization="acme"} 0"#);
        drop(source);
        assert!(!metrics.encode().unwrap().contains("acme"));
    }

    #[test]
    fn a_pass_is_under_way_until_it_ends_or_is_dropped() {
        let metrics = Metrics::new();
        let (first, second) = (metrics.begin_reconciling(Kind::Role), metrics.begin_reconciling(Kind::Role));
        shows(&metrics, r#"amigo_operator_reconciling{kind="Role"} 2"#);
        drop((first, second));
        shows(&metrics, r#"amigo_operator_reconciling{kind="Role"} 0"#);
    }

    #[test]
    fn leadership_is_one_or_zero() {
        let metrics = Metrics::new();
        shows(&metrics, "amigo_operator_leader 0");
        metrics.set_leader(true);
        shows(&metrics, "amigo_operator_leader 1");
    }
}
