//! Tests of an installation: the chart, its admission policies, the documented commands, and one release end to end.

mod admission;
mod chart;
mod docs;
mod e2e;
