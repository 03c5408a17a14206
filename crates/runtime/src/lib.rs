//! The clock as an argument, a Kubernetes client that never retries, and points at which tests end the process.

pub mod clock;
pub mod crash_points;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
