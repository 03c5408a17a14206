//! The operator's decisions as pure functions: the lifecycle of a temporary grant, and the plan for a role.
//!
//! This crate has no client, no clock and no randomness: time and random numbers are arguments.

#![warn(missing_docs)]

mod error_mapping;
mod failure;
pub mod grant;
mod release;
pub mod role;

pub use failure::{Failure, RetryClass};
pub use release::release_in;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDocTests;
