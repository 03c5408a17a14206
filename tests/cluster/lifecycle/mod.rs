//! The lives of objects, end to end: what becomes of them at Amigo and in the cluster.

mod assignments;
mod clocks;
mod connections;
mod deletion;
mod grants;
mod lost_responses;
mod lost_writes;
mod origins;
mod outages;
mod role_denies;
mod roles;
