//! Answers to shells, and to kubectl, that request completion candidates while the user types.

mod candidates;
mod names;

use std::{env, ffi::OsString, io};

use clap_complete::env::CompleteEnv;

use super::{
    Exit,
    commands::completion::{PROGRAM, VARIABLE},
};

/// Answers a shell or kubectl; `None` when the command line is a command to run.
///
/// # Errors
/// When stdout cannot be written, or the shell is unknown.
pub fn answer() -> io::Result<Option<Exit>> {
    let words: Vec<OsString> = env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "__complete") {
        candidates::write_for_kubectl(&words[2..], &mut io::stdout())?;
        return Ok(Some(Exit::Granted));
    }
    // The scripts of the shells put the line after `--`.
    let line: Vec<OsString> = words.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let answered = CompleteEnv::with_factory(|| candidates::command(line.get(1..).unwrap_or_default()))
        .var(VARIABLE)
        .bin(PROGRAM)
        .try_complete(words, env::current_dir().ok().as_deref())
        .map_err(io::Error::other)?;
    Ok(answered.then_some(Exit::Granted))
}
