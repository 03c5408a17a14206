//! The operator: its controllers and its telemetry. ARCHITECTURE.md is the map.

pub mod controller;
pub mod telemetry;
