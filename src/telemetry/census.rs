//! What there is at the moment of a scrape: counted then, so that a series goes with what it is about.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use super::labels::Kind;

/// Everything that is counted at a scrape.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Every Organization that has an object.
    pub organizations: Vec<OrganizationCensus>,
    /// How many objects there are of each kind and standing.
    pub objects: BTreeMap<ObjectLabels, u32>,
}

/// One Organization.
#[derive(Clone, Debug, Default)]
pub struct OrganizationCensus {
    /// The object's name.
    pub name: String,
    /// Whether its status says Ready.
    pub ready: bool,
    /// When the API key in use was made, where that is visible.
    pub api_key_created_at: Option<Timestamp>,
    /// When the API key in use ends, where that is visible.
    pub api_key_expires_at: Option<Timestamp>,
    /// When the last complete sweep ended.
    pub last_sweep_at: Option<Timestamp>,
    /// What this process's last complete sweep counted.
    pub grants: Option<GrantCounts>,
    /// When the oldest request was made that waits to be issued and could be.
    pub oldest_waiting_since: Option<Timestamp>,
    /// Its rate budgets.
    pub budgets: Vec<BudgetCensus>,
}

/// Remote grants of one organization. All states but `unmanaged` are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantCounts {
    /// With an object.
    pub managed: u32,
    /// Without an object.
    pub orphaned: u32,
    /// Not issued by this cluster's operator.
    pub unmanaged: u32,
    /// More than one for a slot: objects this happened to.
    pub duplicate: u32,
    /// Living longer than the object allows: objects this happened to.
    pub over_granted: u32,
}

/// One rate budget.
#[derive(Clone, Copy, Debug)]
pub struct BudgetCensus {
    /// A constant of the client.
    pub operation: &'static str,
    /// Calls allowed in every minute.
    pub allowed: usize,
    /// Calls begun in the last minute.
    pub used: usize,
    /// Calls booked and not begun.
    pub waiting: usize,
}

/// What objects are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct ObjectLabels {
    /// The kind.
    pub kind: Kind,
    /// The Organization it belongs to; empty where there is no object of that name.
    pub organization: String,
    /// The standing of its Ready condition.
    pub ready: &'static str,
    /// The reason of its Ready condition, of the list of constants.
    pub reason: &'static str,
}

/// Who can count.
pub trait TakeCensus: Send + Sync {
    /// Counts what there is now. Must not block.
    fn take_census(&self) -> Census;
}

/// Counts at each scrape, from the moment somebody can and as long as they are there.
#[derive(Clone, Default)]
pub(super) struct CensusTaker(Arc<OnceLock<Weak<dyn TakeCensus>>>);

impl CensusTaker {
    /// From now on this one is asked. There is one in a process, so a second one is not heard.
    pub(super) fn ask(&self, source: Weak<dyn TakeCensus>) {
        if self.0.set(source).is_err() {
            tracing::error!("a second set of controllers is not counted; this is a fault in the operator");
        }
    }
}

impl fmt::Debug for CensusTaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CensusTaker")
    }
}

impl Collector for CensusTaker {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let census = self.0.get().and_then(Weak::upgrade).map(|source| source.take_census()).unwrap_or_default();
        Page(encoder).write(&census)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn write(&mut self, census: &Census) -> fmt::Result {
        let Census { organizations, objects } = census;
        let mut gauges =
            self.family("objects", "Objects by kind, Organization, and what their Ready condition says")?;
        for (labels, count) in objects {
            ConstGauge::new(i64::from(*count)).encode(gauges.encode_family(labels)?)?;
        }
        let mut gauges = self.family("organization_ready", "1 while the Organization is Ready, else 0")?;
        for organization in organizations {
            write_one(&mut gauges, organization, i64::from(organization.ready))?;
        }
        self.write_times(organizations)?;
        self.write_grants(organizations)?;
        self.write_budgets(organizations)
    }

    fn write_times(&mut self, organizations: &[OrganizationCensus]) -> fmt::Result {
        type Time = fn(&OrganizationCensus) -> Option<Timestamp>;
        let times: [(&str, &str, Time); 4] = [
            ("api_key_creation", "When the API key in use was made", |it| it.api_key_created_at),
            ("api_key_expiry", "When the API key in use ends", |it| it.api_key_expires_at),
            ("last_sweep", "When the last complete sweep ended", |it| it.last_sweep_at),
            ("oldest_waiting_grant", "When the oldest request that waits to be issued was made", |it| {
                it.oldest_waiting_since
            }),
        ];
        for (name, help, time) in times {
            let name = format!("{name}_timestamp");
            let mut gauges = self.0.encode_descriptor(&name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
            for (organization, at) in organizations.iter().filter_map(|it| Some((it, time(it)?))) {
                write_one(&mut gauges, organization, at.as_second())?;
            }
        }
        Ok(())
    }

    fn write_grants(&mut self, organizations: &[OrganizationCensus]) -> fmt::Result {
        let mut gauges = self.family("grants", "Live remote grants by organization and state, at the last sweep")?;
        for (it, counts) in organizations.iter().filter_map(|it| Some((it, it.grants?))) {
            let GrantCounts { managed, orphaned, unmanaged, duplicate, over_granted } = counts;
            let states = [
                ("managed", managed),
                ("orphaned", orphaned),
                ("unmanaged", unmanaged),
                ("duplicate", duplicate),
                ("over_granted", over_granted),
            ];
            for (state, count) in states {
                let labels = [("organization", it.name.as_str()), ("state", state)];
                ConstGauge::new(i64::from(count)).encode(gauges.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn write_budgets(&mut self, organizations: &[OrganizationCensus]) -> fmt::Result {
        type Count = fn(&BudgetCensus) -> usize;
        let counts: [(&str, &str, Count); 3] = [
            ("budget_allowed_calls", "Calls of the Amigo API allowed in every minute", |it| it.allowed),
            ("budget_used_calls", "Calls of the Amigo API begun in the last minute", |it| it.used),
            ("budget_waiting_calls", "Calls of the Amigo API that wait for their budget", |it| it.waiting),
        ];
        for (name, help, count) in counts {
            let mut gauges = self.family(name, help)?;
            for (it, budget) in organizations.iter().flat_map(|it| it.budgets.iter().map(move |budget| (it, budget))) {
                let labels = [("organization", it.name.as_str()), ("operation", budget.operation)];
                let count = i64::try_from(count(budget)).unwrap_or(i64::MAX);
                ConstGauge::new(count).encode(gauges.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn family<'s>(&'s mut self, name: &'s str, help: &str) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)
    }
}

fn write_one(gauges: &mut MetricEncoder, organization: &OrganizationCensus, value: i64) -> fmt::Result {
    let labels = [("organization", organization.name.as_str())];
    ConstGauge::new(value).encode(gauges.encode_family(&labels)?)
}
