//! Metrics of the current state. Collected at each scrape, so that a series ends with its object.

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

#[derive(Clone, Debug, Default)]
pub struct Census {
    pub organizations: Vec<OrganizationCensus>,
    pub objects: BTreeMap<ObjectLabels, u32>,
}

#[derive(Clone, Debug, Default)]
pub struct OrganizationCensus {
    pub name: String,
    pub ready: bool,
    /// `None` if the operator may not read its API keys.
    pub api_key_created_at: Option<Timestamp>,
    /// `None` if the operator may not read its API keys.
    pub api_key_expires_at: Option<Timestamp>,
    pub last_sweep_at: Option<Timestamp>,
    /// Live grants by state, as of this process's last complete sweep. Empty before it.
    pub grants: Vec<(&'static str, u32)>,
    /// Creation time of the oldest request that waits for the operator.
    pub oldest_waiting_since: Option<Timestamp>,
    pub rate_limits: Vec<RateLimitUsage>,
}

/// The rate limit of one operation, in requests.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitUsage {
    pub operation: &'static str,
    /// In any minute.
    pub allowed: usize,
    /// In the last minute.
    pub used: usize,
    pub waiting: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct ObjectLabels {
    pub kind: Kind,
    /// Empty if no Organization of that name exists.
    pub organization: String,
    /// Status of the Ready condition.
    pub ready: &'static str,
    /// Reason of the Ready condition: one of `amigo_api::reasons`.
    pub reason: &'static str,
}

/// A source of the current state.
pub trait TakeCensus: Send + Sync {
    /// Must not block.
    fn take_census(&self) -> Census;
}

/// Collects at each scrape while its source exists.
#[derive(Clone, Default)]
pub(super) struct CensusTaker(Arc<OnceLock<Weak<dyn TakeCensus>>>);

impl CensusTaker {
    /// A process has one source; a second one is ignored.
    pub(super) fn set_source(&self, source: Weak<dyn TakeCensus>) {
        if self.0.set(source).is_err() {
            tracing::error!("ignoring a second source of metrics; this is a bug in the operator");
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
        Writer(encoder).write(&census)
    }
}

struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn write(&mut self, census: &Census) -> fmt::Result {
        let Census { organizations, objects } = census;
        let mut gauges =
            self.family("objects", "Objects by kind, Organization, and status and reason of the Ready condition")?;
        for (labels, count) in objects {
            ConstGauge::new(i64::from(*count)).encode(gauges.encode_family(labels)?)?;
        }
        let mut gauges = self.family("organization_ready", "1 if the Organization is Ready, else 0")?;
        for organization in organizations {
            write_one(&mut gauges, organization, i64::from(organization.ready))?;
        }
        self.write_times(organizations)?;
        self.write_grants(organizations)?;
        self.write_rate_limits(organizations)
    }

    fn write_times(&mut self, organizations: &[OrganizationCensus]) -> fmt::Result {
        type Time = fn(&OrganizationCensus) -> Option<Timestamp>;
        let times: [(&str, &str, Time); 4] = [
            ("api_key_creation", "Creation time of the API key in use", |it| it.api_key_created_at),
            ("api_key_expiry", "Expiry time of the API key in use", |it| it.api_key_expires_at),
            ("last_sweep", "Time of the last complete sweep", |it| it.last_sweep_at),
            ("oldest_waiting_grant", "Creation time of the oldest request that waits to be issued", |it| {
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
        let mut gauges =
            self.family("grants", "Live grants at Amigo by Organization and state, as of the last sweep")?;
        for organization in organizations {
            for (state, count) in &organization.grants {
                let labels = [("organization", organization.name.as_str()), ("state", *state)];
                ConstGauge::new(i64::from(*count)).encode(gauges.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn write_rate_limits(&mut self, organizations: &[OrganizationCensus]) -> fmt::Result {
        type Count = fn(&RateLimitUsage) -> usize;
        let counts: [(&str, &str, Count); 3] = [
            ("rate_limit_allowed_requests", "Amigo API requests allowed per minute", |it| it.allowed),
            ("rate_limit_used_requests", "Amigo API requests sent in the last minute", |it| it.used),
            ("rate_limit_waiting_requests", "Amigo API requests that wait for the rate limiter", |it| it.waiting),
        ];
        for (name, help, count) in counts {
            let mut gauges = self.family(name, help)?;
            for (it, usage) in organizations.iter().flat_map(|it| it.rate_limits.iter().map(move |usage| (it, usage))) {
                let labels = [("organization", it.name.as_str()), ("operation", usage.operation)];
                let count = i64::try_from(count(usage)).unwrap_or(i64::MAX);
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
