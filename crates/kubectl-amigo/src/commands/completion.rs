//! `kubectl amigo completion`.

use std::io;

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::{Exit, Failure, Session};

/// The program that shells complete and call.
pub const PROGRAM: &str = "kubectl-amigo";

/// Set by the scripts of the shells when they request candidates.
pub const VARIABLE: &str = "KUBECTL_AMIGO_COMPLETE";

/// What kubectl runs for the words after `kubectl amigo`.
const KUBECTL_SCRIPT: &str = "#!/bin/sh
# Completes `kubectl amigo`: kubectl runs it with the words typed so far. Put it on the PATH as kubectl_complete-amigo.
exec kubectl-amigo __complete \"$@\"
";

/// Print a script that lets a shell complete commands, options and names in the cluster
///
/// `kubectl amigo <TAB>` requires kubectl's own completion and a program kubectl_complete-amigo on the PATH, which
/// `completion kubectl` prints. The other scripts complete `kubectl-amigo` when you call it by that name.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  # Complete `kubectl amigo`, where kubectl's own completion already works
  kubectl amigo completion kubectl > ~/.local/bin/kubectl_complete-amigo && chmod +x ~/.local/bin/kubectl_complete-amigo

  # Complete `kubectl-amigo` in this bash session
  source <(kubectl amigo completion bash)

  # Complete `kubectl-amigo` in every fish session
  kubectl amigo completion fish > ~/.config/fish/completions/kubectl-amigo.fish")]
pub struct CompletionArgs {
    /// Program to print the script for
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// A script to source from ~/.bashrc
    Bash,
    /// A script to source from ~/.zshrc, after compinit
    Zsh,
    /// A script for ~/.config/fish/completions
    Fish,
    /// The program `kubectl_complete-amigo`, for the PATH
    Kubectl,
}

pub fn run(args: &CompletionArgs, session: &mut Session) -> Result<Exit, Failure> {
    session.console.data(&script(args.shell)?)?;
    Ok(Exit::Granted)
}

fn script(shell: Shell) -> io::Result<String> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Kubectl => return Ok(KUBECTL_SCRIPT.to_owned()),
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    String::from_utf8(script).map_err(io::Error::other)
}
