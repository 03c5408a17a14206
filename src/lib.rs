//! The library behind `amigo-operator` and `kubectl-amigo`: see ARCHITECTURE.md for the map of its rooms.

pub mod amigo;
pub mod clock;
pub mod controller;
pub mod crd;
pub mod demo;
pub mod grant;
pub mod kubernetes;
pub mod permission;
pub mod plugin;
pub mod role;
pub mod sandbox;
pub mod telemetry;
pub mod text;

// musl's own allocator is slow under several threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
