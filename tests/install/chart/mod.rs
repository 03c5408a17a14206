//! The Helm chart: rendered by helm, judged by kubeconform and a real API server, installed, upgraded, removed.

mod generated;
mod refused;
mod release;
mod rendered;
mod rights;
mod schemas;
