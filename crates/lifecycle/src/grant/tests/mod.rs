//! Tests of the protocol in one simulator (`world`, `replica`, `server`) with its invariants (`invariants`): single scenarios
//! (`lifecycle`, `failures`, `leases`, `adoption`), random schedules (`random`), and all schedules within bounds
//! (`model`).

mod adoption;
mod any_step;
mod failures;
mod fixtures;
mod invariants;
mod leases;
mod lifecycle;
mod model;
mod random;
mod replica;
mod server;
mod world;
