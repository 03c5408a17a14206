//! Stories of requests in every state, as people read them.

use amigo_api::{
    OrganizationSpec, OrganizationStatus, PermissionSpec,
    conditions::{self, Change, ConditionStatus, Stamp},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    commands::status::page::page,
    fixtures::{at, issued, request, say},
};

const NOW: i64 = 1000;

fn organization(reason: &str, standing: ConditionStatus) -> Read<Organization> {
    let mut status = OrganizationStatus::default();
    let change = Change { type_: condition::READY, status: standing, reason, message: "as told".to_owned() };
    conditions::set(&mut status.conditions, change, Stamp { generation: 1, now: at(0) });
    let spec = OrganizationSpec { organization: "acme-prod".to_owned(), ..OrganizationSpec::default() };
    let mut organization = Organization::new("acme", spec);
    organization.status = Some(status);
    Read::Here(organization)
}

fn ready() -> Read<Organization> {
    organization(reasons::READY, ConditionStatus::True)
}

fn story(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> Story {
    of_request(object, organization, "amigo-system", at(NOW))
}

fn fact<'a>(story: &'a Story, about: &str) -> &'a str {
    story.facts.iter().find(|fact| fact.about == about).map(|fact| fact.text.as_str()).unwrap_or_default()
}

fn live() -> TemporaryPermissionGrant {
    let mut object = request("one", |status| {
        status.phase = Some(Phase::Active);
        status.user_id = Some("user-eng-2c91".to_owned());
        status.conversation_owner_user_id = Some("user-owner-7f3a".to_owned());
        status.grants = vec![issued(0, 4600), issued(1, 4600), issued(2, 4600)];
        (status.activated_at, status.deadline, status.expires_at) = (Some(at(880)), Some(at(4600)), Some(at(4600)));
        say(status, condition::READY, ConditionStatus::True, reasons::ACTIVE, "access is live until then");
    });
    object.metadata.creation_timestamp = Some(Time(at(870)));
    object.spec.requested_by = Some("oidc:eng".to_owned());
    object.spec.conversation.as_mut().unwrap().owner_user_id = None;
    object.spec.conversation.as_mut().unwrap().id = Some("abc123def456abc123def456".to_owned());
    object
}

#[test]
fn a_leased_request_goes_with_the_last_lease() {
    let mut object = live();
    let status = object.status.as_mut().unwrap();
    (status.revoke_within, status.expires_at) = (Some("PT5M".to_owned()), Some(at(1180)));
    object.spec.ttl_after_expiry = Some("PT10M".to_owned());
    assert_eq!(fact(&story(&object, &ready()), "Object goes"), "1970-01-01T01:26:40Z, 1h10m from now");
    object.status.as_mut().unwrap().phase = Some(Phase::Expired);
    assert_eq!(fact(&story(&object, &ready()), "Object goes"), "1970-01-01T00:29:40Z, 13m00s from now");
}

#[test]
fn a_live_request_is_told_whole() {
    let expected = "\
Request       one in namespace team
Asked by      oidc:eng, 2m10s ago, at 1970-01-01T00:14:30Z
For           eng@example.com, user user-eng-2c91
Why           Debugging reported issue #42
Organization  acme (acme-prod), ready
Opens         ALL conversations of user user-owner-7f3a, not only abc123def456abc123def456: Amigo has no condition on a single conversation
State         Active: access is live until then (1h00m left)
Asked for     PT2H, the default
Activated     1970-01-01T00:14:40Z, 2m00s ago
Latest end    1970-01-01T01:16:40Z, 1h00m from now
Ends          1970-01-01T01:16:40Z, 1h00m from now
Object goes   1970-01-01T01:16:40Z, 1h00m from now

Permissions
  PERMISSION                            STATE   GRANT ID       UNTIL
  Conversation:GetConversation          live    grant-0-4600   1970-01-01T01:16:40Z
  Conversation:GetMessage               live    grant-1-4600   1970-01-01T01:16:40Z
  Conversation:GetInteractionInsights   live    grant-2-4600   1970-01-01T01:16:40Z

Conditions
  Ready is True for 16m40s, Active: access is live until then
    (Amigo issued every permission, and all of them are live.)

What to do
  - Active: No action needed.

If it is deleted now
  Access goes on until 1970-01-01T01:16:40Z (1h00m from now): Amigo cannot take back what it issued.

Events
  none
";
    let page = anstream::adapter::strip_str(&page(&story(&live(), &ready()), at(NOW))).to_string();
    assert_eq!(page, expected, "{page}");
}

#[test]
fn a_failed_request_says_what_to_do() {
    let failed = request("one", |status| {
        status.phase = Some(Phase::Failed);
        for kind in [condition::READY, condition::STALLED] {
            let standing = if kind == condition::STALLED { ConditionStatus::True } else { ConditionStatus::False };
            say(status, kind, standing, reasons::NOT_AFTER_PASSED, "notAfter has passed");
        }
    });
    let story = story(&failed, &ready());
    assert_eq!(story.advice.len(), 1, "{:?}", story.advice);
    assert!(story.advice[0].starts_with("NotAfterPassed: Delete the grant and create it again"), "{:?}", story.advice);
    assert!(story.permissions.iter().all(|permission| permission.state == "not issued"));
    assert_eq!(story.if_deleted.unwrap().access, "nothing");
}

#[test]
fn an_organization_in_trouble_is_part_of_the_story() {
    let waiting = request("one", |status| {
        status.phase = Some(Phase::Pending);
        say(status, condition::READY, ConditionStatus::False, reasons::ORGANIZATION_NOT_READY, "see there");
    });
    let story = story(&waiting, &organization(reasons::SECRET_NOT_FOUND, ConditionStatus::False));
    assert_eq!(fact(&story, "Organization"), "acme (acme-prod), not ready: SecretNotFound: as told");
    assert!(
        story.advice.iter().any(|advice| advice.contains("For the Organization: SecretNotFound: Create the Secret"))
    );
    assert_eq!(fact(&self::story(&waiting, &Read::Missing), "Organization"), "acme, which does not exist");
    let unreadable = Read::Unreadable("forbidden".to_owned());
    assert!(fact(&self::story(&waiting, &unreadable), "Organization").contains("not known: forbidden"));
}

#[test]
fn nobody_looked_means_nobody_runs() {
    let mut new = live();
    new.status = None;
    let story = story(&new, &ready());
    assert!(story.advice[0].contains("kubectl get pods -n amigo-system"), "{:?}", story.advice);
    assert!(
        fact(&story, "Given up").starts_with("1970-01-01T01:14:30Z, 57m50s from now"),
        "{}",
        fact(&story, "Given up")
    );
    assert!(fact(&story, "Opens").contains("the owner of abc123def456abc123def456, who is not known yet"));
}

#[test]
fn an_open_answer_is_not_called_live() {
    let mut object = live();
    let record = object.status.as_mut().unwrap();
    record.grants.truncate(1);
    record.intent = Some(amigo_api::Intent {
        attempt: 1,
        nonce: "0123456789abcdef".to_owned(),
        holder: "operator".to_owned(),
        opened_at: at(880),
        duration: "PT1H".to_owned(),
        lease: 0,
        slots: vec![1],
    });
    let permissions = story(&object, &ready()).permissions;
    let told: Vec<_> = permissions.iter().map(|permission| permission.state).collect();
    assert_eq!(told, ["live", "unknown", "waiting"]);
}

#[test]
fn explicit_permissions_show_their_conditions() {
    let mut object = live();
    let value = amigo_permissions::Value::from("acme");
    let one = |name: &str, conditions: Conditions| PermissionSpec { permission_name: name.to_owned(), conditions };
    object.spec.conversation = None;
    object.spec.permissions = Some(vec![
        one("User:GetUserInfo", [("org_id".to_owned(), amigo_permissions::Condition::Equals { value })].into()),
        one("Role:GetRole", Conditions::new()),
    ]);
    let story = story(&object, &ready());
    let told: Vec<_> = story.permissions.iter().map(|permission| permission.conditions.as_str()).collect();
    assert_eq!(told, ["org_id Equals \"acme\"", "everywhere"]);
    assert!(fact(&story, "Opens").starts_with("2 permissions"));
    assert!(page(&story, at(NOW)).contains("WHERE"));
}

#[test]
fn events_are_told_in_order_of_their_last_time() {
    let event = |reason: &str, second: i64| Event {
        reason: Some(reason.to_owned()),
        metadata: kube::core::ObjectMeta { creation_timestamp: Some(Time(at(second))), ..Default::default() },
        ..Event::default()
    };
    let told: Vec<_> =
        happened(vec![event("Active", 20), event("Issuing", 10)]).into_iter().map(|one| one.reason).collect();
    assert_eq!(told, ["Issuing", "Active"]);
}
