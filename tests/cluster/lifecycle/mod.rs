//! The lives of objects, end to end: what becomes of them at Amigo and in the cluster.

mod assignments;
mod connections;
mod grants;
mod lost_responses;
mod lost_writes;
mod role_denies;
mod roles;
