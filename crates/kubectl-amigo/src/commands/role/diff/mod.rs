//! `kubectl amigo role diff`: what a Role asks for at Amigo, and what applying another would change.

mod change;
mod live;
mod told;

use std::collections::BTreeMap;

use amigo_api::{Organization, Role};
use clap::Args;
use kube::{Api, ResourceExt as _};

use self::{
    change::{Change, Setting},
    live::Live,
};
use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    manifests::{FileOptions, Manifests},
    output::{OutputFormat, OutputOptions, formats, render},
};

/// Show what a role in the cluster asks for at Amigo, or what applying files would change.
///
/// For a NAME: whether the role at Amigo is as the spec says, by the operator's account, and what the spec asks for.
/// With -f: what differs from the object in the cluster, whether that makes a new role document at Amigo, and what the
/// role would newly allow or no longer allow.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json])))]
#[command(after_help = "Examples:
  # is the role at Amigo as its object says?
  kubectl amigo role diff content-moderator
  # what would applying these change?
  kubectl amigo role diff -f roles/
  # for a program
  kubectl amigo role diff -f roles/content-moderator.yaml -o json

Exit codes: 0 no difference, 1 differences, 2 wrong usage or trouble, 3 rights are missing.")]
pub struct Arguments {
    /// The Role object.
    #[arg(required_unless_present = "files", conflicts_with = "files")]
    name: Option<String>,
    #[command(flatten)]
    files: FileOptions,
    /// JSON is an object for a NAME and a list for files.
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know. As 1 says that something differs, trouble is 2.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let format = arguments.output.format();
    let compared = match &arguments.name {
        Some(name) => of_object(name, format, session).await,
        None => of_files(&arguments.files, format, session).await,
    };
    compared.map_err(|failure| match failure.exit {
        Exit::Failed => Failure { exit: Exit::Usage, ..failure },
        _ => failure,
    })
}

async fn of_object(name: &str, format: OutputFormat, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let doing = format!("read Role {name}");
    let role = kubernetes.api::<Role>().get(name).await.map_err(|error| Failure::of_kube(&doing, &error))?;
    let setting = Settings::default().of(&role, &kubernetes, session).await?;
    let live = Live::of(&role, &setting);
    session.console.data(&render(&live, format, Live::told)?)?;
    Ok(if live.standing.in_sync { Exit::Granted } else { Exit::Failed })
}

async fn of_files(files: &FileOptions, format: OutputFormat, session: &mut Session) -> Result<Exit, Failure> {
    let manifests = Manifests::read(files)?;
    manifests.require_roles(files)?;
    let kubernetes = session.kubernetes().await?;
    let mut settings = Settings::default();
    let mut changes = Vec::new();
    for manifest in &manifests.roles {
        let after = placed(manifest.object.clone(), &kubernetes);
        let before = there(&after, &kubernetes).await?;
        if let Some(before) = &before {
            warn_of_drift(before, session);
        }
        let setting = settings.of(&after, &kubernetes, session).await?;
        changes.push(Change::between(before.as_ref(), &after, &setting));
    }
    let told = |changes: &Vec<Change>| changes.iter().map(Change::told).collect();
    session.console.data(&render(&changes, format, told)?)?;
    Ok(if changes.iter().any(Change::differs) { Exit::Failed } else { Exit::Granted })
}

/// The Role in the namespace where it would be applied.
fn placed(mut role: Role, kubernetes: &Kubernetes) -> Role {
    role.metadata.namespace.get_or_insert_with(|| kubernetes.namespace.clone());
    role
}

/// The object that applying would change.
async fn there(role: &Role, kubernetes: &Kubernetes) -> Result<Option<Role>, Failure> {
    let (namespace, name) = (role.namespace().unwrap_or_default(), role.name_any());
    let api: Api<Role> = Api::namespaced(kubernetes.client.clone(), &namespace);
    api.get_opt(&name).await.map_err(|error| Failure::of_kube(&format!("read Role {namespace}/{name}"), &error))
}

/// The settings of the Organizations looked at so far.
#[derive(Default)]
struct Settings(BTreeMap<String, Setting>);

impl Settings {
    /// What is known of a role's organization; a missing Organization is told, and less is said without it.
    async fn of(&mut self, role: &Role, kubernetes: &Kubernetes, session: &mut Session) -> Result<Setting, Failure> {
        let name = &role.spec.organization_ref.name;
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        let api: Api<Organization> = Api::all(kubernetes.client.clone());
        let doing = format!("read Organization {name}");
        let organization = api.get_opt(name).await.map_err(|error| Failure::of_kube(&doing, &error))?;
        if organization.is_none() {
            session.console.warn(&format!("Organization {name} does not exist: grants are shown as they are written"));
        }
        let setting = organization.as_ref().map(Setting::of).unwrap_or_default();
        self.0.insert(name.clone(), setting.clone());
        Ok(setting)
    }
}

/// What is compared with is the object, which the role at Amigo need not be like.
fn warn_of_drift(before: &Role, session: &mut Session) {
    let standing = live::LiveState::of(before);
    if !standing.in_sync {
        let name = before.name_any();
        session.console.warn(&format!("Role {name} in the cluster may not be what is at Amigo: {}", standing.told()));
    }
}

#[cfg(test)]
mod tests;
