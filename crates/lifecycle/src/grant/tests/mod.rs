//! Tests of the grant's life: a simulated world (`world`, `amigo`), what must hold in it (`checks`), random
//! schedules (`schedules`), and single stories (`life`, `trouble`, `leases`, `finds`).

mod amigo;
mod checks;
mod finds;
mod fixtures;
mod leases;
mod life;
mod schedules;
mod trouble;
mod world;
