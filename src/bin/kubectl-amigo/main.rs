//! `kubectl-amigo`, found by kubectl as `kubectl amigo`.

use amigo_operator::{
    clock::SystemClock,
    plugin::{self, Arguments, Console, Exit},
};
use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Exit {
    match plugin::answer_completion() {
        Ok(Some(answered)) => answered,
        Ok(None) => plugin::run(Arguments::parse(), Console::of_process(), SystemClock::shared()).await,
        // A shell that asks has no place for errors.
        Err(_) => Exit::Failed,
    }
}
