//! Tests of the operator as its own process. Each sees the whole control plane, so the tests take turns.

mod api_server_faults;
mod budgets;
mod canary;
mod control_plane;
mod crash;
#[cfg(feature = "crash-points")]
mod crash_points;
mod degraded_cluster;
mod idle;
mod leader;
#[cfg(feature = "otlp")]
mod otlp;
mod soak;
mod unreadable;
