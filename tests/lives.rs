//! The lives of objects, end to end: what becomes of them at Amigo and in the cluster.

mod support;

#[path = "lives/assignments.rs"]
mod assignments;
#[path = "lives/connections.rs"]
mod connections;
#[path = "lives/grants.rs"]
mod grants;
#[path = "lives/lost_answers.rs"]
mod lost_answers;
#[path = "lives/lost_writes.rs"]
mod lost_writes;
#[path = "lives/role_denies.rs"]
mod role_denies;
#[path = "lives/roles.rs"]
mod roles;
