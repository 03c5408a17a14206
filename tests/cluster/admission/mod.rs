//! The admission policies of the chart on a real API server: for each rule what it lets through and what it refuses,
//! as the user who asks reads it.

mod limits;
mod page;
mod requesters;
mod roles;
mod status;
mod types;
mod warnings;
