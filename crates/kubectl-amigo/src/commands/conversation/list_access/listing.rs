//! The list that the options select, and how to print it.

use amigo_api::{Organization, Stored, TemporaryPermissionGrant};
use kube::{Api, ResourceExt as _};

use super::{
    rows::{self, Row, Selection},
    table::{self, Shape},
};
use crate::{
    Exit, Failure, Session,
    identity::EMAIL_VARIABLE,
    kubernetes::Kubernetes,
    output::{self, OutputFormat},
};

/// The options, resolved.
pub struct Listing {
    pub selection: Selection,
    /// `None` if the user may not read it.
    pub organization: Option<Organization>,
    /// Whether to add the grants that Amigo lists.
    pub remote: bool,
    pub format: OutputFormat,
    pub shape: Shape,
    pub api: Api<Stored<TemporaryPermissionGrant>>,
    /// The listed namespaces, for messages.
    pub scope: String,
}

/// The Organization's name, and the object if the user may read it: the name is enough to list requests.
pub async fn organization(
    name: Option<&str>,
    kubernetes: &Kubernetes,
    session: &mut Session,
) -> Result<(String, Option<Organization>), Failure> {
    if let Some(name) = name {
        return match kubernetes.organization(name).await {
            Ok(organization) => Ok((name.to_owned(), Some(organization))),
            Err(failure) if failure.exit == Exit::Refused => {
                session.console.warn(&format!("{}; cannot check that the Organization exists", failure.message));
                Ok((name.to_owned(), None))
            }
            Err(failure) => Err(failure),
        };
    }
    let only = kubernetes.only_organization().await?;
    session.console.report(&format!("Using Organization {}, the only one.", only.name_any()));
    Ok((only.name_any(), Some(only)))
}

pub async fn own_email(kubernetes: &Kubernetes) -> Result<String, Failure> {
    let identity = kubernetes.whoami().await?;
    identity.email().map(str::to_owned).map_err(|failure| {
        failure.advise(format!(
            "set {EMAIL_VARIABLE} to your email address at Amigo, or list the access of all users with --all"
        ))
    })
}

impl Listing {
    pub fn print(&self, rows: &mut [Row], session: &mut Session) -> Result<(), Failure> {
        let now = session.clock.now();
        rows::sort(rows, now);
        if rows.is_empty() && matches!(self.format, OutputFormat::Table | OutputFormat::Wide) {
            session.console.report(&self.empty());
            return Ok(());
        }
        let records: Vec<_> = rows.iter().map(|row| row.record(now)).collect();
        let text = output::render(&records, self.format, |_| table::table(rows, self.shape, now))?;
        Ok(session.console.data(&text)?)
    }

    fn empty(&self) -> String {
        let Selection { organization, email, expired } = &self.selection;
        let what = if *expired { "access" } else { "live access" };
        let of = email.as_ref().map_or_else(String::new, |email| format!(" of {email}"));
        format!("No {what}{of} to Organization {organization} in {}.", self.scope)
    }
}
