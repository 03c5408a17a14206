//! `kubectl amigo role diff`.

mod change;
mod current;
mod render;

use std::collections::BTreeMap;

use amigo_api::{Role, Stored};
use clap::Args;
use kube::{Api, ResourceExt as _};

use self::{
    change::{Change, OrganizationContext},
    current::{CurrentRole, SyncState},
};
use super::read_role;
use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    manifests::{FileOptions, Manifests},
    output::{OutputFormat, OutputOptions, formats, render},
};

/// Compare roles with Amigo, or files with the cluster
///
/// With NAME, shows the desired role, and whether the role at Amigo is in sync according to the operator. With -f, shows
/// the changes to the objects in the cluster, the effect at Amigo, and the permissions that a role gains or loses.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json])))]
#[command(after_help = "Examples:
  # Check whether the role at Amigo is in sync with its object
  kubectl amigo role diff content-moderator

  # Show what applying files would change
  kubectl amigo role diff -f roles/

  # Print the changes as JSON
  kubectl amigo role diff -f roles/content-moderator.yaml -o json

Exit codes: 0 no difference, 1 differences, 2 wrong usage or an error, 3 missing rights.")]
pub struct Arguments {
    /// The name of a Role.
    #[arg(required_unless_present = "files", conflicts_with = "files")]
    name: Option<String>,
    #[command(flatten)]
    files: FileOptions,
    /// JSON is an object for a NAME and a list for files.
    #[command(flatten)]
    output: OutputOptions,
}

/// The exit code 1 means differences, so failures end with 2.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let format = arguments.output.format();
    let exit = match &arguments.name {
        Some(name) => diff_current(name, format, session).await,
        None => diff_files(&arguments.files, format, session).await,
    };
    exit.map_err(|failure| match failure.exit {
        Exit::Failed => Failure { exit: Exit::Usage, ..failure },
        _ => failure,
    })
}

async fn diff_current(name: &str, format: OutputFormat, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let role = read_role(&kubernetes, name).await?;
    let context = OrganizationContexts::default().get(&role, &kubernetes, session).await?;
    let current = CurrentRole::new(&role, &context);
    session.console.data(&render(&current, format, CurrentRole::to_text)?)?;
    Ok(if current.state.in_sync { Exit::Granted } else { Exit::Failed })
}

async fn diff_files(files: &FileOptions, format: OutputFormat, session: &mut Session) -> Result<Exit, Failure> {
    let manifests = Manifests::read(files)?;
    manifests.require_roles(files)?;
    let kubernetes = session.kubernetes().await?;
    let mut contexts = OrganizationContexts::default();
    let mut changes = Vec::new();
    for manifest in &manifests.roles {
        let mut after = manifest.object.clone();
        after.metadata.namespace.get_or_insert_with(|| kubernetes.namespace.clone());
        let before = applied_role(&after, &kubernetes).await?;
        if let Some(before) = &before {
            warn_if_not_in_sync(before, session);
        }
        let context = contexts.get(&after, &kubernetes, session).await?;
        changes.push(Change::new(before.as_ref(), &after, &context));
    }
    let to_text = |changes: &[Change]| changes.iter().map(Change::to_text).collect();
    session.console.data(&render(&changes[..], format, to_text)?)?;
    Ok(if changes.iter().any(Change::differs) { Exit::Failed } else { Exit::Granted })
}

/// The object that applying a manifest would change.
async fn applied_role(role: &Role, kubernetes: &Kubernetes) -> Result<Option<Role>, Failure> {
    let (namespace, name) = (role.namespace().unwrap_or_default(), role.name_any());
    let api: Api<Stored<Role>> = Api::namespaced(kubernetes.client.clone(), &namespace);
    kubernetes.find(&api, &name, &format!("read Role {namespace}/{name}")).await
}

/// Reads each Organization once.
#[derive(Default)]
struct OrganizationContexts(BTreeMap<String, OrganizationContext>);

impl OrganizationContexts {
    async fn get(
        &mut self,
        role: &Role,
        kubernetes: &Kubernetes,
        session: &mut Session,
    ) -> Result<OrganizationContext, Failure> {
        let name = &role.spec.organization_ref.name;
        if let Some(context) = self.0.get(name) {
            return Ok(context.clone());
        }
        let all = kubernetes.all_organizations();
        let organization = kubernetes.find(&all, name, &format!("read Organization {name}")).await?;
        if organization.is_none() {
            session.console.warn(&format!("Organization {name} does not exist; showing the grants of the spec"));
        }
        let context = organization.as_ref().map(OrganizationContext::new).unwrap_or_default();
        self.0.insert(name.clone(), context.clone());
        Ok(context)
    }
}

/// The comparison is with the object. The role at Amigo may differ from it.
fn warn_if_not_in_sync(before: &Role, session: &mut Session) {
    let state = SyncState::new(before);
    if !state.in_sync {
        let name = before.name_any();
        session.console.warn(&format!("Role {name} is not in sync with Amigo: {}", state.to_text()));
    }
}

#[cfg(test)]
mod tests;
