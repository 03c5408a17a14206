//! `kubectl amigo can-i`.

mod attributes;
mod inventory;
mod report;
mod subject;
mod unknown_user;

use amigo_api::UserReference;
use amigo_permissions::Value;
use clap::Args;

use self::{
    inventory::{Inventory, read_organization},
    report::{Report, parse_permission},
    subject::{Subject, SubjectQuery, select_role},
};
use crate::{
    Exit, Failure, Session,
    manifests::FileOptions,
    output::{OutputFormat, OutputOptions, formats},
};

/// Check whether a user has a permission, and explain the result
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json])))]
#[command(after_help = "\
Examples:
  # Check whether you can read messages of another user's conversations
  kubectl amigo can-i Conversation:GetMessage --attr conversation_user_id=user-owner-7f3a

  # Check another user
  kubectl amigo can-i Conversation:GetMessage --user dana@example.com --attr conversation_user_id={self}

  # Check a role in a file that is not applied yet, without a cluster
  kubectl amigo can-i Conversation:CreateConversation -f examples/role-viewer.yaml

Exit codes: 0 allowed, 1 denied or unknown, 2 wrong usage or invalid files, 3 missing rights in the cluster.

Without -f, the command reads the Roles, RoleAssignments and active TemporaryPermissionGrants of the namespace, and
the Organization. It fails if no object describes the role. With -f, the command needs no cluster and treats all
temporary grants in the files as active.")]
pub struct Arguments {
    /// The permission, as Category:Action, for example Conversation:GetMessage.
    pub permission: String,
    /// Check this role instead of the user's: the name of a Role object, or of the role at Amigo. Temporary grants
    /// count only with --user.
    #[arg(long, value_name = "NAME")]
    pub as_role: Option<String>,
    #[command(flatten)]
    pub files: FileOptions,
    /// The user, by e-mail address or id. Default: you; with -f, any user.
    #[arg(long, value_name = "EMAIL|ID")]
    pub user: Option<String>,
    /// The id of the user, for {self}, if no object contains it.
    #[arg(long, value_name = "ID")]
    pub user_id: Option<String>,
    /// The organization's id at Amigo, for {self_org_id}. Default: the id in the Organization.
    #[arg(long, value_name = "ID")]
    pub org_id: Option<String>,
    /// An attribute of the resource. Repeatable. true, false and numbers keep their type; quotes make a string:
    /// 'k="true"'. {self}, {self_org_id} and {self_role_name} stand for the user's values. org_id defaults to the
    /// user's organization.
    #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = attributes::parse)]
    pub attributes: Vec<(String, Value)>,
    /// The Organization, if there are several.
    #[arg(long, visible_alias = "env", short = 'e', value_name = "NAME")]
    pub organization: Option<String>,
    #[command(flatten)]
    pub output: OutputOptions,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let permission = parse_permission(&arguments.permission)?;
    let subject = if arguments.files.files.is_empty() {
        subject_in_cluster(&arguments, session).await?
    } else {
        let inventory = Inventory::from_files(&arguments.files)?;
        let query = arguments.query();
        let selection = select_role(&inventory, &query)?;
        let organization = inventory.organization(&selection.role.object().spec.organization_ref);
        Subject::new(&inventory, &query, &selection, organization)
    };
    let report = Report::new(&subject, &permission, &arguments.attributes)?;
    report.print(arguments.output.format(), &mut session.console)
}

async fn subject_in_cluster(arguments: &Arguments, session: &Session) -> Result<Subject, Failure> {
    let kubernetes = session.kubernetes().await?;
    let mut query = arguments.query();
    if query.user.is_none() && query.as_role.is_none() {
        let identity = kubernetes.whoami().await?;
        let email = identity
            .email()
            .map_err(|failure| failure.advise("choose a user with --user, or a role with --as-role"))?;
        query.user = Some(UserReference { email: Some(email.to_owned()), user_id: None });
    }
    let inventory = Inventory::from_cluster(&kubernetes, query.user.is_some(), session.clock.now()).await?;
    let selection = select_role(&inventory, &query)?;
    let organization = read_organization(&kubernetes, selection.role.object(), query.org_id.is_some()).await?;
    Ok(Subject::new(&inventory, &query, &selection, organization.as_ref()))
}

impl Arguments {
    fn query(&self) -> SubjectQuery {
        let user = self.user.clone().map(|user| {
            let (email, user_id) = if user.contains('@') { (Some(user), None) } else { (None, Some(user)) };
            UserReference { email, user_id }
        });
        SubjectQuery {
            user,
            user_id: self.user_id.clone(),
            org_id: self.org_id.clone(),
            as_role: self.as_role.clone(),
            organization: self.organization.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
