//! Completion candidates: commands and options from clap, names from [`names`](super::names).
//!
//! kubectl calls a plugin's completion program with the words after the plugin's name, the last one unfinished or
//! empty. It reads one candidate per line, a tab before a description, and a last line `:DIRECTIVE` (cobra's protocol).

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
};

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::{
    ArgValueCandidates, CompletionCandidate,
    engine::{self, ValueCandidates},
};

use super::names::{Kind, names};
use crate::{Arguments, ClusterOptions, commands::completion::PROGRAM};

/// cobra: no space after the candidate.
const NO_SPACE: u8 = 2;
/// cobra: the shell does not offer files.
const NO_FILES: u8 = 4;

/// Answers kubectl in cobra's protocol. Errors yield no candidates: a shell cannot show them.
///
/// # Errors
/// When the answer cannot be written.
pub fn write_for_kubectl(words: &[OsString], output: &mut impl Write) -> io::Result<()> {
    let found = candidates(command(words), words);
    output.write_all(protocol(&found).as_bytes())
}

/// The command line, whose arguments complete names in the cluster that `words` choose.
pub fn command(words: &[OsString]) -> Command {
    let options = options(words);
    Arguments::command().mut_args(|argument| with_names("", argument, &options)).mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        let command = command.mut_args(|argument| with_names(&name, argument, &options));
        command.mut_subcommands(|command| {
            let name = format!("{name} {}", command.get_name());
            command.mut_args(|argument| with_names(&name, argument, &options))
        })
    })
}

fn with_names(command: &str, argument: Arg, options: &ClusterOptions) -> Arg {
    match kind_of(command, &argument) {
        Some(kind) => argument.add(ArgValueCandidates::new(Names { kind, options: options.clone() })),
        None => argument,
    }
}

/// The kind of objects that an argument names.
fn kind_of(command: &str, argument: &Arg) -> Option<Kind> {
    match (command, argument.get_long().unwrap_or_else(|| argument.get_id().as_str())) {
        ("", "namespace" | "operator-namespace") => Some(Kind::Namespaces),
        ("", "context") => Some(Kind::Contexts),
        ("", "cluster") => Some(Kind::Clusters),
        ("revoke" | "status", "name") => Some(Kind::Grants),
        ("role diff" | "role lint", "name") | (_, "as-role") => Some(Kind::Roles),
        ("can-i", "permission") => Some(Kind::Permissions),
        (_, "organization") => Some(Kind::Organizations),
        _ => None,
    }
}

/// The kubectl options among words that may be incomplete.
fn options(words: &[OsString]) -> ClusterOptions {
    let finished = words.split_last().map(|(_, finished)| finished).unwrap_or_default();
    let line = [OsString::from(PROGRAM)].into_iter().chain(finished.iter().cloned());
    let matches = Arguments::command().ignore_errors(true).try_get_matches_from(line);
    matches.ok().and_then(|matches| ClusterOptions::from_arg_matches(&matches).ok()).unwrap_or_default()
}

fn candidates(mut command: Command, words: &[OsString]) -> Vec<CompletionCandidate> {
    let line: Vec<OsString> = [OsString::from(PROGRAM)].into_iter().chain(words.iter().cloned()).collect();
    let mut found =
        engine::complete(&mut command, line, words.len(), std::env::current_dir().ok().as_deref()).unwrap_or_default();
    // As kubectl does: offer options only after a dash.
    if !words.last().is_some_and(|word| is_option(word)) {
        found.retain(|candidate| !is_option(candidate.get_value()));
    }
    found
}

fn is_option(word: &OsStr) -> bool {
    word.to_string_lossy().starts_with('-')
}

fn protocol(candidates: &[CompletionCandidate]) -> String {
    let line = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        match help.lines().next() {
            Some(help) => format!("{value}\t{help}\n"),
            None => format!("{value}\n"),
        }
    };
    let is_folder = |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().ends_with('/');
    let directive = if candidates.iter().any(is_folder) { NO_SPACE | NO_FILES } else { NO_FILES };
    candidates.iter().map(line).chain([format!(":{directive}\n")]).collect()
}

/// The names of one kind, read when needed.
struct Names {
    kind: Kind,
    options: ClusterOptions,
}

impl ValueCandidates for Names {
    fn candidates(&self) -> Vec<CompletionCandidate> {
        let candidate = |(name, about): (String, String)| {
            CompletionCandidate::new(name).help((!about.is_empty()).then(|| about.into()))
        };
        names(self.kind, &self.options).into_iter().map(candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn answer(line: &str) -> String {
        let mut output = Vec::new();
        write_for_kubectl(&words(line), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn commands_are_completed_with_descriptions() {
        assert_eq!(answer("rev"), "revoke\tDelete a request for access, and show when the access ends\n:4\n");
        let roles = answer("role ");
        assert!(roles.contains("diff\t") && roles.contains("export\t") && roles.contains("lint\t"), "{roles}");
    }

    #[test]
    fn options_are_offered_after_a_dash_only() {
        assert!(!answer("version ").contains("--"));
        assert!(answer("version --na").starts_with("--namespace\tNamespace"));
        assert!(answer("completion ").contains("kubectl\t"));
    }

    #[test]
    fn completion_uses_the_cluster_of_the_line() {
        for line in ["revoke -n team ", "-n team revoke ", "revoke --namespace=team --organization "] {
            assert_eq!(options(&words(line)).namespace.as_deref(), Some("team"), "{line}");
        }
        assert_eq!(options(&words("revoke -n te")).namespace, None);
    }

    /// Arguments are matched by name, and names may change elsewhere.
    #[test]
    fn every_argument_with_a_name_is_completed() {
        let mut found = Vec::new();
        let mut note = |path: String, command: &Command| {
            let named = command.get_arguments().filter_map(|argument| Some((argument, kind_of(&path, argument)?)));
            found.extend(named.map(|(argument, kind)| format!("{path} {} {kind:?}", argument.get_id())));
        };
        let root = Arguments::command();
        note(String::new(), &root);
        for command in root.get_subcommands() {
            note(command.get_name().to_owned(), command);
            for inner in command.get_subcommands() {
                note(format!("{} {}", command.get_name(), inner.get_name()), inner);
            }
        }
        found.sort();
        let expected = [
            " cluster Clusters",
            " context Contexts",
            " namespace Namespaces",
            " operator_namespace Namespaces",
            "can-i as_role Roles",
            "can-i organization Organizations",
            "can-i permission Permissions",
            "conversation list-access organization Organizations",
            "conversation request-access organization Organizations",
            "revoke name Grants",
            "role diff name Roles",
            "role export organization Organizations",
            "role lint name Roles",
            "status name Grants",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn permissions_are_completed_without_a_cluster() {
        let found: Vec<String> =
            names(Kind::Permissions, &ClusterOptions::default()).into_iter().map(|one| one.0).collect();
        assert!(found.contains(&"Conversation:GetMessage".to_owned()));
    }
}
