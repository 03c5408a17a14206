//! The controllers, and the leader election among replicas.

mod access;
mod announce;
pub mod audit;
mod census;
mod connection;
mod context;
mod events;
mod finalizers;
pub mod leader;
mod lookup_limiter;
mod organization;
mod ownership;
mod readiness;
mod resync;
mod role;
mod role_assignment;
mod run;
mod served_schema;
mod settings;
mod temporary_grant;
mod triggers;
mod unreadable;
mod watch;

use std::time::Duration;

use rand::Rng as _;

pub use audit::{Audit, AuditLine};
pub use run::{Environment, RunError, run};
pub use settings::{Settings, parse_duration};

/// Up to a tenth less, so that objects created together are not reconciled together forever.
fn jitter(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.9..=1.0))
}
