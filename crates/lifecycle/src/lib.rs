//! Pure decisions of the operator: the life of a temporary grant, and the plan for a role.
//!
//! Nothing here has a client, a clock or randomness: time and chance are arguments.

pub mod grant;
pub mod role;
pub mod setbacks;
