//! Tests against a real API server and one operator in this process.

mod admission;
mod bad_input;
mod crds;
mod lifecycle;
mod observability;
mod plugin;
mod user_guide;
