//! `kubectl amigo test`.

mod case;
mod format;
mod junit;
mod report;

use clap::Args;

pub use self::format::{AccessTest, KIND};
use self::{
    case::{Outcome, World},
    report::Report,
};
use crate::{
    Exit, Failure, Session,
    manifests::{FileOptions, Manifests, Problem, complaint},
    output::{OutputFormat, OutputOptions, formats, render},
};

/// The ending of the names of files with access tests.
const ENDING: &str = ".test.yaml";

/// Run the access tests of `*.test.yaml` files over manifests
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Junit])))]
#[command(after_help = "\
Examples:
  # All tests of a folder, such as in a CI job
  kubectl amigo test -f examples

  # Only the cases whose name has this in it, with a report for the CI
  kubectl amigo test -f examples --run 'own conversations' -o junit

Exit codes: 0 all cases passed, 1 some failed or there are none, 2 wrong usage or wrong files.

No cluster is asked. Manifests are read as kubectl apply -f reads them; tests are also read from the *.test.yaml
files of all folders below. Keep them in a folder of their own, such as examples/tests, since a cluster does not know
their kind and kubectl apply -f examples does not look there. A file of tests:

  apiVersion: permissions.amigo.ai/v1alpha1
  kind: AccessTest
  metadata: { name: viewer }
  role: viewer                    # a Role object's name, or the role's name at Amigo
  caller: { userId: user-1 }      # also orgId, roleName; the values of {self}, {self_org_id}, {self_role_name}
  attributes: {}                  # of every case; org_id is the caller's unless given, null takes it away
  grants: []                      # live temporary grants: {name} of an object, or {permissionName, conditions};
                                  #   for the object of a conversation also {ownerUserId}
  permissionModel: AllowDeny      # or AllowOnly: there a Deny takes nothing from temporary grants; default: the
                                  # Organization's, if it is in the files and says, else AllowDeny
  cases:
    - name: sees the own conversations
      permission: Conversation:GetConversation
      attributes: { conversation_user_id: '{self}' }
      expect: Allowed             # or Denied
      because: RoleGrant          # may be left out; or TemporaryGrant, DenyGrant, ConditionFailed, NoGrant
      by: permissionGrants[0]     # may be left out; or a grant's description, the name of an object, and for
                                  #   ConditionFailed the attribute
A case may set role, caller and grants of its own.")]
pub struct Arguments {
    /// Where the manifests and the tests are.
    #[command(flatten)]
    pub files: FileOptions,
    /// Run only cases with this text in `TEST: CASE`.
    #[arg(long, value_name = "TEXT")]
    pub run: Option<String>,
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
#[expect(clippy::unused_async, reason = "every command is async")]
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    if arguments.files.files.is_empty() {
        return Err(Failure::usage("no files are named").advise("say where manifests and tests are with -f FILE|DIR"));
    }
    let sources = arguments.files.sources_where(|name| name.ends_with(ENDING))?;
    let manifests = Manifests::parse(&sources).map_err(|problems| complaint(&problems))?;
    let outcomes = outcomes(manifests, arguments.run.as_deref()).map_err(|problems| complaint(&problems))?;
    if outcomes.is_empty() {
        return Err(none(&arguments));
    }
    let report = Report::new(outcomes);
    session.console.data(&match arguments.output.format() {
        OutputFormat::Junit => report.junit()?,
        format => render(&report, format, Report::table)?,
    })?;
    Ok(if report.failed == 0 { Exit::Granted } else { Exit::Failed })
}

/// Runs all cases that have `wanted` in their name.
///
/// # Errors
/// All cases that make no sense.
fn outcomes(manifests: Manifests, wanted: Option<&str>) -> Result<Vec<Outcome>, Vec<Problem>> {
    let (world, tests) = World::new(manifests);
    let (mut outcomes, mut problems) = (Vec::new(), Vec::new());
    for test in &tests {
        for (index, case) in test.object.cases.iter().enumerate() {
            let name = format!("{}: {}", test.object.name(), case.name);
            if wanted.is_none_or(|wanted| name.contains(wanted)) {
                match world.run(test, index) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    if problems.is_empty() { Ok(outcomes) } else { Err(problems) }
}

/// A run of nothing has shown nothing.
fn none(arguments: &Arguments) -> Failure {
    let files = arguments.files.files.join(", ");
    match &arguments.run {
        Some(wanted) => Failure::failed(format!("no case in {files} has {wanted:?} in its name")),
        None => Failure::failed(format!("no access test is in {files}"))
            .advise(format!("tests are documents of kind {KIND} in *{ENDING} files: see kubectl amigo test --help")),
    }
}

#[cfg(test)]
mod tests;
