//! `kubectl amigo conversation list-access`.

mod beyond;
mod follow;
mod rows;
mod table;
mod watch;

use amigo_api::{Organization, TemporaryPermissionGrant};
use clap::Args;
use kube::{Api, ResourceExt as _, api::ListParams};
use rows::{Row, Selection, hint};
use table::Shape;

use crate::{
    Exit, Failure, Session,
    kubernetes::Kubernetes,
    output::{self, OutputFormat, OutputOptions, formats},
};

const FORMATS: &[OutputFormat] =
    &[OutputFormat::Table, OutputFormat::Wide, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];

/// List temporary access
///
/// Lists your own live access in the namespace, one line for each record at Amigo. With --all or --show-expired, what
/// Amigo itself lists is added, where you may read the Secret of the Organization.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
#[command(mut_arg("output", formats(FORMATS)))]
#[command(after_help = "Examples:
  kubectl amigo conversation list-access -e production
  kubectl amigo conversation list-access -e production --all --show-expired
  kubectl amigo conversation list-access -e production --json
  kubectl amigo conversation list-access -e production -A --all --watch

Needs: list on temporarypermissiongrants (and watch, with --watch); get on organizations; with --all or --show-expired,
for what Amigo itself lists: get on the Organization's Secret in the operator's namespace.
Exit codes: 0 listed, also when there is nothing, 1 failed, 3 not permitted.")]
pub struct Arguments {
    /// The Organization, by name; may be left out where there is only one.
    #[arg(long, short, value_name = "ENV")]
    env: Option<String>,
    /// Everybody's access, not only your own.
    #[arg(long)]
    all: bool,
    /// Access that has ended as well: of requests that are still kept, and what Amigo keeps longer.
    #[arg(long)]
    show_expired: bool,
    /// Go on and print what changes, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
    /// The requests of all namespaces, whatever namespace is named.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    #[command(flatten)]
    output: OutputOptions,
}

/// What was asked for, settled.
struct Listing {
    selection: Selection,
    /// The Organization, where it could be read.
    organization: Option<Organization>,
    /// Whether what Amigo itself lists is wanted.
    beyond: bool,
    format: OutputFormat,
    shape: Shape,
    api: Api<TemporaryPermissionGrant>,
    /// Where requests are looked for, in words.
    place: String,
}

/// Runs the command.
///
/// # Errors
/// What the user must know.
pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Exit, Failure> {
    let kubernetes = session.kubernetes().await?;
    let listing = settle(&arguments, &kubernetes, session).await?;
    if arguments.watch {
        return watch::run(&listing, &kubernetes, session).await;
    }
    let listed = listing.api.list(&ListParams::default()).await;
    let objects = listed.map_err(|error| Failure::of_kube("list requests for access", &error))?.items;
    let found = listing.selection.of(&objects);
    if listing.format == OutputFormat::Name {
        let listed = found.into_iter().filter(|object| listing.selection.lists(object));
        let names: String = listed.map(|object| output::name(object) + "\n").collect();
        session.console.data(&names)?;
        return Ok(Exit::Granted);
    }
    let mut rows = listing.selection.rows(&found, session.clock.now());
    rows.extend(listing.beyond(&kubernetes, (&objects, &rows), session).await);
    listing.print(&mut rows, session)?;
    for hint in found.iter().copied().filter_map(hint) {
        session.console.tell(&hint);
    }
    Ok(Exit::Granted)
}

async fn settle(arguments: &Arguments, kubernetes: &Kubernetes, session: &mut Session) -> Result<Listing, Failure> {
    let &Arguments { ref env, all, show_expired, watch: _, all_namespaces, output } = arguments;
    let format = output.format();
    let (organization, read) = organization(env.as_deref(), kubernetes, session).await?;
    let email = if all { None } else { Some(own_email(kubernetes).await?) };
    let beyond = all || show_expired;
    let shape = Shape { namespace: all_namespaces, source: beyond, wide: format == OutputFormat::Wide };
    Ok(Listing {
        selection: Selection { organization, email, expired: show_expired },
        organization: read,
        beyond,
        format,
        shape,
        api: if all_namespaces { Api::all(kubernetes.client.clone()) } else { kubernetes.api() },
        place: if all_namespaces { "any namespace".to_owned() } else { format!("namespace {}", kubernetes.namespace) },
    })
}

/// The Organization's name, and the object where it may be read: a name is enough to list requests.
async fn organization(
    env: Option<&str>,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Result<(String, Option<Organization>), Failure> {
    if let Some(name) = env {
        return match kubernetes.organization(name).await {
            Ok(organization) => Ok((name.to_owned(), Some(organization))),
            Err(failure) if failure.exit == Exit::Refused => {
                session
                    .console
                    .warn(&format!("{}; whether there is such an Organization is not checked", failure.message));
                Ok((name.to_owned(), None))
            }
            Err(failure) => Err(failure),
        };
    }
    let only = kubernetes.only_organization().await?;
    session.console.tell(&format!("Listing access to Organization {}, the only one.", only.name_any()));
    Ok((only.name_any(), Some(only)))
}

async fn own_email(kubernetes: &Kubernetes) -> Result<String, Failure> {
    let identity = kubernetes.whoami().await?;
    identity.email().map(str::to_owned).map_err(|failure| {
        let variable = crate::identity::EMAIL_VARIABLE;
        failure.advise(format!("set {variable} to your address at Amigo, or list everybody's access with --all"))
    })
}

impl Listing {
    fn print(&self, rows: &mut [Row], session: &mut Session) -> Result<(), Failure> {
        let now = session.clock.now();
        rows::sort(rows, now);
        if rows.is_empty() && self.is_table() {
            session.console.tell(&self.nothing());
            return Ok(());
        }
        let records: Vec<_> = rows.iter().map(|row| row.record(now)).collect();
        let text = output::render(&records, self.format, |_| table::table(rows, self.shape, now))?;
        Ok(session.console.data(&text)?)
    }

    fn is_table(&self) -> bool {
        matches!(self.format, OutputFormat::Table | OutputFormat::Wide)
    }

    /// What an empty table means.
    fn nothing(&self) -> String {
        let Selection { organization, email, expired } = &self.selection;
        let what = if *expired { "access" } else { "live access" };
        let of = email.as_ref().map_or_else(String::new, |email| format!(" of {email}"));
        format!("No {what}{of} to Organization {organization} in {}.", self.place)
    }
}
