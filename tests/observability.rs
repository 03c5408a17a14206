//! Alerts, dashboard and metrics: the rules by promtool, the series of a running operator.

mod support;

#[path = "observability/dashboard.rs"]
mod dashboard;
#[path = "observability/rules.rs"]
mod rules;
#[path = "observability/series.rs"]
mod series;
