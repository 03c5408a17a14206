use amigo_api::{
    Adoption, DeletionPolicy, DenyRecord, DriftPolicy, FrontendView, ManagementPolicy, RoleGrant, RoleSpec, RoleStatus,
    reasons,
};
use amigo_client::{PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole};
use amigo_permissions::{Action, Condition, Conditions};
use jiff::Timestamp;

use super::{desired::DesiredRole, plan::*};

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

const AT: Timestamp = Timestamp::UNIX_EPOCH;

/// The status of a role that was never reconciled.
static UNKNOWN: RoleStatus = RoleStatus {
    observed_generation: None,
    organization: None,
    api_origin: None,
    applied_digest: None,
    role_name: None,
    role_id: None,
    sent: None,
    last_handled_resync: None,
    deny: None,
    denied_digests: Vec::new(),
    conditions: Vec::new(),
};

fn input(spec: &RoleSpec) -> PlanInput<'_> {
    let model = PermissionModel::AllowOnly;
    PlanInput {
        name: "reviewer",
        spec,
        model,
        desired: DesiredRole::from_spec(spec, model),
        deny_observed: false,
        drift_policy: DriftPolicy::Correct,
        status: &UNKNOWN,
        suspended: false,
    }
}

/// In an organization whose API supports Deny.
fn with_deny_support(spec: &RoleSpec) -> PlanInput<'_> {
    let model = PermissionModel::AllowDeny;
    PlanInput { model, desired: DesiredRole::from_spec(spec, model), deny_observed: true, ..input(spec) }
}

/// The status after this spec was applied.
fn applied(spec: &RoleSpec) -> RoleStatus {
    RoleStatus { role_id: Some("id-1".to_owned()), applied_digest: Some(input(spec).digest()), ..RoleStatus::default() }
}

fn with_deny() -> RoleSpec {
    let mut spec = reviewer();
    spec.permission_grants.push(deny("Conversation:InteractWithConversation"));
    spec
}

fn remote(spec: &RoleSpec) -> RemoteRole {
    role_after(&input(spec), "id-1".to_owned())
}

fn reason(plan: &Plan) -> &'static str {
    match plan {
        Plan::Skip(failure) => failure.reason,
        other => panic!("not skipped: {other:?}"),
    }
}

#[test]
fn missing_role_is_created() {
    let spec = reviewer();
    let Plan::Create(new) = plan(&input(&spec), None) else { panic!("not created") };
    assert_eq!((new.name.as_str(), new.permission_grants.len()), ("reviewer", 2));
}

#[test]
fn matching_role_is_kept_in_any_grant_order() {
    let spec = reviewer();
    let mut observed = remote(&spec);
    let RemoteGrants::Understood(grants) = &mut observed.grants else { panic!("raw") };
    grants.reverse();
    assert_eq!(plan(&input(&spec), Some(&observed)), Plan::Keep { id: "id-1".to_owned(), adopted: true });
}

#[test]
fn only_what_fields_is_sent() {
    let spec = reviewer();
    let status = applied(&spec);
    let observed = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    let input = PlanInput { status: &status, ..input(&spec) };
    let Plan::Update { change, fields } = plan(&input, Some(&observed)) else { panic!("not updated") };
    assert_eq!(fields, ["description"]);
    assert!(change.permission_grants.is_none() && change.frontend_view.is_none());
}

#[test]
fn all_differing_fields_are_detected() {
    let spec = reviewer();
    let mut observed = remote(&spec);
    observed.frontend_view = None;
    observed.grants = RemoteGrants::Understood(vec![RemotePermissionGrant {
        permission_name: "Conversation:GetConversation".to_owned(),
        conditions: Conditions::new(),
        action: None,
        description: None,
    }]);
    let status = applied(&spec);
    let input = PlanInput { status: &status, ..input(&spec) };
    let Plan::Update { fields, .. } = plan(&input, Some(&observed)) else { panic!("not updated") };
    assert_eq!(fields, ["frontendView", "permissionGrants"]);
}

/// Denies a part that no condition on an Allow can exclude.
fn inexpressible() -> RoleSpec {
    let mut spec = with_deny();
    let condition = Condition::Equals { value: "u1".into() };
    let conditions = [("conversation_user_id".to_owned(), condition)].into();
    spec.permission_grants.push(RoleGrant { conditions, ..deny("Conversation:GetMessage") });
    spec
}

#[test]
fn deny_is_compiled_away_for_allow_only_api() {
    let spec = with_deny();
    let Plan::Create(new) = plan(&input(&spec), None) else { panic!("not created") };
    assert_eq!((new.permission_grants.len(), new.model), (2, PermissionModel::AllowOnly));
    assert!(new.permission_grants.iter().all(|line| line.grant.action == Action::Allow));
    assert_eq!(input(&spec).deny_record(&Plan::Create(new)), None);
}

#[test]
fn deny_without_equivalent_is_rejected_by_index() {
    let spec = inexpressible();
    for observed in [None, Some(&remote(&reviewer()))] {
        let Plan::Skip(failure) = plan(&input(&spec), observed) else { panic!("sent") };
        assert_eq!(failure.reason, reasons::DENY_NOT_SUPPORTED);
        for part in ["permissionGrants[3] denies Conversation:GetMessage", "permissionGrants[1]", "NotEquals \"u1\""] {
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}

#[test]
fn deny_is_rejected_unless_support_was_observed() {
    let spec = with_deny();
    let forced = PlanInput { deny_observed: false, ..with_deny_support(&spec) };
    let Plan::Skip(failure) = plan(&forced, None) else { panic!("sent") };
    assert_eq!(failure.reason, reasons::DENY_NOT_SUPPORTED);
    assert!(failure.message.contains("permissionGrants[2] denies Conversation:InteractWithConversation"));
    assert!(failure.message.contains("permissionModel is AllowDeny"), "{}", failure.message);
}

#[test]
fn deny_is_recorded_before_it_is_sent() {
    let spec = with_deny();
    let input = with_deny_support(&spec);
    let planned = plan(&input, None);
    assert!(matches!(planned, Plan::Create(_)));
    let record = input.deny_record(&planned).expect("a record");
    assert_eq!((record.digest, record.dropped), (input.digest(), false));
    let spec = reviewer();
    assert_eq!(with_deny_support(&spec).deny_record(&plan(&with_deny_support(&spec), None)), None);
}

#[test]
fn dropped_deny_is_removed_and_not_sent_again() {
    let spec = with_deny();
    let without_actions = without_actions(&spec);
    let sent = DenyRecord { digest: with_deny_support(&spec).digest(), dropped: false };
    let status = |deny| RoleStatus { role_id: Some("id-2".to_owned()), deny: Some(deny), ..RoleStatus::default() };

    let unseen = status(sent.clone());
    let input = PlanInput { status: &unseen, ..with_deny_support(&spec) };
    assert_eq!(plan(&input, Some(&without_actions)), Plan::RemoveGrants);
    let suspended = PlanInput { suspended: true, ..input.clone() };
    assert_eq!(reason(&plan(&suspended, Some(&without_actions))), reasons::SUSPENDED);
    let right = role_after(&input, "id-2".to_owned());
    assert!(matches!(plan(&input, Some(&right)), Plan::Keep { .. }));

    let dropped = status(DenyRecord { dropped: true, ..sent });
    let input = PlanInput { status: &dropped, ..with_deny_support(&spec) };
    let emptied = RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..without_actions.clone() };
    assert_eq!(plan(&input, Some(&without_actions)), Plan::RemoveGrants);
    assert_eq!(reason(&plan(&input, Some(&emptied))), reasons::DENY_DROPPED);
    let without = reviewer();
    let input = PlanInput { status: &dropped, ..with_deny_support(&without) };
    assert!(matches!(plan(&input, Some(&emptied)), Plan::Update { .. }), "another spec is sent");
}

/// The role at Amigo with every grant an Allow.
fn without_actions(spec: &RoleSpec) -> RemoteRole {
    let mut without_actions = role_after(&with_deny_support(spec), "id-2".to_owned());
    let RemoteGrants::Understood(grants) = &mut without_actions.grants else { panic!("raw") };
    for grant in grants {
        grant.action = None;
    }
    without_actions
}

#[test]
fn api_losing_deny_gets_compiled_or_empty_role() {
    for (spec, compiles) in [(with_deny(), true), (inexpressible(), false)] {
        let denied = DenyRecord { digest: with_deny_support(&spec).digest(), dropped: true };
        let applied = || Some(with_deny_support(&spec).digest());
        let statuses = [
            RoleStatus {
                applied_digest: applied(),
                denied_digests: DesiredRole::uncompiled(&spec).denied_digests(),
                ..UNKNOWN.clone()
            },
            RoleStatus { deny: Some(denied.clone()), ..UNKNOWN.clone() },
            RoleStatus { deny: Some(DenyRecord { dropped: false, ..denied.clone() }), ..UNKNOWN.clone() },
        ];
        for status in statuses.map(|status| RoleStatus { role_id: Some("id-2".to_owned()), ..status }) {
            let report = PlanInput { status: &status, drift_policy: DriftPolicy::Report, ..input(&spec) };
            match plan(&report, Some(&without_actions(&spec))) {
                Plan::Update { change, .. } => assert!(compiles && change.permission_grants.unwrap().len() == 2),
                other => assert!(!compiles && other == Plan::RemoveGrants, "{other:?}"),
            }
            let emptied = RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..without_actions(&spec) };
            let next = plan(&PlanInput { drift_policy: DriftPolicy::Correct, ..report }, Some(&emptied));
            assert_eq!(matches!(next, Plan::Update { .. }), compiles, "{next:?}");
        }
    }
}

#[test]
fn dropped_deny_is_removed_after_spec_edit() {
    let before = with_deny();
    let status = RoleStatus {
        role_id: Some("id-2".to_owned()),
        applied_digest: Some(with_deny_support(&before).digest()),
        denied_digests: DesiredRole::uncompiled(&before).denied_digests(),
        ..UNKNOWN.clone()
    };
    let plan_for =
        |spec: &RoleSpec| plan(&PlanInput { status: &status, ..input(spec) }, Some(&without_actions(&before)));
    let mut other = inexpressible();
    other.permission_grants.remove(2);
    assert_eq!(plan_for(&other), Plan::RemoveGrants);
    assert!(matches!(plan_for(&reviewer()), Plan::Update { .. }));
    let mut allowed = reviewer();
    allowed.permission_grants.push(allow("Conversation:InteractWithConversation"));
    assert!(matches!(plan_for(&allowed), Plan::Keep { .. }), "the spec now allows what it denied before");
}

#[test]
fn api_gaining_deny_gets_role_as_written() {
    let spec = with_deny();
    let status = applied(&spec);
    let input = PlanInput { status: &status, ..with_deny_support(&spec) };
    let Plan::Update { change, .. } = plan(&input, Some(&remote(&spec))) else { panic!("not updated") };
    assert_eq!(change.permission_grants.map(|grants| grants.len()), Some(3));
}

#[test]
fn unreadable_grants_stay_until_spec_changes() {
    let spec = with_deny();
    let raw = RemoteGrants::Raw { value: serde_json::Value::Null, reason: "not a list".into() };
    let observed = RemoteRole { grants: raw, ..remote(&spec) };
    let denied = |dropped| Some(DenyRecord { digest: with_deny_support(&spec).digest(), dropped });
    let unseen = RoleStatus { applied_digest: None, deny: denied(false), ..applied(&spec) };
    for status in [applied(&spec), unseen] {
        let report = PlanInput { status: &status, ..input(&spec) };
        let Plan::Skip(failure) = plan(&report, Some(&observed)) else { panic!("sent again") };
        assert_eq!(failure.reason, reasons::INVALID_RESPONSE);
        let edited = RoleSpec { description: "Edited".to_owned(), ..reviewer() };
        let edited = PlanInput { status: &status, ..input(&edited) };
        assert!(matches!(plan(&edited, Some(&observed)), Plan::Update { .. }));
    }
}

#[test]
fn existing_compiled_role_matches() {
    let spec = with_deny();
    assert!(matches!(plan(&input(&spec), Some(&remote(&reviewer()))), Plan::Keep { .. }));
}

#[test]
fn unsupported_grant_descriptions_are_not_compared() {
    let mut spec = reviewer();
    spec.permission_grants[0].description = Some("Why".to_owned());
    let observed = remote(&reviewer());
    let forced = PlanInput { deny_observed: false, ..with_deny_support(&spec) };
    assert!(matches!(plan(&forced, Some(&observed)), Plan::Keep { .. }));
}

#[test]
fn base_role_is_rejected_for_allow_only_api() {
    let spec = RoleSpec { is_base_role: Some(true), ..reviewer() };
    assert_eq!(reason(&plan(&input(&spec), None)), reasons::INVALID_SPEC);
    assert!(matches!(plan(&with_deny_support(&spec), None), Plan::Create(_)));
}

/// The status after the creation of this spec was sent, and its response lost.
fn creation_begun(spec: &RoleSpec, model: PermissionModel) -> RoleStatus {
    let input = PlanInput { model, desired: DesiredRole::from_spec(spec, model), ..input(spec) };
    let denied_digests = input.desired.as_ref().map_or_else(|_| Vec::new(), DesiredRole::denied_digests);
    RoleStatus { sent: input.sent(AT, None), denied_digests, ..RoleStatus::default() }
}

#[test]
fn unconfirmed_creation_owns_only_what_was_sent() {
    let spec = RoleSpec { adoption: Adoption::Never, ..reviewer() };
    let begun = creation_begun(&spec, PermissionModel::AllowOnly);
    let input = PlanInput { status: &begun, ..input(&spec) };
    assert!(matches!(plan(&input, Some(&remote(&spec))), Plan::Keep { adopted: false, .. }));
    let other = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    assert_eq!(reason(&plan(&input, Some(&other))), reasons::ADOPTION_REFUSED, "somebody else's");
    // The spec was edited after the creation was sent.
    let edited = RoleSpec { description: "Edited".to_owned(), ..spec.clone() };
    let edited = PlanInput { status: &begun, desired: DesiredRole::from_spec(&edited, input.model), ..input.clone() };
    assert!(matches!(plan(&edited, Some(&remote(&spec))), Plan::Update { .. }));
}

#[test]
fn unconfirmed_creation_owns_role_with_dropped_deny() {
    let spec = with_deny();
    let begun = RoleStatus {
        deny: Some(DenyRecord { digest: input(&spec).digest(), dropped: false }),
        ..creation_begun(&spec, PermissionModel::AllowDeny)
    };
    let input = PlanInput { status: &begun, ..with_deny_support(&spec) };
    assert_eq!(plan(&input, Some(&without_actions(&spec))), Plan::RemoveGrants);
    let other = RemoteRole { description: "Other".to_owned(), ..without_actions(&spec) };
    assert_eq!(reason(&plan(&input, Some(&other))), reasons::ADOPTION_REFUSED, "somebody else's");
}

#[test]
fn own_document_that_differs_is_not_sent_again() {
    let spec = reviewer();
    let sent = input(&spec).sent(AT, Some("id-1".to_owned()));
    let status = RoleStatus { sent, ..applied(&spec) };
    let input = PlanInput { status: &status, ..input(&spec) };
    let stored = RemoteRole { grants: RemoteGrants::Understood(Vec::new()), ..remote(&spec) };
    let Plan::Skip(failure) = plan(&input, Some(&stored)) else { panic!("sent again") };
    assert_eq!(failure.reason, reasons::DRIFTED);
    assert!(
        failure.message.contains("stores role reviewer differently") && failure.message.contains("permissionGrants")
    );
    let described = RemoteRole { description: "By hand".to_owned(), ..stored.clone() };
    let Plan::Update { change, fields } = plan(&input, Some(&described)) else { panic!("not corrected") };
    assert_eq!((fields, change.permission_grants), (vec!["description"], None));
    let by_others = RemoteRole { id: "id-2".to_owned(), ..stored };
    assert!(
        matches!(plan(&input, Some(&by_others)), Plan::Update { .. }),
        "another document is somebody else's change"
    );
}

#[test]
fn in_values_are_a_set() {
    let values = |values: [&str; 3]| Condition::In { values: values.map(Into::into).to_vec() };
    let with = |condition| {
        let conditions = [("conversation_user_id".to_owned(), condition)].into();
        RoleSpec { permission_grants: vec![RoleGrant { conditions, ..allow("A:B") }], ..reviewer() }
    };
    let spec = with(values(["c", "a", "b"]));
    let sorted = remote(&with(values(["a", "b", "c"])));
    assert!(matches!(plan(&input(&spec), Some(&sorted)), Plan::Keep { .. }));
    let other = remote(&with(values(["a", "b", "d"])));
    assert_eq!(reason(&plan(&input(&spec), Some(&other))), reasons::ADOPTION_REFUSED);
}

#[test]
fn flipped_model_is_neither_drift_nor_a_new_spec() {
    let spec = with_deny();
    let status = RoleStatus { sent: input(&spec).sent(AT, Some("id-1".to_owned())), ..applied(&spec) };
    let report = PlanInput { drift_policy: DriftPolicy::Report, status: &status, ..with_deny_support(&spec) };
    assert!(
        matches!(plan(&report, Some(&remote(&spec))), Plan::Update { .. }),
        "the compiled form is the operator's own"
    );
    let by_hand = RemoteRole { description: "By hand".to_owned(), id: "id-2".to_owned(), ..remote(&spec) };
    assert_eq!(reason(&plan(&report, Some(&by_hand))), reasons::DRIFTED);
}

#[test]
fn observing_object_reports_and_sends_nothing() {
    let spec = RoleSpec { management_policy: ManagementPolicy::Observe, adoption: Adoption::Override, ..reviewer() };
    let status = applied(&spec);
    let input = PlanInput { status: &status, ..input(&spec) };
    assert!(matches!(plan(&input, Some(&remote(&spec))), Plan::Keep { adopted: false, .. }));
    let other = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    for (observed, part) in [(None, "does not exist"), (Some(&other), "(description)")] {
        let Plan::Skip(failure) = plan(&input, observed) else { panic!("sent") };
        assert_eq!(failure.reason, reasons::DRIFTED);
        assert!(failure.message.contains(part) && failure.message.contains("Observe"), "{}", failure.message);
    }
}

#[test]
fn unmanaged_role_follows_adoption_policy() {
    let spec = reviewer();
    let same = remote(&spec);
    let other = RemoteRole { frontend_view: None, ..same.clone() };
    let with = |adoption| RoleSpec { adoption, ..reviewer() };
    let decide = |spec: &RoleSpec, observed: &RemoteRole| plan(&input(spec), Some(observed));
    assert!(matches!(decide(&with(Adoption::IfMatches), &same), Plan::Keep { .. }));
    assert_eq!(reason(&decide(&with(Adoption::IfMatches), &other)), reasons::ADOPTION_REFUSED);
    assert!(matches!(decide(&with(Adoption::Override), &other), Plan::Update { .. }));
    assert_eq!(reason(&decide(&with(Adoption::Never), &same)), reasons::ADOPTION_REFUSED);
}

#[test]
fn drift_policy_reports_drift_but_not_new_specs() {
    let spec = reviewer();
    let status = applied(&spec);
    let observed = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    let report = PlanInput { drift_policy: DriftPolicy::Report, status: &status, ..input(&spec) };
    assert_eq!(reason(&plan(&report, Some(&observed))), reasons::DRIFTED);
    // Fields that are not sent make no new spec.
    let rules = RoleSpec {
        drift_policy: Some(DriftPolicy::Report),
        adoption: Adoption::Override,
        deletion_policy: DeletionPolicy::Disable,
        ..reviewer()
    };
    assert_eq!(reason(&plan(&PlanInput { spec: &rules, ..report.clone() }, Some(&observed))), reasons::DRIFTED);
    let narrowed = RoleSpec { permission_grants: Vec::new(), ..reviewer() };
    assert!(matches!(
        plan(
            &PlanInput { spec: &narrowed, desired: DesiredRole::from_spec(&narrowed, report.model), ..report },
            Some(&observed)
        ),
        Plan::Update { .. }
    ));
}

#[test]
fn suspended_role_is_not_changed() {
    let spec = reviewer();
    let observed = RemoteRole { description: "Other".to_owned(), ..remote(&spec) };
    let status = applied(&spec);
    let suspended = PlanInput { suspended: true, status: &status, ..input(&spec) };
    assert_eq!(reason(&plan(&suspended, Some(&observed))), reasons::SUSPENDED);
    assert_eq!(reason(&plan(&suspended, None)), reasons::SUSPENDED);
    assert!(matches!(plan(&suspended, Some(&remote(&spec))), Plan::Keep { .. }));
}

#[test]
fn reserved_roles_are_rejected() {
    let spec = RoleSpec { frontend_view: FrontendView::Admin, ..reviewer() };
    let input = PlanInput { name: "DefaultUserRole", ..input(&spec) };
    assert_eq!(reason(&plan(&input, None)), reasons::RESERVED_NAME);
}
