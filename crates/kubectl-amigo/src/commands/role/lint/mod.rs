//! `kubectl amigo role lint`: advice on roles before they are applied.

mod github;
mod remark;
mod sarif;
mod text;

use amigo_api::Role;
use amigo_permissions::lint::Severity;
use clap::Args;
use kube::Api;

use self::remark::{Remark, of_files, of_role};
use crate::{
    Exit, Failure, Session,
    manifests::FileOptions,
    output::{self, OutputFormat, OutputOptions, formats},
};

/// Check roles against best practices and known traps.
///
/// Errors cannot work or surely are not meant, warnings are risks, notes are style. With -f no cluster is asked.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json, OutputFormat::Sarif, OutputFormat::Github])))]
#[command(after_help = "Examples:
  # every role in a folder and below
  kubectl amigo role lint -R -f roles/
  # remarks beside the lines of a pull request, warnings count as well
  kubectl amigo role lint --strict -o github -f roles/
  # for code scanning
  kubectl amigo role lint -o sarif -f roles/ > roles.sarif
  # a role in the cluster
  kubectl amigo role lint content-moderator

Exit codes: 0 nothing that counts was found, 1 errors were found (with --strict: or warnings), 2 there is no role to check.")]
pub struct Arguments {
    /// Roles in the cluster, by name.
    #[arg(required_unless_present = "files", conflicts_with = "files")]
    name: Vec<String>,
    #[command(flatten)]
    files: FileOptions,
    /// Let warnings count as errors do.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let (roles, remarks) = if arguments.name.is_empty() {
        of_files(&arguments.files)?
    } else {
        of_cluster(&arguments.name, session).await?
    };
    session.console.data(&printed(&remarks, arguments.output.format())?)?;
    session.console.tell(&text::summary(roles, &remarks));
    let counts = |severity| severity == Severity::Error || (arguments.strict && severity == Severity::Warning);
    let clean = !remarks.iter().any(|remark| counts(remark.severity));
    Ok(if clean { Exit::Granted } else { Exit::Failed })
}

async fn of_cluster(names: &[String], session: &Session) -> Result<(usize, Vec<Remark>), Failure> {
    let kubernetes = session.kubernetes().await?;
    let api: Api<Role> = kubernetes.api();
    let mut remarks = Vec::new();
    for name in names {
        let found = api.get_opt(name).await.map_err(|error| Failure::of_kube(&format!("read Role {name}"), &error))?;
        let role = found.ok_or_else(|| {
            Failure::usage(format!("Role {name} does not exist in namespace {}", kubernetes.namespace))
                .advise("`kubectl get amrole -A` lists those that do")
        })?;
        remarks.extend(of_role(&role, |_| None));
    }
    Ok((names.len(), remarks))
}

fn printed(remarks: &[Remark], format: OutputFormat) -> Result<String, Failure> {
    match format {
        OutputFormat::Sarif => output::json(&sarif::log(remarks)),
        OutputFormat::Github => Ok(remarks.iter().map(github::command).collect()),
        format => output::render(remarks, format, |remarks| remarks.iter().map(text::remark).collect()),
    }
}

#[cfg(test)]
mod tests;
