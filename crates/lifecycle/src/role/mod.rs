//! The decisions about a role: what to send to the API, and what to do with the role at Amigo.

mod current;
mod desired;
#[cfg(test)]
mod desired_tests;
mod plan;
#[cfg(test)]
mod plan_tests;

pub use current::current;
pub use desired::{DesiredRole, content_digest, grant_digest, lint};
pub use plan::{Plan, PlanInput, deny_dropped, is_owner, plan, role_after, unreadable};
