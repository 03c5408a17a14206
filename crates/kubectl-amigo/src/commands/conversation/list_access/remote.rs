//! Grants that Amigo lists and no request in this cluster explains.

use std::collections::BTreeMap;

use amigo_api::TemporaryPermissionGrant;
use amigo_client::{Client, Error, GrantFilter, RemoteGrant};
use futures::future::join_all;

use super::{
    listing::Listing,
    rows::{Row, unexplained},
};
use crate::{Failure, Session, kubernetes::Kubernetes, remote};

/// Enough for a person to read; Amigo lists ten a page.
const MAX_GRANTS: usize = 200;

impl Listing {
    /// The rows that only Amigo lists, if wanted; warns when Amigo cannot be called.
    pub(super) async fn remote_rows(
        &self,
        kubernetes: &Kubernetes,
        (objects, rows): (&[TemporaryPermissionGrant], &[Row]),
        session: &mut Session,
    ) -> Vec<Row> {
        let Some(organization) = self.organization.as_ref().filter(|_| self.remote) else { return Vec::new() };
        session.console.progress("calling Amigo…");
        let listed = async {
            let client = session.amigo(kubernetes, organization).await?;
            let doing = format!("list the grants of Organization {}", self.selection.organization);
            let listed = remote::call(&mut session.console, async || self.list_grants(&client, objects).await).await;
            listed.map_err(|error| remote::failure(&doing, &error))
        };
        match listed.await {
            Ok(grants) => grants.into_rows(rows, session),
            Err(Failure { message, advice, .. }) => {
                let advice = advice.map(|advice| format!("\n{advice}")).unwrap_or_default();
                session.console.warn(&format!("the list contains only requests in this cluster: {message}{advice}"));
                Vec::new()
            }
        }
    }

    async fn list_grants(&self, client: &Client, objects: &[TemporaryPermissionGrant]) -> Result<RemoteGrants, Error> {
        let mut emails: BTreeMap<String, String> = objects.iter().filter_map(user_id_and_email).collect();
        let mut filter = GrantFilter {
            is_expired: if self.selection.expired { None } else { Some(false) },
            ..GrantFilter::default()
        };
        if let Some(email) = &self.selection.email {
            let Some(user) = client.user_by_email(email).await? else {
                return Ok(RemoteGrants { unknown_user: Some(email.clone()), ..RemoteGrants::default() });
            };
            filter.user_ids = vec![user.user_id.clone()];
            emails.insert(user.user_id, user.email);
        }
        let (grants, complete) = client.latest_grants(&filter, MAX_GRANTS).await?;
        let mut unknown: Vec<_> = grants.iter().map(|grant| &grant.user_id).collect();
        unknown.retain(|id| !emails.contains_key(*id));
        unknown.sort();
        unknown.dedup();
        // Concurrently, so that the client batches them into one call.
        let users = join_all(unknown.into_iter().map(|id| client.user_by_id(id))).await;
        for user in users.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            emails.insert(user.user_id, user.email);
        }
        Ok(RemoteGrants { grants, emails, complete, unknown_user: None })
    }
}

#[derive(Default)]
struct RemoteGrants {
    grants: Vec<RemoteGrant>,
    /// User ID to email address.
    emails: BTreeMap<String, String>,
    complete: bool,
    /// The user's own address, if Amigo does not know it.
    unknown_user: Option<String>,
}

impl RemoteGrants {
    fn into_rows(self, rows: &[Row], session: &mut Session) -> Vec<Row> {
        if let Some(email) = &self.unknown_user {
            session
                .console
                .warn(&format!("user {email} does not exist at Amigo, or the operator's user may not read it"));
        } else if !self.complete {
            let count = self.grants.len();
            session.console.warn(&format!("Amigo has more grants: the list contains the {count} that expire last"));
        }
        unexplained(rows, &self.grants, &self.emails)
    }
}

fn user_id_and_email(object: &TemporaryPermissionGrant) -> Option<(String, String)> {
    let id = object.status.as_ref()?.user_id.clone()?;
    Some((id, object.spec.user.email.clone()?))
}
