//! The rows of the list: pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use amigo_api::{Phase, TemporaryPermissionGrant, conditions, reasons::condition};
use amigo_client::RemoteGrant;
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::table::one_line;

/// Which access to list.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The Organization's name.
    pub organization: String,
    /// The user's address; `None` for all users.
    pub email: Option<String>,
    /// Whether to list expired access.
    pub expired: bool,
}

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A request in this cluster.
    Object,
    /// Amigo only.
    Api,
}

/// One grant at Amigo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The email address if known, else the user ID.
    pub user: String,
    /// `Category:Action`.
    pub permission: String,
    pub grant_id: String,
    pub expires: Timestamp,
    /// The name of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub source: Origin,
    pub justification: String,
}

impl Row {
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }
}

impl Selection {
    /// The requests of the selected user and Organization.
    pub fn select<'a>(&self, objects: &'a [TemporaryPermissionGrant]) -> Vec<&'a TemporaryPermissionGrant> {
        let ids = self.user_ids(objects);
        let of_organization = objects.iter().filter(|object| object.spec.organization_ref.name == self.organization);
        of_organization.filter(|object| self.is_own(object, &ids)).collect()
    }

    pub fn rows(&self, objects: &[&TemporaryPermissionGrant], now: Timestamp) -> Vec<Row> {
        let rows = objects.iter().copied().flat_map(rows_of);
        rows.filter(|row| self.expired || !row.is_expired(now)).collect()
    }

    /// Whether `-o name` lists a request: it is not finished, or expired access is selected.
    pub fn lists(&self, object: &TemporaryPermissionGrant) -> bool {
        let phase = object.status.as_ref().and_then(|status| status.phase);
        self.expired || !matches!(phase, Some(Phase::Expired | Phase::Failed))
    }

    /// The user IDs of the user's requests by address: other requests may name the user by ID.
    fn user_ids<'a>(&self, objects: &'a [TemporaryPermissionGrant]) -> BTreeSet<&'a str> {
        let named = objects.iter().filter(|object| {
            object.spec.organization_ref.name == self.organization && self.is_named(object.spec.user.email.as_deref())
        });
        named.filter_map(|object| object.status.as_ref()?.user_id.as_deref()).collect()
    }

    fn is_named(&self, email: Option<&str>) -> bool {
        matches!((&self.email, email), (Some(own), Some(email)) if own.eq_ignore_ascii_case(email))
    }

    fn is_own(&self, object: &TemporaryPermissionGrant, ids: &BTreeSet<&str>) -> bool {
        let user = &object.spec.user;
        self.email.is_none()
            || self.is_named(user.email.as_deref())
            || user.user_id.as_deref().is_some_and(|id| ids.contains(id))
    }
}

/// The rows of a request, in the order of its permissions.
pub fn rows_of(object: &TemporaryPermissionGrant) -> Vec<Row> {
    let issued = object.status.iter().flat_map(|status| &status.grants);
    let row = |grant: &amigo_api::IssuedGrant| Row {
        user: object.spec.user.label().to_owned(),
        permission: grant.permission_name.clone(),
        grant_id: grant.id.clone(),
        expires: grant.expires_at,
        name: Some(object.name_any()),
        namespace: object.namespace(),
        source: Origin::Object,
        justification: object.spec.justification.trim().to_owned(),
    };
    issued.map(row).collect()
}

/// Grants at Amigo without a request; `emails` maps user IDs to addresses.
pub fn unexplained(rows: &[Row], remote: &[RemoteGrant], emails: &BTreeMap<String, String>) -> Vec<Row> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.grant_id.as_str()).collect();
    let row = |grant: &RemoteGrant| Row {
        user: emails.get(&grant.user_id).unwrap_or(&grant.user_id).clone(),
        permission: grant.permission_name.clone(),
        grant_id: grant.id.clone(),
        expires: grant.expires_at,
        name: None,
        namespace: None,
        source: Origin::Api,
        justification: grant.justification.trim().to_owned(),
    };
    remote.iter().filter(|grant| !known.contains(grant.id.as_str())).map(row).collect()
}

/// Live rows first; then by user and request, the latest end first. Permissions of a request keep their order.
pub fn sort(rows: &mut [Row], now: Timestamp) {
    rows.sort_by_cached_key(|row| {
        // Grants of one request end within about a second; grants without a request differ by their end.
        let end = if row.name.is_some() { None } else { Some(row.expires) };
        (row.is_expired(now), row.user.clone(), row.source, row.namespace.clone(), row.name.clone(), Reverse(end))
    });
}

/// A hint about a request whose access is not live or only in part; none for an expired request.
pub fn hint(object: &TemporaryPermissionGrant) -> Option<String> {
    let name = object.name_any();
    let Some(status) = object.status.as_ref().filter(|status| status.phase.is_some()) else {
        return Some(format!(
            "Request {name}: amigo-operator has not processed it yet. Check that amigo-operator runs."
        ));
    };
    let phase = status.phase.filter(|phase| *phase != Phase::Expired)?;
    let ready = conditions::find(&status.conditions, condition::READY).filter(|ready| ready.status != "True")?;
    let more = if phase == Phase::Failed { format!("; run `kubectl amigo status {name}`") } else { String::new() };
    Some(format!("Request {name}: {phase:?}, {}: {}{more}.", ready.reason, one_line(&ready.message)))
}

#[cfg(test)]
mod tests {
    use amigo_api::{conditions::ConditionStatus, reasons};

    use super::*;
    use crate::fixtures::{at, issued, request, set_condition};

    fn own(expired: bool) -> Selection {
        Selection { organization: "acme".to_owned(), email: Some("ENG@example.com".to_owned()), expired }
    }

    fn everybody() -> Selection {
        Selection { email: None, ..own(false) }
    }

    fn live(name: &str, change: impl FnOnce(&mut TemporaryPermissionGrant)) -> TemporaryPermissionGrant {
        let mut object = request(name, |status| {
            status.phase = Some(Phase::Active);
            status.user_id = Some("user-eng-2c91".to_owned());
            status.grants = vec![issued(0, 2000), issued(1, 900)];
        });
        change(&mut object);
        object
    }

    fn names<'a>(found: &[&'a TemporaryPermissionGrant]) -> Vec<&'a str> {
        found.iter().map(|object| object.metadata.name.as_deref().unwrap()).collect()
    }

    #[test]
    fn own_requests_match_the_address_in_any_case() {
        let theirs = live("theirs", |object| object.spec.user.email = Some("dana@example.com".to_owned()));
        let elsewhere = live("elsewhere", |object| object.spec.organization_ref.name = "other".to_owned());
        let objects = [live("mine", |_| ()), theirs, elsewhere];
        assert_eq!(names(&own(false).select(&objects)), ["mine"]);
        assert_eq!(names(&everybody().select(&objects)), ["mine", "theirs"]);
    }

    #[test]
    fn request_by_known_user_id_is_own() {
        let by_id = |id: &str| {
            let user_id = Some(id.to_owned());
            live(id, |object| object.spec.user = amigo_api::UserReference { email: None, user_id })
        };
        let objects = [live("mine", |_| ()), by_id("user-eng-2c91"), by_id("user-other")];
        assert_eq!(names(&own(false).select(&objects)), ["mine", "user-eng-2c91"]);
        assert!(own(false).select(&objects[1..]).is_empty());
    }

    #[test]
    fn expired_rows_are_listed_on_demand() {
        let object = live("mine", |_| ());
        let ids = |expired| -> Vec<String> {
            own(expired).rows(&[&object], at(1000)).into_iter().map(|row| row.grant_id).collect()
        };
        assert_eq!(ids(false), ["grant-0-2000"]);
        assert_eq!(ids(true), ["grant-0-2000", "grant-1-900"]);
    }

    #[test]
    fn explained_grant_is_listed_once() {
        let object = live("mine", |_| ());
        let remote = |id: &str, user_id: &str| RemoteGrant {
            id: id.to_owned(),
            user_id: user_id.to_owned(),
            permission_name: "Conversation:GetMessage".to_owned(),
            conditions: None,
            expires_at: at(3000),
            created_at: None,
            creator: "operator".to_owned(),
            tags: BTreeMap::new(),
            justification: " why \n".to_owned(),
        };
        let emails = [("user-dana".to_owned(), "dana@example.com".to_owned())].into();
        let all = [remote("grant-0-2000", "user-eng-2c91"), remote("other", "user-dana"), remote("third", "user-x")];
        let remote_only = unexplained(&rows_of(&object), &all, &emails);
        let found: Vec<_> =
            remote_only.iter().map(|row| (row.user.as_str(), row.source, row.justification.as_str())).collect();
        assert_eq!(found, [("dana@example.com", Origin::Api, "why"), ("user-x", Origin::Api, "why")]);
    }

    #[test]
    fn live_access_comes_first() {
        let mut rows = own(true).rows(&[&live("b", |_| ()), &live("a", |_| ())], at(1000));
        sort(&mut rows, at(1000));
        let order: Vec<_> = rows.iter().map(|row| (row.is_expired(at(1000)), row.name.as_deref().unwrap())).collect();
        assert_eq!(order, [(false, "a"), (false, "b"), (true, "a"), (true, "b")]);
    }

    #[test]
    fn unserved_requests_have_a_hint() {
        let mut new = request("new", |_| ());
        new.status = None;
        assert!(hint(&new).unwrap().contains("has not processed it"));
        let failed = request("bad", |status| {
            status.phase = Some(Phase::Failed);
            set_condition(status, condition::READY, ConditionStatus::False, reasons::USER_NOT_FOUND, "nobody there");
        });
        assert_eq!(
            hint(&failed).unwrap(),
            "Request bad: Failed, UserNotFound: nobody there; run `kubectl amigo status bad`."
        );
        let expired = request("old", |status| {
            status.phase = Some(Phase::Expired);
            set_condition(status, condition::READY, ConditionStatus::False, reasons::EXPIRED, "access ended");
        });
        assert_eq!(hint(&expired), None);
    }
}
