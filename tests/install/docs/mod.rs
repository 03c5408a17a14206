//! The pages: every command in them is run here, is a transcript that another test replays, or says what it needs.
//!
//! A block of commands is marked by what follows the word `sh`:
//! nothing: it is run here; `account`: it needs a real Amigo account, and the text says so; `nodes`: it needs a cluster
//! that runs pods, as `make e2e-kind` makes one; `build`: it compiles for minutes; `make`: targets of the Makefile.

mod pages;
mod reader;
