//! `kubectl amigo role export`: roles that are at Amigo as manifests that take them over.

mod manifest;

use amigo_api::Organization;
use amigo_client::{PermissionModel, RemoteRole, permission_model};
use clap::Args;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use self::manifest::{Exported, Names, export};
use crate::{
    Exit, Failure, Session,
    output::{self, OutputFormat, OutputOptions, formats},
    remote,
};

/// Print roles that are at Amigo as manifests ready for adoption.
///
/// Applied, such a manifest takes the role over as it is: nothing changes at Amigo. Amigo's own roles, named Default*,
/// are left out. This asks Amigo itself, with the API key of the Organization: it needs `get` on its Secret in the
/// operator's namespace.
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Yaml, OutputFormat::Json])))]
#[command(after_help = "Examples:
  # all roles of an organization, one document each
  kubectl amigo role export -e acme > roles.yaml
  # one role, applied at once
  kubectl amigo role export -e acme content_moderator | kubectl apply -n team -f -

Exit codes: 0 all was printed, 1 some roles could not be, 3 the Secret may not be read or Amigo refuses.")]
pub struct Arguments {
    /// The role's name at Amigo; without it, all roles.
    #[arg(value_name = "NAME")]
    role: Option<String>,
    /// The Organization.
    #[arg(long, short, value_name = "ENV")]
    env: String,
    /// YAML has one document for each role, JSON an object or a List.
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let organization = kubernetes.organization(&arguments.env).await?;
    let client = session.amigo(&kubernetes, &organization).await?;
    let doing = format!("list the roles of {}", arguments.env);
    let listed = client.roles().await.map_err(|error| remote::failure(&doing, &error))?;
    let roles = match &arguments.role {
        Some(name) => vec![named(&listed, name, &arguments.env)?],
        None => present(&listed),
    };
    let model = model(&organization, &listed);
    let place = Place { organization: organization.name_any(), namespace: session.options.namespace.clone(), model };
    let mut printed = Vec::new();
    let mut names = Names::default();
    let (mut own, mut failed) = (0, 0);
    for role in roles {
        match export(role, &place, &mut names) {
            Ok(exported) => printed.push(told(exported, session)),
            Err(manifest::Refusal::Own) => own += 1,
            Err(manifest::Refusal::Unmanageable(why)) => {
                failed += 1;
                session.console.warn(&format!("role {} is left out: {why}", role.name));
            }
        }
    }
    if own > 0 {
        session.console.tell(&format!("{own} of Amigo's own roles, named Default*, are left out"));
    }
    session.console.data(&text(&printed, arguments.output.format(), arguments.role.is_some())?)?;
    Ok(if failed == 0 { Exit::Granted } else { Exit::Failed })
}

/// Where manifests are for.
struct Place {
    organization: String,
    /// Written into the manifest where the user names one.
    namespace: Option<String>,
    model: PermissionModel,
}

/// What the organization's API understands, as the operator finds out.
fn model(organization: &Organization, listed: &[RemoteRole]) -> PermissionModel {
    organization.spec.permission_model.or_detected(permission_model(listed))
}

/// One document a name, by name: for a day after a change Amigo may list two, the newer one last.
fn present(listed: &[RemoteRole]) -> Vec<&RemoteRole> {
    let newest =
        |(index, role): &(usize, &RemoteRole)| !listed[index + 1..].iter().any(|later| later.name == role.name);
    let mut roles: Vec<_> = listed.iter().enumerate().filter(newest).map(|(_, role)| role).collect();
    roles.sort_by(|first, second| first.name.cmp(&second.name));
    roles
}

fn named<'a>(listed: &'a [RemoteRole], name: &str, organization: &str) -> Result<&'a RemoteRole, Failure> {
    if name.starts_with("Default") {
        let message = format!("role {name} is one of Amigo's own, which no Role can manage");
        return Err(Failure::refused(message).advise("export a role that your organization made"));
    }
    let mut present = present(listed);
    present.retain(|role| !role.name.starts_with("Default"));
    present.iter().copied().find(|role| role.name == name).ok_or_else(|| {
        let names: Vec<_> = present.iter().map(|role| role.name.as_str()).collect();
        Failure::failed(format!("role {name} does not exist in {organization}, or the operator's user may not see it"))
            .advise(format!("there are: {}", names.join(", ")))
    })
}

fn told(exported: Exported, session: &mut Session) -> Value {
    for remark in &exported.remarks {
        session.console.warn(remark);
    }
    exported.manifest
}

fn text(manifests: &[Value], format: OutputFormat, single: bool) -> Result<String, Failure> {
    match (format, manifests) {
        (OutputFormat::Json, [only]) if single => output::json(only),
        (OutputFormat::Json, all) => output::json(&json!({ "apiVersion": "v1", "kind": "List", "items": all })),
        (_, all) => Ok(all.iter().map(output::yaml).collect::<Result<Vec<_>, _>>()?.join("---\n")),
    }
}

#[cfg(test)]
mod tests;
