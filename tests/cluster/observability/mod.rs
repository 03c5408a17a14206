//! Alerts, dashboard and metrics: the rules by promtool, the series of a running operator.

mod dashboard;
mod rules;
mod series;
