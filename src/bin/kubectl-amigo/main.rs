//! `kubectl-amigo`, which kubectl runs as `kubectl amigo`.

use amigo_runtime::clock::SystemClock;
use clap::Parser;
use kubectl_amigo::{Arguments, Console, Exit};

// musl's own allocator is slow under several threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Exit {
    match kubectl_amigo::answer_completion() {
        Ok(Some(answered)) => answered,
        Ok(None) => kubectl_amigo::run(Arguments::parse(), Console::from_process(), SystemClock::shared()).await,
        // Shell completion cannot show errors.
        Err(_) => Exit::Failed,
    }
}
