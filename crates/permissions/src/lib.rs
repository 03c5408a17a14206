//! The permission engine: what a role or a temporary grant allows. Pure: no client, no clock, no randomness.

#[cfg(test)]
mod arbitrary;
pub mod attributes;
mod compare;
mod compile;
mod condition;
mod evaluate;
mod grant;
mod lines;
pub mod lint;
pub mod names;
mod region;
mod role;
#[cfg(feature = "schemars")]
mod schema;
mod world;

pub use compare::{Comparison, Excess, Privilege, Request, bind, compare, excess};
pub use compile::{Compiled, NoEquivalent, Unsayable, compile};
pub use condition::{Condition, Conditions, VARIABLES, Value};
pub use evaluate::{Attributes, Caller, Decision, Denial, FailedCondition, GrantIndex, evaluate, matching};
pub use grant::{Action, DescribedGrant, PermissionGrant};
pub use role::{FrontendView, PermissionModel};
