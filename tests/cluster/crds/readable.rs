//! Everything that the API server accepts, the programs can read.

use std::collections::BTreeSet;

use amigo_api::{Organization, Role, RoleAssignment, Stored, TemporaryPermissionGrant};
use futures::{StreamExt as _, stream};
use kube::api::{DynamicObject, PostParams};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_support::TestEnv;

use super::{
    PLANE,
    cases::{GRANT, ORGANIZATION, ROLE, ROLE_ASSIGNMENT},
    schema,
    table::{Judge, Kind},
};

/// How many requests are in flight.
const CONCURRENT: usize = 16;

/// Objects that have every field of their kind, each with one of the alternatives.
#[expect(clippy::too_many_lines, reason = "a table")]
fn complete() -> Vec<(&'static Kind, Value)> {
    let conditions = json!({
        "org_id": {"type": "Equals", "value": "acme"}, "level": {"type": "NotEquals", "value": 3},
        "flag": {"type": "In", "values": [true, "x", 1.5]},
    });
    let permission = json!({"permissionName": "Conversation:GetMessage", "conditions": conditions});
    let grant = json!({"action": "Allow", "permissionName": "A:B", "conditions": conditions, "description": "why"});
    let time = "2027-01-31T18:00:00Z";
    let ready = json!([{
        "type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": time,
        "observedGeneration": 1,
    }]);
    let request = json!({
        "organizationRef": {"name": "acme"}, "user": {"email": "eng@example.com"},
        "justification": "Ticket 4711: wrong slot offered", "duration": "PT1H", "revokeWithin": "PT10M",
        "activationDeadline": "PT1H", "notAfter": time, "ttlAfterExpiry": "PT1H", "requestedBy": "eng@example.com",
    });
    let with = |mut object: Value, members: Value| {
        let members = members.as_object().expect("members").clone();
        object.as_object_mut().expect("an object").extend(members);
        object
    };
    let counts = json!({"active": 1, "managed": 1, "orphaned": 1, "unmanaged": 1});
    vec![
        (
            &ORGANIZATION,
            json!({
                "spec": {
                    "organization": "acme", "apiUrl": "https://api.amigo.ai", "consoleUrl": "https://acme.amigo.ai",
                    "credentialsSecretRef": {"name": "acme"}, "allowedNamespaces": ["support"],
                    "grants": {
                        "defaultDuration": "PT1H", "maxDuration": "PT1H", "revokeWithin": "PT1H", "activationDeadline": "PT1H",
                    },
                    "roles": {"resyncInterval": "PT1H", "driftPolicy": "Report"},
                    "rateLimit": {"share": 80, "limits": {"users": 5}},
                    "permissionModel": "AllowOnly", "suspend": false,
                },
                "status": {
                    "observedGeneration": 1, "orgId": "1", "orgName": "Acme", "serviceUserId": "1",
                    "permissionModel": "AllowOnly", "apiKeyExpiresAt": time, "roles": {"visible": 1, "managed": 1},
                    "grants": counts, "lastSweepTime": time, "conditions": ready, "apiOrigin": "https://api.amigo.ai:443",
                    "lastHandledResync": "1",
                },
            }),
        ),
        (
            &ROLE,
            json!({
                "spec": {
                    "organizationRef": {"name": "acme"}, "roleName": "reader", "description": "Reads", "frontendView": "admin",
                    "isBaseRole": true, "permissionGrants": [grant], "adoption": "Never", "driftPolicy": "Report",
                    "deletionPolicy": "Disable", "suspend": false, "managementPolicy": "Observe",
                },
                "status": {
                    "observedGeneration": 1, "organization": "acme", "appliedDigest": "1", "roleName": "reader", "roleId": "1",
                    "apiOrigin": "https://api.amigo.ai:443", "lastHandledResync": "1",
                    "sent": {"digest": "1", "at": time, "roleId": "1"}, "deny": {"digest": "1", "dropped": true}, "deniedDigests": ["1"], "conditions": ready,
                },
            }),
        ),
        (
            &ROLE_ASSIGNMENT,
            json!({
                "spec": {
                    "organizationRef": {"name": "acme"}, "roleRef": {"name": "reader"}, "user": {"userId": "user-eng"},
                    "fallbackRoleName": "DefaultUserRole", "managementPolicy": "Observe", "suspend": true,
                },
                "status": {
                    "observedGeneration": 1, "organization": "acme", "userId": "1", "roleName": "1", "assigning": "1",
                    "apiOrigin": "https://api.amigo.ai:443", "lastHandledResync": "1",
                    "conditions": ready,
                },
            }),
        ),
        (
            &ROLE_ASSIGNMENT,
            json!({
                "spec": {"organizationRef": {"name": "acme"}, "roleName": "reader", "user": {"email": "eng@example.com"}},
            }),
        ),
        (
            &GRANT,
            json!({
                "spec": with(request.clone(), json!({"permissions": [permission], "user": {"userId": "user-eng"}})),
                "status": {
                    "observedGeneration": 1, "phase": "Active", "organization": "acme", "userId": "1",
                    "conversationOwnerUserId": "1", "activatedAt": time, "deadline": time, "revokeWithin": "PT10M",
                    "expiresAt": time, "attempts": 1, "conditions": ready, "apiOrigin": "https://api.amigo.ai:443",
                    "grants": [{
                        "permissionName": "A:B", "id": "1", "issuedAt": time, "expiresAt": time, "slot": 1, "lease": 1,
                    }],
                    "intent": {
                        "attempt": 1, "nonce": "1", "holder": "1", "creatorUserId": "1", "openedAt": time, "duration": "PT1H", "lease": 1,
                        "slots": [1],
                    },
                },
            }),
        ),
        (&GRANT, json!({"spec": with(request.clone(), json!({"conversation": {"id": "abc123def456abc123def456"}}))})),
        (&GRANT, json!({"spec": with(request.clone(), json!({"conversation": {"ownerUserId": "user-owner"}}))})),
        (
            &GRANT,
            json!({"spec": with(request, json!({"conversation": {
                "url": "https://acme.amigo.ai/admin/conversation/abc123def456abc123def456",
            }}))}),
        ),
    ]
}

/// What goes wrong elsewhere: each is put in the place of every value.
fn odd_values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "x",
        "PT0S",
        "PT08H",
        "P999999D",
        "PT99999999S",
        "9999-12-31T23:59:59Z",
        "9999-12-30T22:00:00Z",
        "2999-12-31T23:59:59.999999999-14:59",
        "2000-01-01T00:00:00+14:59",
        "0000-01-01T00:00:00Z",
        "2026-11-28T18:00:00+99:99",
        "2026-11-28T18:00:00+24:00",
        "2026-11-28t18:00:00z",
        "2026-11-28T18:00:00,5Z",
        "2026-11-28T18:00:00.1234567891Z",
        "2026-11-28T18:00:60Z",
        "2026-11-28T24:00:00Z",
        "2027-02-29T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-28 18:00:00Z",
        "2026-11-28T18:00Z",
        "+002026-11-28T18:00:00Z",
    ];
    let numbers = json!([
        0,
        -1,
        1.0,
        1.5,
        255,
        256,
        2_147_483_648_u32,
        4_294_967_295_u32,
        4_294_967_296_u64,
        9_007_199_254_740_992_u64,
        9_223_372_036_854_775_807_u64,
        9_223_372_036_854_775_808_u64,
        18_446_744_073_709_551_615_u64,
        1e20,
        1e300,
        -1e20,
    ]);
    let others = json!([null, true, [], {}, [null], [[]], [{}], {"a": null}, {"a": 1}, ["a", null]]);
    let both = numbers.as_array().into_iter().chain(others.as_array()).flatten().cloned();
    texts.into_iter().map(Value::from).chain(both).collect()
}

/// The JSON pointers of all values.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| pointers(value, &format!("{at}/{name}"), all));
        }
        Value::Array(items) => {
            (0..).zip(items).for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), all));
        }
        _ => {}
    }
}

/// An object, and the changes that made it odd.
#[derive(Clone, Debug)]
struct Odd {
    kind: &'static Kind,
    object: Value,
    changes: Vec<(String, Value)>,
}

impl Odd {
    fn new(kind: &'static Kind, object: &Value) -> Self {
        Self { kind, object: object.clone(), changes: Vec::new() }
    }

    fn with(mut self, pointer: &str, value: &Value) -> Self {
        // An earlier change may have removed the place.
        if let Some(place) = self.object.pointer_mut(pointer) {
            place.clone_from(value);
            self.changes.push((pointer.to_owned(), value.clone()));
        }
        self
    }

    fn named(&self, name: &str) -> DynamicObject {
        let mut object = json!({
            "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": self.kind.name, "metadata": {"name": name},
        });
        let members = self.object.as_object().expect("members").clone();
        object.as_object_mut().expect("an object").extend(members);
        serde_json::from_value(object).expect("an object")
    }

    /// The object as the API server would store it; `None` if it refuses it.
    async fn accepted(&self, judge: &Judge) -> Option<DynamicObject> {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        judge.api(self.kind).create(&dry_run, &self.named("odd")).await.ok()
    }

    /// The same with the status written to an object that exists.
    async fn accepted_status(&self, judge: &Judge) -> Option<DynamicObject> {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        judge.api(self.kind).replace_status("complete", &dry_run, &self.named("complete")).await.ok()
    }

    fn complaint(&self, accepted: DynamicObject) -> Option<String> {
        let accepted = serde_json::to_value(accepted).expect("JSON");
        let error = match self.kind.name {
            "Organization" => unreadable::<Organization>(&accepted),
            "Role" => unreadable::<Role>(&accepted),
            "RoleAssignment" => unreadable::<RoleAssignment>(&accepted),
            _ => unreadable::<TemporaryPermissionGrant>(&accepted),
        };
        error.map(|error| format!("{} with {:?}: {error}", self.kind.name, self.changes))
    }
}

fn unreadable<K: DeserializeOwned>(object: &Value) -> Option<String> {
    // Both ways of the programs: single objects, and lists and watches.
    let whole: Result<K, _> = serde_json::from_value(object.clone());
    let stored: Stored<K> = serde_json::from_value(object.clone()).expect("readable metadata");
    whole.err().map(|error| error.to_string()).or(stored.0.err().map(|unreadable| unreadable.error))
}

/// The complaints about the accepted objects, and how many were accepted.
async fn judge_all(judge: &Judge, odd: Vec<Odd>) -> (Vec<String>, usize) {
    let judged = stream::iter(odd).map(async |odd| {
        let accepted = if odd.changes.iter().any(|(pointer, _)| pointer.starts_with("/status")) {
            odd.accepted_status(judge).await
        } else {
            odd.accepted(judge).await
        };
        accepted.map(|accepted| odd.complaint(accepted))
    });
    let accepted: Vec<_> = judged.buffer_unordered(CONCURRENT).filter_map(async |accepted| accepted).collect().await;
    let count = accepted.len();
    (accepted.into_iter().flatten().collect(), count)
}

async fn complete_objects(prefix: &str) -> (TestEnv, Judge) {
    let env = TestEnv::builder(prefix).on(&PLANE).kinds().start().await;
    let judge = Judge::of(&env);
    for (kind, object) in complete().into_iter().filter(|(_, object)| object.get("status").is_some()) {
        // Organizations have no namespace; another test may have made it.
        let named = Odd::new(kind, &object).named("complete");
        let created = judge.api(kind).create(&PostParams::default(), &named).await;
        assert!(created.is_ok() || kind.name == "Organization", "{created:?}");
    }
    (env, judge)
}

#[test]
fn complete_objects_have_every_field() {
    let mut seen = BTreeSet::new();
    for (kind, object) in complete() {
        let mut all = Vec::new();
        pointers(&object, "", &mut all);
        let path = |pointer: &String| {
            // The attributes of conditions have any name.
            let pointer = pointer.replace("/level", "/org_id").replace("/flag", "/org_id");
            let parts = pointer.split('/').filter(|part| !part.is_empty() && part.parse::<u32>().is_err());
            parts.collect::<Vec<_>>().join(".")
        };
        seen.extend(all.iter().map(|pointer| format!("{} {}", kind.name, path(pointer))));
    }
    let properties =
        schema::places().into_iter().filter(|place| place.is_property && !place.path.ends_with("limits.org_id"));
    let missing: Vec<_> = properties
        .map(|place| format!("{} {}", place.kind, place.path))
        .filter(|place| !seen.contains(place))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_objects_are_readable() {
    let (_env, judge) = complete_objects("readable").await;
    let mut odd = Vec::new();
    for (kind, object) in complete() {
        let mut all = Vec::new();
        pointers(&object, "", &mut all);
        let fields = all.iter().filter(|pointer| pointer.starts_with("/spec/") || pointer.starts_with("/status/"));
        odd.extend(
            fields
                .flat_map(|pointer| odd_values().into_iter().map(move |value| (pointer, value)))
                .map(|(pointer, value)| Odd::new(kind, &object).with(pointer, &value)),
        );
    }
    let total = odd.len();
    let (complaints, accepted) = judge_all(&judge, odd).await;
    assert!(accepted > total / 50 && accepted < total, "{accepted} of {total} were accepted");
    assert!(complaints.is_empty(), "{} of {accepted}:\n{}", complaints.len(), complaints.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_random_objects_are_readable() {
    let (_env, judge) = complete_objects("random").await;
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change, 1..4));
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(4711), ..Config::default() });
    let (bases, values) = (complete(), odd_values());
    let odd = (0..2000).map(|_| {
        let (base, changes) = strategy.new_tree(&mut runner).expect("a value").current();
        let (kind, object) = base.get(&bases);
        let mut all = Vec::new();
        pointers(&object["spec"], "/spec", &mut all);
        changes
            .iter()
            .fold(Odd::new(kind, object), |odd, (at, value)| odd.with(at.get::<String>(&all), value.get(&values)))
    });
    let odd = odd.collect();
    let (complaints, _) = judge_all(&judge, odd).await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
