//! `kubectl amigo test`.

mod junit;
mod report;
mod runner;

use clap::Args;

use self::{
    report::Report,
    runner::{Outcome, TestRunner},
};
use crate::{
    Exit, Failure, Session,
    manifests::{ACCESS_TEST_KIND, FileOptions, Manifests, Problem},
    output::{OutputFormat, OutputOptions, formats, render},
};

/// The suffix of the names of test files.
const SUFFIX: &str = ".test.yaml";

/// Run the access tests of `*.test.yaml` files over manifests
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Junit])))]
#[command(after_help = "\
Examples:
  # Run all tests of a folder, for example in CI
  kubectl amigo test -f examples

  # Run only matching cases and print a JUnit report
  kubectl amigo test -f examples --run 'own conversations' -o junit

Exit codes: 0 all cases passed, 1 a case failed or there is none, 2 wrong usage or invalid files.

The command needs no cluster. It reads the same files as kubectl apply -f, and the *.test.yaml files of all subfolders.
Keep tests in a separate folder, such as examples/tests: clusters do not have their kind, and kubectl apply -f examples
ignores subfolders. A test file:

  apiVersion: permissions.amigo.ai/v1alpha1
  kind: AccessTest
  metadata: { name: viewer }
  role: viewer                    # the name of a Role object, or of the role at Amigo
  caller: { userId: user-1 }      # also orgId, roleName: the values of {self}, {self_org_id}, {self_role_name}
  attributes: {}                  # for every case; org_id defaults to the caller's, null removes it
  grants: []                      # active temporary grants: {name} of an object, or {permissionName, conditions};
                                  #   an object with a conversation may need {name, ownerUserId}
  permissionModel: AllowDeny      # or AllowOnly: a Deny does not limit temporary grants; default: the model of
                                  #   the Organization in the files, else AllowDeny
  cases:
    - name: sees the own conversations
      permission: Conversation:GetConversation
      attributes: { conversation_user_id: '{self}' }
      expect: Allowed             # or Denied
      because: RoleGrant          # optional: or TemporaryGrant, DenyGrant, ConditionFailed, NoGrant
      by: permissionGrants[0]     # optional: or the description of a grant, the name of an object, or, for
                                  #   ConditionFailed, the attribute
A case can set its own role, caller and grants.")]
pub struct Arguments {
    #[command(flatten)]
    pub files: FileOptions,
    /// Run only the cases whose name, `TEST: CASE`, contains TEXT.
    #[arg(long, value_name = "TEXT")]
    pub run: Option<String>,
    #[command(flatten)]
    pub output: OutputOptions,
}

#[expect(clippy::unused_async, reason = "every command is async")]
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    if arguments.files.files.is_empty() {
        return Err(Failure::usage("no files given").advise("set the manifests and tests with -f FILE|DIR"));
    }
    let sources = arguments.files.sources_and(|name| name.ends_with(SUFFIX))?;
    let manifests = Manifests::parse(&sources)?;
    let outcomes = outcomes(manifests, arguments.run.as_deref())?;
    if outcomes.is_empty() {
        return Err(no_cases(&arguments));
    }
    let report = Report::new(outcomes);
    session.console.data(&match arguments.output.format() {
        OutputFormat::Junit => report.to_junit()?,
        format => render(&report, format, Report::to_table)?,
    })?;
    Ok(if report.failed == 0 { Exit::Granted } else { Exit::Failed })
}

/// Runs the cases whose name contains `filter`.
fn outcomes(manifests: Manifests, filter: Option<&str>) -> Result<Vec<Outcome>, Vec<Problem>> {
    let (runner, tests) = TestRunner::new(manifests);
    let (mut outcomes, mut problems) = (Vec::new(), Vec::new());
    for test in &tests {
        for (index, case) in test.object.cases.iter().enumerate() {
            let name = format!("{}: {}", test.object.name(), case.name);
            if filter.is_none_or(|filter| name.contains(filter)) {
                match runner.run(test, index) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    if problems.is_empty() { Ok(outcomes) } else { Err(problems) }
}

/// A run without cases proves nothing, so it fails.
fn no_cases(arguments: &Arguments) -> Failure {
    let files = arguments.files.files.join(", ");
    match &arguments.run {
        Some(filter) => Failure::failed(format!("no case name in {files} contains {filter:?}")),
        None => Failure::failed(format!("no access test found in {files}")).advise(format!(
            "write objects of kind {ACCESS_TEST_KIND} in *{SUFFIX} files; see kubectl amigo test --help"
        )),
    }
}

#[cfg(test)]
mod tests;
