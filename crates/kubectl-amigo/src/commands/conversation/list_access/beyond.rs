//! What Amigo itself lists, beyond what the requests of this cluster explain.

use std::collections::BTreeMap;

use amigo_api::TemporaryPermissionGrant;
use amigo_client::{Client, Error, GrantFilter, RemoteGrant};
use futures::future::join_all;

use super::{
    Listing,
    rows::{Row, beyond},
};
use crate::{Failure, Session, kubernetes::Kubernetes, remote};

/// Records that a person looks through; the listing has ten a page.
const MOST_RECORDS: usize = 200;

impl Listing {
    /// Where it is wanted and permitted; where not, says why on stderr.
    pub(super) async fn beyond(
        &self,
        kubernetes: &Kubernetes,
        (objects, rows): (&[TemporaryPermissionGrant], &[Row]),
        session: &mut Session,
    ) -> Vec<Row> {
        let Some(organization) = self.organization.as_ref().filter(|_| self.beyond) else { return Vec::new() };
        session.console.progress("asking Amigo…");
        let asked = async {
            let client = session.amigo(kubernetes, organization).await?;
            let of = format!("list the grants of Organization {}", self.selection.organization);
            self.ask(&client, objects).await.map_err(|error| remote::failure(&of, &error))
        };
        match asked.await {
            Ok(found) => found.told(rows, session),
            Err(Failure { message, advice, .. }) => {
                let advice = advice.map(|advice| format!("\n{advice}")).unwrap_or_default();
                session.console.warn(&format!("only what requests in this cluster say is listed: {message}{advice}"));
                Vec::new()
            }
        }
    }

    async fn ask(&self, client: &Client, objects: &[TemporaryPermissionGrant]) -> Result<Found, Error> {
        let mut emails: BTreeMap<String, String> = objects.iter().filter_map(address_of).collect();
        let mut filter = GrantFilter {
            is_expired: if self.selection.expired { None } else { Some(false) },
            ..GrantFilter::default()
        };
        if let Some(email) = &self.selection.email {
            let Some(user) = client.user_by_email(email).await? else {
                return Ok(Found { unknown: Some(email.clone()), ..Found::default() });
            };
            filter.user_ids = vec![user.user_id.clone()];
            emails.insert(user.user_id, user.email);
        }
        let (grants, whole) = client.latest_grants(&filter, MOST_RECORDS).await?;
        let mut strangers: Vec<_> = grants.iter().map(|grant| &grant.user_id).collect();
        strangers.retain(|id| !emails.contains_key(*id));
        strangers.sort();
        strangers.dedup();
        // All at once, so that it is one call.
        let users = join_all(strangers.into_iter().map(|id| client.user_by_id(id))).await;
        for user in users.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            emails.insert(user.user_id, user.email);
        }
        Ok(Found { grants, emails, whole, unknown: None })
    }
}

/// What Amigo said.
#[derive(Default)]
struct Found {
    grants: Vec<RemoteGrant>,
    emails: BTreeMap<String, String>,
    whole: bool,
    /// The caller's address, if nobody at Amigo has it.
    unknown: Option<String>,
}

impl Found {
    fn told(self, rows: &[Row], session: &mut Session) -> Vec<Row> {
        if let Some(email) = &self.unknown {
            session.console.warn(&format!("Amigo knows no user {email}, or its operator's user may not see that one"));
        } else if !self.whole {
            let count = self.grants.len();
            session.console.warn(&format!("Amigo lists more: these are the {count} records that end last"));
        }
        beyond(rows, &self.grants, &self.emails)
    }
}

/// The user id and the address of a request that names its user by address.
fn address_of(object: &TemporaryPermissionGrant) -> Option<(String, String)> {
    let id = object.status.as_ref()?.user_id.clone()?;
    Some((id, object.spec.user.email.clone()?))
}
