use amigo_api::{
    Adoption, DeletionPolicy, DenyRecord, DriftPolicy, FrontendView, RoleGrant, RoleSpec, RoleStatus, reasons,
};
use amigo_client::{PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole};
use amigo_permissions::{Action, Condition, Conditions};

use super::plan::*;
use crate::role;

fn own_organization() -> Conditions {
    [("org_id".to_owned(), Condition::Equals { value: "{self_org_id}".into() })].into()
}

fn allow(permission_name: &str) -> RoleGrant {
    RoleGrant { permission_name: permission_name.to_owned(), conditions: own_organization(), ..RoleGrant::default() }
}

fn deny(permission_name: &str) -> RoleGrant {
    RoleGrant { action: Action::Deny, ..allow(permission_name) }
}

fn reviewer() -> RoleSpec {
    RoleSpec {
        description: "Reads".to_owned(),
        permission_grants: vec![allow("Conversation:GetConversation"), allow("Conversation:GetMessage")],
        ..RoleSpec::default()
    }
}

/// Nothing is known of the role.
static UNKNOWN: RoleStatus = RoleStatus {
    observed_generation: None,
    organization: None,
    applied_digest: None,
    role_name: None,
    role_id: None,
    creating: false,
    deny: None,
    denied_digests: Vec::new(),
    conditions: Vec::new(),
};

fn desired(spec: &RoleSpec) -> Desired<'_> {
    let model = PermissionModel::AllowOnly;
    Desired {
        name: "reviewer",
        spec,
        model,
        wanted: role::wanted(spec, model),
        deny_shown: false,
        drift_policy: DriftPolicy::Correct,
        status: &UNKNOWN,
        suspended: false,
    }
}

/// In an organization whose API is seen to know Deny.
fn denying(spec: &RoleSpec) -> Desired<'_> {
    let model = PermissionModel::AllowDeny;
    Desired { model, wanted: role::wanted(spec, model), deny_shown: true, ..desired(spec) }
}

/// The role as it was managed when it last was what this spec says.
fn settled(spec: &RoleSpec) -> RoleStatus {
    RoleStatus {
        role_id: Some("id-1".to_owned()),
        applied_digest: Some(desired(spec).digest()),
        ..RoleStatus::default()
    }
}

fn with_deny() -> RoleSpec {
    let mut spec = reviewer();
    spec.permission_grants.push(deny("Conversation:InteractWithConversation"));
    spec
}

fn remote(spec: &RoleSpec) -> RemoteRole {
    after(&desired(spec), "id-1".to_owned())
}

fn reason(plan: &Plan) -> &'static str {
    match plan {
        Plan::Leave(failure) => failure.reason,
        other => panic!("not left: {other:?}"),
    }
}

#[test]
fn an_absent_role_is_created() {
    let spec = reviewer();
    let Plan::Create(new) = plan(&desired(&spec), None) else { panic!("not created") };
    assert_eq!((new.name.as_str(), new.permission_grants.len()), ("reviewer", 2));
}

#[test]
fn a_role_that_is_right_is_kept_whatever_the_order_of_its_grants() {
    let spec = reviewer();
    let mut there = remote(&spec);
    let RemoteGrants::Understood(grants) = &mut there.grants else { panic!("raw") };
    grants.reverse();
    assert_eq!(plan(&desired(&spec), Some(&there)), Plan::Keep { id: "id-1".to_owned() });
}

#[test]
fn only_what_differs_is_sent() {
    let spec = reviewer();
    let status = settled(&spec);
    let there = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    let desired = Desired { status: &status, ..desired(&spec) };
    let Plan::Change { change, differs } = plan(&desired, Some(&there)) else { panic!("not changed") };
    assert_eq!(differs, ["description"]);
    assert!(change.permission_grants.is_none() && change.frontend_view.is_none());
}

#[test]
fn every_difference_is_seen() {
    let spec = reviewer();
    let mut there = remote(&spec);
    there.frontend_view = None;
    there.grants = RemoteGrants::Understood(vec![RemotePermissionGrant {
        permission_name: "Conversation:GetConversation".to_owned(),
        conditions: Conditions::new(),
        action: None,
        description: None,
    }]);
    let status = settled(&spec);
    let desired = Desired { status: &status, ..desired(&spec) };
    let Plan::Change { differs, .. } = plan(&desired, Some(&there)) else { panic!("not changed") };
    assert_eq!(differs, ["frontendView", "permissionGrants"]);
}

/// Denies a part that no condition can leave out.
fn inexpressible() -> RoleSpec {
    let mut spec = with_deny();
    let condition = Condition::Equals { value: "u1".into() };
    let conditions = [("conversation_user_id".to_owned(), condition)].into();
    spec.permission_grants.push(RoleGrant { conditions, ..deny("Conversation:GetMessage") });
    spec
}

#[test]
fn a_deny_is_compiled_away_where_only_allow_is_known() {
    let spec = with_deny();
    let Plan::Create(new) = plan(&desired(&spec), None) else { panic!("not created") };
    assert_eq!((new.permission_grants.len(), new.model), (2, PermissionModel::AllowOnly));
    assert!(new.permission_grants.iter().all(|line| line.grant.action == Action::Allow));
    assert_eq!(desired(&spec).deny_record(&Plan::Create(new)), None);
}

#[test]
fn a_deny_without_an_equivalent_is_refused_and_named() {
    let spec = inexpressible();
    for observed in [None, Some(&remote(&reviewer()))] {
        let Plan::Leave(failure) = plan(&desired(&spec), observed) else { panic!("sent") };
        assert_eq!(failure.reason, reasons::DENY_NOT_SUPPORTED);
        for part in ["permissionGrants[3] denies Conversation:GetMessage", "permissionGrants[1]", "NotEquals \"u1\""] {
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}

#[test]
fn a_deny_is_refused_where_nothing_shows_that_it_is_known() {
    let spec = with_deny();
    let forced = Desired { deny_shown: false, ..denying(&spec) };
    let Plan::Leave(failure) = plan(&forced, None) else { panic!("sent") };
    assert_eq!(failure.reason, reasons::DENY_NOT_SUPPORTED);
    assert!(failure.message.contains("permissionGrants[2] denies Conversation:InteractWithConversation"));
    assert!(failure.message.contains("permissionModel is AllowDeny"), "{}", failure.message);
}

#[test]
fn a_deny_is_sent_under_allow_deny_and_written_down_before() {
    let spec = with_deny();
    let desired = denying(&spec);
    let planned = plan(&desired, None);
    assert!(matches!(planned, Plan::Create(_)));
    let record = desired.deny_record(&planned).expect("a record");
    assert_eq!((record.digest, record.dropped), (desired.digest(), false));
    let spec = reviewer();
    assert_eq!(denying(&spec).deny_record(&plan(&denying(&spec), None)), None);
}

#[test]
fn a_deny_that_became_an_allow_is_taken_away_and_not_sent_again() {
    let spec = with_deny();
    let allowing = allowing(&spec);
    let sent = DenyRecord { digest: denying(&spec).digest(), dropped: false };
    let status = |deny| RoleStatus { role_id: Some("id-2".to_owned()), deny: Some(deny), ..RoleStatus::default() };

    let unseen = status(sent.clone());
    let desired = Desired { status: &unseen, ..denying(&spec) };
    assert_eq!(plan(&desired, Some(&allowing)), Plan::Empty);
    let suspended = Desired { suspended: true, ..desired.clone() };
    assert_eq!(reason(&plan(&suspended, Some(&allowing))), reasons::SUSPENDED);
    let right = after(&desired, "id-2".to_owned());
    assert!(matches!(plan(&desired, Some(&right)), Plan::Keep { .. }));

    let dropped = status(DenyRecord { dropped: true, ..sent });
    let desired = Desired { status: &dropped, ..denying(&spec) };
    let emptied = RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..allowing.clone() };
    assert_eq!(plan(&desired, Some(&allowing)), Plan::Empty);
    assert_eq!(reason(&plan(&desired, Some(&emptied))), reasons::DENY_DROPPED);
    let without = reviewer();
    let desired = Desired { status: &dropped, ..denying(&without) };
    assert!(matches!(plan(&desired, Some(&emptied)), Plan::Change { .. }), "another spec is sent");
}

/// The role at Amigo, every grant an Allow.
fn allowing(spec: &RoleSpec) -> RemoteRole {
    let mut allowing = after(&denying(spec), "id-2".to_owned());
    let RemoteGrants::Understood(grants) = &mut allowing.grants else { panic!("raw") };
    for grant in grants {
        grant.action = None;
    }
    allowing
}

#[test]
fn an_api_that_forgets_its_denies_gets_the_compiled_role_or_an_empty_one_at_once() {
    for (spec, compiles) in [(with_deny(), true), (inexpressible(), false)] {
        let denied = DenyRecord { digest: denying(&spec).digest(), dropped: true };
        let applied = || Some(denying(&spec).digest());
        let statuses = [
            RoleStatus { applied_digest: applied(), ..UNKNOWN.clone() },
            RoleStatus { deny: Some(denied.clone()), ..UNKNOWN.clone() },
            RoleStatus { deny: Some(DenyRecord { dropped: false, ..denied.clone() }), ..UNKNOWN.clone() },
        ];
        for status in statuses.map(|status| RoleStatus { role_id: Some("id-2".to_owned()), ..status }) {
            let report = Desired { status: &status, drift_policy: DriftPolicy::Report, ..desired(&spec) };
            match plan(&report, Some(&allowing(&spec))) {
                Plan::Change { change, .. } => assert!(compiles && change.permission_grants.unwrap().len() == 2),
                other => assert!(!compiles && other == Plan::Empty, "{other:?}"),
            }
            let emptied = RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..allowing(&spec) };
            let next = plan(&Desired { drift_policy: DriftPolicy::Correct, ..report }, Some(&emptied));
            assert_eq!(matches!(next, Plan::Change { .. }), compiles, "{next:?}");
        }
    }
}

#[test]
fn a_forgotten_deny_is_contained_although_the_spec_was_edited_meanwhile() {
    let before = with_deny();
    let status = RoleStatus {
        role_id: Some("id-2".to_owned()),
        applied_digest: Some(denying(&before).digest()),
        denied_digests: role::as_written(&before).denied_digests(),
        ..UNKNOWN.clone()
    };
    let after = |spec: &RoleSpec| plan(&Desired { status: &status, ..desired(spec) }, Some(&allowing(&before)));
    let mut other = inexpressible();
    other.permission_grants.remove(2);
    assert_eq!(after(&other), Plan::Empty);
    assert!(matches!(after(&reviewer()), Plan::Change { .. }));
    let mut allowed = reviewer();
    allowed.permission_grants.push(allow("Conversation:InteractWithConversation"));
    assert!(matches!(after(&allowed), Plan::Keep { .. }), "what was denied may be allowed by now");
}

#[test]
fn a_model_that_comes_to_know_deny_gets_the_role_as_it_is_written() {
    let spec = with_deny();
    let status = settled(&spec);
    let desired = Desired { status: &status, ..denying(&spec) };
    let Plan::Change { change, .. } = plan(&desired, Some(&remote(&spec))) else { panic!("not changed") };
    assert_eq!(change.permission_grants.map(|grants| grants.len()), Some(3));
}

#[test]
fn grants_that_cannot_be_read_are_left_until_the_spec_changes() {
    let spec = with_deny();
    let odd = RemoteGrants::Raw { value: serde_json::Value::Null, reason: "odd".into() };
    let there = RemoteRole { grants: odd, ..remote(&spec) };
    let denied = |dropped| Some(DenyRecord { digest: denying(&spec).digest(), dropped });
    let unseen = RoleStatus { applied_digest: None, deny: denied(false), ..settled(&spec) };
    for status in [settled(&spec), unseen] {
        let report = Desired { status: &status, ..desired(&spec) };
        let Plan::Leave(failure) = plan(&report, Some(&there)) else { panic!("sent again") };
        assert_eq!(failure.reason, reasons::INVALID_RESPONSE);
        let edited = RoleSpec { description: "Edited".to_owned(), ..reviewer() };
        let edited = Desired { status: &status, ..desired(&edited) };
        assert!(matches!(plan(&edited, Some(&there)), Plan::Change { .. }));
    }
}

#[test]
fn a_compiled_role_that_exists_matches() {
    let spec = with_deny();
    assert!(matches!(plan(&desired(&spec), Some(&remote(&reviewer()))), Plan::Keep { .. }));
}

#[test]
fn descriptions_of_grants_are_not_compared_where_they_are_not_kept() {
    let mut spec = reviewer();
    spec.permission_grants[0].description = Some("Why".to_owned());
    let there = remote(&reviewer());
    let forced = Desired { deny_shown: false, ..denying(&spec) };
    assert!(matches!(plan(&forced, Some(&there)), Plan::Keep { .. }));
}

#[test]
fn a_base_role_is_refused_where_there_is_none() {
    let spec = RoleSpec { is_base_role: Some(true), ..reviewer() };
    assert_eq!(reason(&plan(&desired(&spec), None)), reasons::INVALID_SPEC);
    assert!(matches!(plan(&denying(&spec), None), Plan::Create(_)));
}

#[test]
fn a_role_whose_creation_was_begun_is_the_objects_own() {
    let spec = RoleSpec { adoption: Adoption::Never, ..reviewer() };
    let there = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    assert_eq!(reason(&plan(&desired(&spec), Some(&there))), reasons::ADOPTION_REFUSED);
    let begun = RoleStatus { creating: true, ..RoleStatus::default() };
    let desired = Desired { status: &begun, ..desired(&spec) };
    assert!(matches!(plan(&desired, Some(&there)), Plan::Change { .. }));
    assert!(matches!(plan(&desired, Some(&remote(&spec))), Plan::Keep { .. }));
}

#[test]
fn an_unknown_role_is_adopted_as_the_policy_says() {
    let spec = reviewer();
    let same = remote(&spec);
    let other = RemoteRole { frontend_view: None, ..same.clone() };
    let with = |adoption| RoleSpec { adoption, ..reviewer() };
    let decide = |spec: &RoleSpec, there: &RemoteRole| plan(&desired(spec), Some(there));
    assert!(matches!(decide(&with(Adoption::IfMatches), &same), Plan::Keep { .. }));
    assert_eq!(reason(&decide(&with(Adoption::IfMatches), &other)), reasons::ADOPTION_REFUSED);
    assert!(matches!(decide(&with(Adoption::Override), &other), Plan::Change { .. }));
    assert_eq!(reason(&decide(&with(Adoption::Never), &same)), reasons::ADOPTION_REFUSED);
}

#[test]
fn drift_is_reported_where_the_policy_says_so_and_a_new_spec_is_not_drift() {
    let spec = reviewer();
    let status = settled(&spec);
    let there = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    let report = Desired { drift_policy: DriftPolicy::Report, status: &status, ..desired(&spec) };
    assert_eq!(reason(&plan(&report, Some(&there))), reasons::DRIFTED);
    // What is not sent is no new spec.
    let rules = RoleSpec {
        drift_policy: Some(DriftPolicy::Report),
        adoption: Adoption::Override,
        deletion_policy: DeletionPolicy::Disable,
        ..reviewer()
    };
    assert_eq!(reason(&plan(&Desired { spec: &rules, ..report.clone() }, Some(&there))), reasons::DRIFTED);
    let narrowed = RoleSpec { permission_grants: Vec::new(), ..reviewer() };
    assert!(matches!(
        plan(&Desired { spec: &narrowed, wanted: role::wanted(&narrowed, report.model), ..report }, Some(&there)),
        Plan::Change { .. }
    ));
}

#[test]
fn nothing_is_changed_while_suspended() {
    let spec = reviewer();
    let there = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    let status = settled(&spec);
    let suspended = Desired { suspended: true, status: &status, ..desired(&spec) };
    assert_eq!(reason(&plan(&suspended, Some(&there))), reasons::SUSPENDED);
    assert_eq!(reason(&plan(&suspended, None)), reasons::SUSPENDED);
    assert!(matches!(plan(&suspended, Some(&remote(&spec))), Plan::Keep { .. }));
}

#[test]
fn amigos_own_roles_are_left_alone() {
    let spec = RoleSpec { frontend_view: FrontendView::Admin, ..reviewer() };
    let desired = Desired { name: "DefaultUserRole", ..desired(&spec) };
    assert_eq!(reason(&plan(&desired, None)), reasons::RESERVED_NAME);
}
