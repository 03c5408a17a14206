//! The Helm chart: rendered by helm, judged by kubeconform and a real API server, installed, upgraded, removed.

mod support;

#[path = "chart/generated.rs"]
mod generated;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/refused.rs"]
mod refused;
#[path = "chart/release.rs"]
mod release;
#[path = "chart/rendered.rs"]
mod rendered;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/schemas.rs"]
mod schemas;
