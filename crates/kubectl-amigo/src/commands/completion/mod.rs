//! `kubectl amigo completion`, and the answers that shells ask for while a line is typed.

mod answer;
mod live;

use std::{env, ffi::OsString, io};

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};

use crate::{Exit, Failure, Session};

/// The program that shells complete and ask.
const PROGRAM: &str = "kubectl-amigo";

/// Set by the shells' scripts when they ask for candidates.
const VARIABLE: &str = "KUBECTL_AMIGO_COMPLETE";

/// What kubectl runs for the words after `kubectl amigo`.
const KUBECTL_SCRIPT: &str = "#!/bin/sh
# Completes `kubectl amigo`: kubectl runs it with the words typed so far. Put it on the PATH as kubectl_complete-amigo.
exec kubectl-amigo __complete \"$@\"
";

/// Print what makes a shell complete the commands, with the names that are in the cluster.
///
/// `kubectl amigo <TAB>` needs kubectl's own completion and a program kubectl_complete-amigo on the PATH, which
/// `completion kubectl` prints. The other scripts complete `kubectl-amigo` when it is called by that name.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  # complete `kubectl amigo`, where kubectl's own completion works already
  kubectl amigo completion kubectl > ~/.local/bin/kubectl_complete-amigo && chmod +x ~/.local/bin/kubectl_complete-amigo
  # complete `kubectl-amigo` in this bash
  source <(kubectl amigo completion bash)
  # complete `kubectl-amigo` in every fish
  kubectl amigo completion fish > ~/.config/fish/completions/kubectl-amigo.fish")]
pub struct Arguments {
    /// For whom.
    shell: Shell,
}

/// Who completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// A script to source from ~/.bashrc.
    Bash,
    /// A script to source from ~/.zshrc, after compinit.
    Zsh,
    /// A script for ~/.config/fish/completions.
    Fish,
    /// The program `kubectl_complete-amigo`, for the PATH.
    Kubectl,
}

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &Arguments, session: &mut Session) -> Result<Exit, Failure> {
    session.console.data(&script(arguments.shell)?)?;
    Ok(Exit::Granted)
}

/// Answers a shell, or kubectl, that asks for candidates; `None` if nobody asks and the command line is to be run.
///
/// # Errors
/// When stdout cannot be written, or the shell is unknown.
pub fn answer() -> io::Result<Option<Exit>> {
    let words: Vec<OsString> = env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "__complete") {
        answer::to_kubectl(&words[2..], &mut io::stdout())?;
        return Ok(Some(Exit::Granted));
    }
    // The shells' scripts put the line after `--`.
    let line: Vec<OsString> = words.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let asked = CompleteEnv::with_factory(|| answer::command(line.get(1..).unwrap_or_default()))
        .var(VARIABLE)
        .bin(PROGRAM)
        .try_complete(words, env::current_dir().ok().as_deref())
        .map_err(io::Error::other)?;
    Ok(asked.then_some(Exit::Granted))
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
