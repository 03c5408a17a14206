//! The pages: every command in them is run here, is a transcript that another test replays, or says what it needs.
//!
//! A block of commands is marked by what follows the word `sh`:
//! nothing: it is run here; `account`: it needs a real Amigo account, and the text says so; `nodes`: it needs a cluster
//! that runs pods, as `make e2e-kind` makes one; `build`: it compiles for minutes; `make`: targets of the Makefile.

mod support;

#[path = "e2e/ground.rs"]
#[allow(dead_code, reason = "shared with the end to end suite")]
mod ground;
#[path = "chart/helm.rs"]
#[allow(dead_code, reason = "shared with the tests of the chart")]
mod helm;
#[path = "docs/pages.rs"]
mod pages;
#[path = "e2e/people.rs"]
#[allow(dead_code, reason = "shared with the end to end suite")]
mod people;
#[path = "docs/reader.rs"]
mod reader;
#[path = "e2e/release.rs"]
#[allow(dead_code, reason = "shared with the end to end suite")]
mod release;
#[path = "e2e/running.rs"]
#[allow(dead_code, reason = "shared with the end to end suite")]
mod running;
