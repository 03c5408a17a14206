//! The clock as an argument, and a Kubernetes client that never retries.

pub mod clock;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
