//! The permission engine: evaluate, compile, compare and lint permission grants.
//!
//! All functions are pure: no client, no clock, no randomness.

#![warn(missing_docs)]

#[cfg(test)]
mod arbitrary;
pub mod attributes;
mod callers;
mod compare;
mod compile;
mod condition;
mod evaluate;
mod grant;
mod indexed;
pub mod lint;
pub mod names;
mod region;
mod role;
#[cfg(feature = "schemars")]
mod schema;

pub use compare::{Comparison, Excess, Privilege, Request, bind, compare, excess};
pub use compile::{Compiled, Inexpressible, NoEquivalent, compile};
pub use condition::{Condition, Conditions, VARIABLES, Value};
pub use evaluate::{Attributes, Caller, Decision, Denial, FailedCondition, GrantIndex, evaluate, matching};
pub use grant::{Action, DescribedGrant, PermissionGrant};
pub use role::{FrontendView, PermissionModel};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDocTests;
