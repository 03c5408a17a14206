//! Tests of an installation: the chart, the documented commands, and one release end to end.

mod chart;
mod docs;
mod e2e;
