//! `kubectl amigo role export`.

mod manifest;

use amigo_api::Organization;
use amigo_client::{PermissionModel, RemoteRole, permission_model};
use clap::Args;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use self::manifest::{ObjectNames, Omission, Target, export};
use crate::{
    Exit, Failure, Session,
    output::{self, OutputFormat, OutputOptions, formats},
    remote,
};

/// Print roles at Amigo as manifests that adopt them
///
/// Applying such a manifest adopts the role without a change at Amigo. The command omits the built-in roles, named
/// Default*. It calls Amigo with the API key of the Organization, so you need `get` on its Secret in the operator's
/// namespace.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Yaml, OutputFormat::Json])))]
#[command(after_help = "Examples:
  # Export all roles of an organization
  kubectl amigo role export --organization acme > roles.yaml

  # Adopt one role
  kubectl amigo role export --organization acme content_moderator | kubectl apply -n team -f -

Exit codes: 0 all roles exported, 1 a role has no manifest or does not exist, 3 missing rights.")]
pub struct Arguments {
    /// The role's name at Amigo. Default: all roles.
    #[arg(value_name = "NAME")]
    role: Option<String>,
    /// The Organization.
    #[arg(long, visible_alias = "env", short = 'e', value_name = "NAME")]
    organization: String,
    /// YAML has one document for each role, JSON an object or a List.
    #[command(flatten)]
    output: OutputOptions,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let organization = kubernetes.organization(&arguments.organization).await?;
    let client = session.amigo(&kubernetes, &organization).await?;
    let action = format!("list the roles of {}", arguments.organization);
    let listed = remote::call(&mut session.console, async || client.roles().await).await;
    let listed = listed.map_err(|error| remote::failure(&action, &error))?;
    let roles = match &arguments.role {
        Some(name) => vec![role_by_name(&listed, name, &arguments.organization)?],
        None => current_roles(&listed),
    };
    let model = model(&organization, &listed);
    let target = Target { organization: organization.name_any(), namespace: session.options.namespace.clone(), model };
    let mut manifests = Vec::new();
    let mut names = ObjectNames::default();
    let (mut built_in, mut failed) = (0, 0);
    for role in roles {
        match export(role, &target, &mut names) {
            Ok(exported) => {
                exported.warnings.iter().for_each(|warning| session.console.warn(warning));
                manifests.push(exported.manifest);
            }
            Err(Omission::BuiltIn) => built_in += 1,
            Err(Omission::Unsupported(reason)) => {
                failed += 1;
                session.console.warn(&format!("cannot export role {}: {reason}", role.name));
            }
        }
    }
    if built_in > 0 {
        session.console.report(&format!("omitted {built_in} built-in roles, named Default*"));
    }
    session.console.data(&render(&manifests, arguments.output.format(), arguments.role.is_some())?)?;
    Ok(if failed == 0 { Exit::Granted } else { Exit::Failed })
}

/// The permission model, detected as the operator detects it.
fn model(organization: &Organization, listed: &[RemoteRole]) -> PermissionModel {
    organization.spec.permission_model.or_detected(permission_model(listed))
}

/// The newest document of each name, sorted by name. For a day after a change, Amigo may list two, the newer one last.
fn current_roles(listed: &[RemoteRole]) -> Vec<&RemoteRole> {
    let newest =
        |(index, role): &(usize, &RemoteRole)| !listed[index + 1..].iter().any(|later| later.name == role.name);
    let mut roles: Vec<_> = listed.iter().enumerate().filter(newest).map(|(_, role)| role).collect();
    roles.sort_by(|first, second| first.name.cmp(&second.name));
    roles
}

fn role_by_name<'a>(listed: &'a [RemoteRole], name: &str, organization: &str) -> Result<&'a RemoteRole, Failure> {
    if name.starts_with("Default") {
        let message = format!("role {name} is a built-in role, which no Role can manage");
        return Err(Failure::refused(message).advise("choose a role of your organization"));
    }
    let mut roles = current_roles(listed);
    roles.retain(|role| !role.name.starts_with("Default"));
    roles.iter().copied().find(|role| role.name == name).ok_or_else(|| {
        let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        Failure::failed(format!(
            "role {name} does not exist in {organization}, or is not visible to the operator's user"
        ))
        .advise(format!("available roles: {}", names.join(", ")))
    })
}

fn render(manifests: &[Value], format: OutputFormat, single: bool) -> Result<String, Failure> {
    match (format, manifests) {
        (OutputFormat::Json, [only]) if single => output::json(only),
        (OutputFormat::Json, all) => output::json(&json!({ "apiVersion": "v1", "kind": "List", "items": all })),
        (_, all) => Ok(all.iter().map(output::yaml).collect::<Result<Vec<_>, _>>()?.join("---\n")),
    }
}

#[cfg(test)]
mod tests;
