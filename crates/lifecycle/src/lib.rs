//! Pure decisions of the operator: the life of a temporary grant, and the plan for a role.
//!
//! Nothing here has a client, a clock or randomness: time and chance are arguments.

mod error_mapping;
mod failure;
pub mod grant;
pub mod role;

pub use failure::{Failure, RetryClass};
