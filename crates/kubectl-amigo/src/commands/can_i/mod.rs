//! `kubectl amigo can-i`.

mod answer;
mod attributes;
mod subject;
mod whoever;
mod world;

use amigo_api::UserReference;
use amigo_permissions::Value;
use clap::Args;

use self::subject::{Subject, Wish, choose};
use crate::{
    Exit, Failure, Session,
    manifests::FileOptions,
    output::{OutputFormat, OutputOptions, formats},
};

/// Check whether a user may do something, and say why
#[derive(Args, Debug)]
#[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json])))]
#[command(after_help = "\
Examples:
  # May I read messages of this user's conversations?
  kubectl amigo can-i Conversation:GetMessage --attr conversation_user_id=user-owner-7f3a

  # May another user?
  kubectl amigo can-i Conversation:GetMessage --user dana@example.com --attr conversation_user_id={self}

  # What would a role allow? Without a cluster, from a file that is not applied yet:
  kubectl amigo can-i Conversation:CreateConversation -f examples/role-viewer.yaml

Exit codes: 0 allowed, 1 denied or not known, 2 wrong usage or wrong files, 3 the cluster refused to say.

Without -f the Roles, RoleAssignments and live TemporaryPermissionGrants of the namespace are looked at, and the
Organization. What a role allows that no object describes is never guessed. With -f no cluster is asked, and
all temporary grants of the files count as live.")]
pub struct Arguments {
    /// What to do, as Category:Action, such as Conversation:GetMessage.
    pub permission: String,
    /// Look at this role (a Role object's name, or the role's name at Amigo), not at the user's own. Temporary
    /// grants then count only for the user of --user.
    #[arg(long, value_name = "NAME")]
    pub as_role: Option<String>,
    /// Manifests to look at in place of the cluster.
    #[command(flatten)]
    pub files: FileOptions,
    /// The user, by e-mail or id. Default: you; with -f nobody in particular.
    #[arg(long, value_name = "EMAIL|ID")]
    pub user: Option<String>,
    /// The id of a user named by e-mail, for {self}, where no object tells it.
    #[arg(long, value_name = "ID")]
    pub user_id: Option<String>,
    /// The organization's id at Amigo, for {self_org_id}. Default: the Organization's.
    #[arg(long, value_name = "ID")]
    pub org: Option<String>,
    /// What it is about, may be repeated: true, false and numbers are what they look like, all else is text, and
    /// quotes make text: 'k="true"'. {self}, {self_org_id} and {self_role_name} stand for the user's own.
    /// org_id is the user's organization unless given.
    #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = attributes::parse)]
    pub attributes: Vec<(String, Value)>,
    /// The Organization, where there are several.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    pub environment: Option<String>,
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let permission = answer::permission(&arguments.permission)?;
    let subject = if arguments.files.files.is_empty() {
        live(&arguments, session).await?
    } else {
        let (world, organizations) = world::of_files(&arguments.files)?;
        let wish = arguments.wish();
        let choice = choose(&world, &wish)?;
        let organization = world::organization_of(&organizations, choice.role.object());
        Subject::new(&world, &wish, &choice, organization)
    };
    let answer = answer::Answer::new(&subject, &permission, &arguments.attributes)?;
    answer.print(arguments.output.format(), &mut session.console)
}

async fn live(arguments: &Arguments, session: &Session) -> Result<Subject, Failure> {
    let kubernetes = session.kubernetes().await?;
    let mut wish = arguments.wish();
    if wish.user.is_none() && wish.as_role.is_none() {
        let identity = kubernetes.whoami().await?;
        let email = identity
            .email()
            .map_err(|failure| failure.advise("name the user with --user, or a role with --as-role"))?;
        wish.user = Some(UserReference { email: Some(email.to_owned()), user_id: None });
    }
    let world = world::of_cluster(&kubernetes, wish.user.is_some(), session.clock.now()).await?;
    let choice = choose(&world, &wish)?;
    let organization = world::organization(&kubernetes, choice.role.object(), wish.org_id.is_some()).await?;
    Ok(Subject::new(&world, &wish, &choice, organization.as_ref()))
}

impl Arguments {
    fn wish(&self) -> Wish {
        let user = self.user.clone().map(|user| {
            let (email, user_id) = if user.contains('@') { (Some(user), None) } else { (None, Some(user)) };
            UserReference { email, user_id }
        });
        Wish {
            user,
            user_id: self.user_id.clone(),
            org_id: self.org.clone(),
            as_role: self.as_role.clone(),
            environment: self.environment.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
