//! Observe: the Organization before the first step, and what the protocol requests later: the stored object,
//! the ids of users, and the grants at Amigo.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use amigo_api::{Stored, TemporaryPermissionGrant, reasons};
use amigo_client::{Client, GrantFilter, RemoteGrant};
use amigo_lifecycle::{
    Failure, RetryClass,
    grant::{
        Fresh, Input, ListedGrant, NONCE, Query, ReadFailed, Resolved, UID,
        assumptions::{committed_late, is_stale_read},
        compact_uid,
    },
};
use amigo_permissions::{Condition, Conditions};
use kube::ResourceExt as _;

use super::{
    LocalEntry, Reconciliation,
    apply::{Applied, log_failure},
    report::End,
};
use crate::{
    controller::{
        connection::Connection,
        context::{Context, Lookup, NOT_READY_RETRY, ReconcileError},
        ownership::object_name,
    },
    telemetry::labels::Assumption,
};

/// The delay of a reconcile whose object in the cache is outdated.
const CACHE_RETRY: Duration = Duration::from_millis(100);

/// How long a look-up may wait for its rate limit within one reconcile.
const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(10);

/// The reconcile cannot begin yet.
pub struct NotReady {
    pub retry_after: Duration,
}

/// The connection of the Organization, or `None` if there is no such Organization.
///
/// # Errors
/// If the cached object is outdated, or the operator has not reconciled the Organization yet.
pub async fn observe(
    object: &TemporaryPermissionGrant,
    local: &mut LocalEntry,
    context: &Context,
) -> Result<Option<Arc<Connection>>, NotReady> {
    if local.is_newer_than(object, context.clock.boot()) {
        return Err(NotReady { retry_after: CACHE_RETRY });
    }
    match context.organization(&object.spec.organization_ref.name).await {
        Lookup::Found(connection) => Ok(Some(connection)),
        Lookup::Missing => Ok(None),
        Lookup::NotReady => Err(NotReady { retry_after: NOT_READY_RETRY }),
    }
}

impl Reconciliation<'_> {
    /// Whether the connection changed since the reconcile began. Its rules must then be validated again.
    pub fn is_outdated(&self) -> bool {
        let now = self.context.connections.get(&self.object.spec.organization_ref.name);
        match (&self.connection, &now) {
            (Some(then), Some(now)) => !Arc::ptr_eq(then, now),
            (then, now) => then.is_some() != now.is_some(),
        }
    }

    /// Reads the object from the store with a quorum read.
    pub async fn read(&mut self) -> Applied {
        let began = self.context.clock.boot();
        match self.context.read(&self.object).await {
            Ok(Some(Stored(Ok(object)))) if object.uid() == self.object.uid() => {
                if is_stale_read(&self.object, &object) {
                    self.report_violation(
                        Assumption::StaleRead,
                        "the Kubernetes API returned an older version of the object than before",
                    );
                }
                let is_changed = object.resource_version() != self.object.resource_version();
                self.object = object;
                let record = self.object.status.clone().unwrap_or_default();
                let generation = self.object.metadata.generation.unwrap_or_default();
                Applied::Input(Input::Read(Ok(Fresh { generation, record, is_changed, began })))
            }
            // The watch reports it.
            Ok(Some(stored @ Stored(Err(_)))) if stored.uid() == self.object.uid() => {
                Applied::Input(Input::Read(Err(ReadFailed)))
            }
            Ok(_) => Applied::End(End::Deleted),
            Err(error) => {
                log_failure(&ReconcileError::kubernetes("read", &self.object, error));
                Applied::Input(Input::Read(Err(ReadFailed)))
            }
        }
    }

    /// The id of the user, and of the conversation's owner.
    pub async fn resolve(&self) -> Result<Resolved, Failure> {
        self.limited(self.look_up_ids()).await
    }

    /// The object's grants at Amigo. The next reconcile continues a listing that is too long for this one.
    pub async fn list_grants(&mut self, query: Query) -> Result<Vec<ListedGrant>, Failure> {
        let client = self.client()?.clone();
        let filter = filter(&query, &compact_uid(&self.object.uid().unwrap_or_default()));
        let kept = self.local.listing.take().filter(|listing| listing.is_for(&client, &filter));
        let mut listing = kept.unwrap_or_else(|| client.grant_listing(&filter));
        let rest = async { listing.read_all().await.map_err(|error| Failure::from(&error)) };
        let read = self.limited(rest).await;
        if let Err(failure) = read {
            // After an error of Amigo, the pages so far can be outdated.
            self.local.listing = Some(listing).filter(|_| failure.reason == reasons::QUEUED);
            return Err(failure);
        }
        let grants = listing.into_grants();
        let (status, timing) = (self.object.status.as_ref(), &self.context.settings.timing());
        if status.is_some_and(|status| grants.iter().any(|grant| committed_late(status, grant, timing))) {
            self.report_violation(Assumption::LateCommit, "Amigo created a grant later than the operator assumes");
        }
        Ok(grants.into_iter().map(listed_grant).collect())
    }

    /// The client of an open connection.
    pub fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or_else(|| {
            let name = &self.object.spec.organization_ref.name;
            let message = format!("Organization {name} is not ready: check its conditions");
            Failure::new(reasons::ORGANIZATION_NOT_READY, RetryClass::Persistent, message)
        })
    }

    /// Limits the number of look-ups and their time. Those that wait for Amigo must not delay the expiry of others,
    /// or the look-ups of another Organization.
    async fn limited<T>(&self, lookup: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let queued = |message| Failure::new(reasons::QUEUED, RetryClass::Transient, message);
        let Some(_permit) = self.context.lookup_limiter.try_acquire(self.organization_uid()) else {
            return Err(queued("waiting for earlier look-ups at Amigo"));
        };
        let deadline = self.context.settings.call_deadline + MAX_RATE_LIMIT_WAIT;
        let result = tokio::time::timeout(deadline, lookup).await;
        result.unwrap_or_else(|_| Err(queued("waiting for Amigo's rate limit")))
    }

    async fn look_up_ids(&self) -> Result<Resolved, Failure> {
        let client = self.client()?;
        client.sign_in().await.map_err(|error| Failure::from(&error))?;
        // Both at once: the client sends each in a batch with others.
        let (user_id, owner_user_id) = tokio::try_join!(self.user_id(client), self.owner_user_id(client))?;
        Ok(Resolved { user_id, owner_user_id })
    }

    async fn user_id(&self, client: &Client) -> Result<String, Failure> {
        let user = &self.object.spec.user;
        let Some(email) = user.email.as_deref() else {
            return Ok(user.user_id.clone().unwrap_or_default());
        };
        let found = client.user_by_email(email).await.map_err(|error| Failure::from(&error))?;
        found.map(|user| user.user_id).ok_or_else(|| {
            let message = format!(
                "user {email} is not visible in {}: check the email address, or invite the user first",
                client.organization_id()
            );
            Failure::new(reasons::USER_NOT_FOUND, RetryClass::Persistent, message)
        })
    }

    async fn owner_user_id(&self, client: &Client) -> Result<Option<String>, Failure> {
        let Some(conversation) = &self.object.spec.conversation else { return Ok(None) };
        if conversation.owner_user_id.is_some() {
            return Ok(conversation.owner_user_id.clone());
        }
        let id = conversation.conversation_id().unwrap_or_default();
        let found = client.conversation(id).await.map_err(|error| Failure::from(&error))?;
        found.map(|conversation| Some(conversation.user_id)).ok_or_else(|| {
            let message = format!(
                "conversation {id} does not exist in {} or is not visible to the operator's user. Check the ID, give that \
                 user Conversation:GetConversation, or set conversation.ownerUserId",
                client.organization_id()
            );
            Failure::new(reasons::CONVERSATION_NOT_VISIBLE, RetryClass::Persistent, message)
        })
    }

    fn report_violation(&self, assumption: Assumption, message: &str) {
        self.context.metrics.assumption_violated(assumption);
        tracing::warn!(object = object_name(&self.object), assumption = assumption.as_str(), "{message}");
    }
}

/// Amigo does not say whether several tags mean "and" or "or", so one tag selects the records.
fn filter(query: &Query, uid: &str) -> GrantFilter {
    let (tag, is_expired) = match query {
        Query::Attempt(nonce) => ((NONCE, nonce.as_str()), None),
        Query::Live => ((UID, uid), Some(false)),
        Query::All => ((UID, uid), None),
    };
    GrantFilter { tags: vec![(tag.0.to_owned(), tag.1.to_owned())], is_expired, ..GrantFilter::default() }
}

fn listed_grant(grant: RemoteGrant) -> ListedGrant {
    let tags: BTreeMap<String, String> =
        grant.tags.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
    ListedGrant {
        id: grant.id,
        user_id: grant.user_id,
        permission_name: grant.permission_name,
        conditions: grant.conditions.unwrap_or_else(unreadable_conditions),
        expires_at: grant.expires_at,
        created_at: grant.created_at,
        creator_user_id: grant.creator,
        tags,
    }
}

/// Conditions that equal no valid ones.
fn unreadable_conditions() -> Conditions {
    [(String::new(), Condition::In { values: Vec::new() })].into()
}
