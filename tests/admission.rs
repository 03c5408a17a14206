//! The admission policies of the chart on a real API server: for each rule what it lets through and what it refuses,
//! as the user who asks reads it.

mod support;

#[path = "chart/helm.rs"]
#[allow(dead_code, reason = "shared with the tests of the chart")]
mod helm;

#[path = "admission/house.rs"]
mod house;
#[path = "admission/limits.rs"]
mod limits;
#[path = "admission/page.rs"]
mod page;
#[path = "admission/requesters.rs"]
mod requesters;
#[path = "admission/roles.rs"]
mod roles;
#[path = "admission/status.rs"]
mod status;
#[path = "admission/types.rs"]
mod types;
#[path = "admission/warnings.rs"]
mod warnings;
