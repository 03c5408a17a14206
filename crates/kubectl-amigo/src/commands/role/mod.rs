//! `kubectl amigo role`.

mod diff;
mod export;
mod lint;

use amigo_api::Role;
use clap::Subcommand;

use crate::{Exit, Failure, Session, kubernetes::Kubernetes};

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Show what applying a role would change at Amigo
    Diff(diff::Arguments),
    /// Print roles at Amigo as manifests that adopt them
    Export(export::Arguments),
    /// Check roles against best practices and common mistakes
    Lint(lint::Arguments),
}

pub async fn run(command: RoleCommand, session: &mut Session) -> Result<Exit, Failure> {
    match command {
        RoleCommand::Diff(arguments) => diff::run(arguments, session).await,
        RoleCommand::Export(arguments) => export::run(arguments, session).await,
        RoleCommand::Lint(arguments) => lint::run(arguments, session).await,
    }
}

/// Reads a Role of the command's namespace.
async fn read_role(kubernetes: &Kubernetes, name: &str) -> Result<Role, Failure> {
    let namespace = &kubernetes.namespace;
    let role = kubernetes.find(&kubernetes.api(), name, &format!("read Role {namespace}/{name}")).await;
    role?.ok_or_else(|| {
        Failure::usage(format!("Role {name} does not exist in namespace {namespace}"))
            .advise("to list all Roles, run `kubectl get amrole -A`")
    })
}
