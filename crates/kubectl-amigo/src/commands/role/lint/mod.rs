//! `kubectl amigo role lint`.

mod finding;
mod github;
mod sarif;
mod text;

use amigo_permissions::lint::Severity;
use clap::Args;

use self::finding::{LocatedFinding, lint_files, lint_role};
use super::read_role;
use crate::{
    Exit, Failure, Session,
    manifests::FileOptions,
    output::{self, OutputFormat, OutputOptions, formats},
};

/// Check roles against best practices and common mistakes
///
/// Errors mark roles that cannot work or are surely unintended, warnings mark risks, and notes concern style. With -f,
/// the command needs no cluster.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Sarif, OutputFormat::Github])))]
#[command(after_help = "Examples:
  # Check all roles of a folder and its subfolders
  kubectl amigo role lint -R -f roles/

  # Annotate a pull request on GitHub, and fail on warnings too
  kubectl amigo role lint --strict -o github -f roles/

  # Write a SARIF file for code scanning
  kubectl amigo role lint -o sarif -f roles/ > roles.sarif

  # Check a role in the cluster
  kubectl amigo role lint content-moderator

Exit codes: 0 no errors, 1 errors (with --strict: or warnings), 2 no role to check.")]
pub struct Arguments {
    /// The names of Roles in the cluster.
    #[arg(required_unless_present = "files", conflicts_with = "files")]
    name: Vec<String>,
    #[command(flatten)]
    files: FileOptions,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: OutputOptions,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let (roles, findings) = if arguments.name.is_empty() {
        lint_files(&arguments.files)?
    } else {
        lint_cluster(&arguments.name, session).await?
    };
    session.console.data(&render(&findings, arguments.output.format())?)?;
    session.console.report(&text::summary(roles, &findings));
    let fails = |severity| severity == Severity::Error || (arguments.strict && severity == Severity::Warning);
    Ok(if findings.iter().any(|finding| fails(finding.severity)) { Exit::Failed } else { Exit::Granted })
}

async fn lint_cluster(names: &[String], session: &Session) -> Result<(usize, Vec<LocatedFinding>), Failure> {
    let kubernetes = session.kubernetes().await?;
    let mut findings = Vec::new();
    for name in names {
        findings.extend(lint_role(&read_role(&kubernetes, name).await?, |_| None));
    }
    Ok((names.len(), findings))
}

fn render(findings: &[LocatedFinding], format: OutputFormat) -> Result<String, Failure> {
    match format {
        OutputFormat::Sarif => output::json(&sarif::log(findings)),
        OutputFormat::Github => Ok(findings.iter().map(github::command).collect()),
        format => output::render(findings, format, |findings| findings.iter().map(text::finding).collect()),
    }
}

#[cfg(test)]
mod tests;
