//! Status reports of requests in every state.

use amigo_api::{
    Organization, OrganizationSpec, OrganizationStatus, PermissionSpec, Phase, TemporaryPermissionGrant,
    conditions::{self, Change, ConditionStatus, Stamp},
    reasons::{self, condition},
};
use amigo_permissions::Conditions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    facts::Read,
    report::{StatusReport, request_report},
    text::render,
};
use crate::fixtures::{at, issued, request, set_condition};

const NOW: i64 = 1000;

fn organization(reason: &str, condition_status: ConditionStatus) -> Read<Organization> {
    let mut status = OrganizationStatus::default();
    let change = Change { type_: condition::READY, status: condition_status, reason, message: "broken".to_owned() };
    conditions::set(&mut status.conditions, change, Stamp { generation: 1, now: at(0) });
    let spec = OrganizationSpec { organization: "acme-prod".to_owned(), ..OrganizationSpec::default() };
    let mut organization = Organization::new("acme", spec);
    organization.status = Some(status);
    Read::Present(organization)
}

fn ready() -> Read<Organization> {
    organization(reasons::READY, ConditionStatus::True)
}

fn report(object: &TemporaryPermissionGrant, organization: &Read<Organization>) -> StatusReport {
    request_report(object, organization, "amigo-system", at(NOW))
}

fn fact<'a>(report: &'a StatusReport, about: &str) -> &'a str {
    report.facts.iter().find(|fact| fact.about == about).map(|fact| fact.text.as_str()).unwrap_or_default()
}

fn live() -> TemporaryPermissionGrant {
    let mut object = request("one", |status| {
        status.phase = Some(Phase::Active);
        status.user_id = Some("user-eng-2c91".to_owned());
        status.conversation_owner_user_id = Some("user-owner-7f3a".to_owned());
        status.grants = vec![issued(0, 4600), issued(1, 4600), issued(2, 4600)];
        (status.activated_at, status.deadline, status.expires_at) = (Some(at(880)), Some(at(4600)), Some(at(4600)));
        set_condition(status, condition::READY, ConditionStatus::True, reasons::ACTIVE, "access is live until then");
    });
    object.metadata.creation_timestamp = Some(Time(at(870)));
    object.spec.requested_by = Some("oidc:eng".to_owned());
    object.spec.conversation.as_mut().unwrap().owner_user_id = None;
    object.spec.conversation.as_mut().unwrap().id = Some("abc123def456abc123def456".to_owned());
    object
}

#[test]
fn leased_request_is_deleted_after_the_last_lease() {
    let mut object = live();
    let status = object.status.as_mut().unwrap();
    (status.revoke_within, status.expires_at) = (Some("PT5M".to_owned()), Some(at(1180)));
    object.spec.ttl_after_expiry = Some("PT10M".to_owned());
    assert_eq!(fact(&report(&object, &ready()), "Deletion"), "1970-01-01T01:26:40Z, 1h10m from now");
    object.status.as_mut().unwrap().phase = Some(Phase::Expired);
    assert_eq!(fact(&report(&object, &ready()), "Deletion"), "1970-01-01T00:29:40Z, 13m00s from now");
}

#[test]
fn live_request_is_reported_in_full() {
    let expected = "\
Request        one in namespace team
Requested by   oidc:eng, 2m10s ago, at 1970-01-01T00:14:30Z
User           eng@example.com, user user-eng-2c91
Justification  Debugging reported issue #42
Organization   acme (acme-prod), ready
Access         ALL conversations of user user-owner-7f3a, not only abc123def456abc123def456: Amigo cannot limit access to one conversation
State          Active: access is live until then (1h00m left)
Duration       PT2H, the default
Activated      1970-01-01T00:14:40Z, 2m00s ago
Latest end     1970-01-01T01:16:40Z, 1h00m from now
Ends           1970-01-01T01:16:40Z, 1h00m from now
Deletion       1970-01-01T01:16:40Z, 1h00m from now

Permissions
  PERMISSION                            STATE   GRANT ID       EXPIRES
  Conversation:GetConversation          live    grant-0-4600   1970-01-01T01:16:40Z
  Conversation:GetMessage               live    grant-1-4600   1970-01-01T01:16:40Z
  Conversation:GetInteractionInsights   live    grant-2-4600   1970-01-01T01:16:40Z

Conditions
  Ready is True for 16m40s, Active: access is live until then
    (Amigo issued every permission, and all of them are live.)

Remedies
  - Active: No action needed.

If you delete it now
  Access continues until 1970-01-01T01:16:40Z (1h00m from now): Amigo cannot revoke issued grants.

Events
  none
";
    let text = anstream::adapter::strip_str(&render(&report(&live(), &ready()), at(NOW))).to_string();
    assert_eq!(text, expected, "{text}");
}

#[test]
fn failed_request_has_a_remedy() {
    let failed = request("one", |status| {
        status.phase = Some(Phase::Failed);
        for kind in [condition::READY, condition::STALLED] {
            let standing = if kind == condition::STALLED { ConditionStatus::True } else { ConditionStatus::False };
            set_condition(status, kind, standing, reasons::NOT_AFTER_PASSED, "notAfter has passed");
        }
    });
    let report = report(&failed, &ready());
    assert_eq!(report.remedies.len(), 1, "{:?}", report.remedies);
    assert!(
        report.remedies[0].starts_with("NotAfterPassed: Delete the grant and create it again"),
        "{:?}",
        report.remedies
    );
    assert!(report.permissions.iter().all(|permission| permission.state == "not issued"));
    assert_eq!(report.if_deleted.unwrap().access, "nothing");
}

#[test]
fn failed_organization_is_part_of_the_report() {
    let waiting = request("one", |status| {
        status.phase = Some(Phase::Pending);
        set_condition(status, condition::READY, ConditionStatus::False, reasons::ORGANIZATION_NOT_READY, "see there");
    });
    let report = report(&waiting, &organization(reasons::SECRET_NOT_FOUND, ConditionStatus::False));
    assert_eq!(fact(&report, "Organization"), "acme (acme-prod), not ready: SecretNotFound: broken");
    assert!(report.remedies.iter().any(|remedy| remedy.contains("Organization: SecretNotFound: Create the Secret")));
    assert_eq!(fact(&self::report(&waiting, &Read::Missing), "Organization"), "acme does not exist");
    let unreadable = Read::Unreadable("forbidden".to_owned());
    assert!(fact(&self::report(&waiting, &unreadable), "Organization").contains("status unknown: forbidden"));
}

#[test]
fn request_without_status_points_to_the_operator() {
    let mut new = live();
    new.status = None;
    let report = report(&new, &ready());
    assert!(report.remedies[0].contains("kubectl get pods -n amigo-system"), "{:?}", report.remedies);
    assert!(
        fact(&report, "Activate by").starts_with("1970-01-01T01:14:30Z, 57m50s from now"),
        "{}",
        fact(&report, "Activate by")
    );
    assert!(fact(&report, "Access").contains("the owner of abc123def456abc123def456 (owner not known yet)"));
}

#[test]
fn unconfirmed_permission_is_unknown() {
    let mut object = live();
    let record = object.status.as_mut().unwrap();
    record.grants.truncate(1);
    record.intent = Some(amigo_api::Intent {
        creator_user_id: None,
        attempt: 1,
        nonce: "0123456789abcdef".to_owned(),
        holder: "operator".to_owned(),
        opened_at: at(880),
        duration: "PT1H".to_owned(),
        lease: 0,
        slots: vec![1],
    });
    let permissions = report(&object, &ready()).permissions;
    let found: Vec<_> = permissions.iter().map(|permission| permission.state).collect();
    assert_eq!(found, ["live", "unknown", "pending"]);
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
    let report = report(&object, &ready());
    let found: Vec<_> = report.permissions.iter().map(|permission| permission.conditions.as_str()).collect();
    assert_eq!(found, ["org_id Equals \"acme\"", "unconditional"]);
    assert!(fact(&report, "Access").starts_with("2 permissions"));
    assert!(render(&report, at(NOW)).contains("CONDITIONS"));
}
