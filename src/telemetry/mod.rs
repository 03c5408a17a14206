//! Logs, metrics, traces and health of the operator.

pub mod census;
pub mod health;
pub mod labels;
pub mod logs;
pub mod metrics;
pub mod probe;
pub mod traces;

pub use health::Health;
pub use logs::LogFormat;
pub use metrics::Metrics;
pub use traces::Traces;
