//! Limits that the values set.

use serde_json::{Value, json};
use test_support::helm::{chart, helm};
use test_support::policies::{GITOPS, PolicyEnv, WITHIN};
use test_support::{ENGINEER, eventually};

use super::requesters::{request, with};

fn permissions(names: &[&str]) -> Value {
    let mut object = request();
    object["spec"].as_object_mut().expect("a spec").remove("conversation");
    let names: Vec<Value> = names.iter().map(|name| json!({"permissionName": name})).collect();
    with(object, "permissions", names)
}

async fn policies(prefix: &str, limits: &[&str]) -> PolicyEnv {
    PolicyEnv::new(prefix, &[&["--set=admission.requestedBy.enabled=false"], limits].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_longer_than_the_limit() {
    let policies = policies("longest", &["--set=admission.limits.longestDuration=P1DT2H"]).await;
    let ask = |duration: &str| policies.create(ENGINEER, &with(request(), "duration", duration));
    policies.until_refused("spec.duration must be at most P1DT2H in this cluster", || ask("P3D")).await;
    for (duration, fits) in [
        ("P1DT2H", true),
        ("PT26H", true),
        ("PT1560M", true),
        ("PT93600S", true),
        ("P1D", true),
        ("PT1H59M60S", true),
        ("P1DT2H1S", false),
        ("PT25H60M1S", false),
        ("PT93601S", false),
        ("P2D", false),
    ] {
        assert_eq!(ask(duration).success, fits, "{duration}");
    }
    policies.create(ENGINEER, &request()).expect("without a duration the Organization's default counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_permissions_of_the_list_are_asked_for() {
    let policies = policies("listed", &["--set=admission.limits.permissions={Conversation:*,User:GetUserInfo}"]).await;
    let ask = |names: &[&str]| policies.create(ENGINEER, &permissions(names));
    let message = "this cluster does not allow requests for Role:GetRole, User:GetUser: request only Conversation:*, \
                   User:GetUserInfo";
    policies.until_refused(message, || ask(&["User:GetUserInfo", "Role:GetRole", "User:GetUser"])).await;
    ask(&["Conversation:GetMessage", "User:GetUserInfo"]).expect("both are listed");
    policies.create(ENGINEER, &request()).expect("a conversation");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_request_counts_its_three_permissions() {
    let policies = policies("three", &["--set=admission.limits.permissions={Conversation:GetMessage}"]).await;
    let message =
        "does not allow requests for Conversation:GetConversation, Conversation:GetInteractionInsights: request only";
    policies.until_refused(message, || policies.create(ENGINEER, &request())).await;
    policies.create(ENGINEER, &permissions(&["Conversation:GetMessage"])).expect("one of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_justification_matches_the_pattern() {
    let pattern = r#"--set-json=admission.limits={"justificationPattern":"^[A-Z]+-\\d+: \"?","justificationExample":"SUP-4711: what the customer saw"}"#;
    let policies = policies("pattern", &[pattern]).await;
    let ask = |text: &str| policies.create(ENGINEER, &with(request(), "justification", text));
    let message = r#"spec.justification must match the pattern ^[A-Z]+-\d+: "?, for example SUP-4711: what"#;
    policies.until_refused(message, || ask("I am just curious")).await;
    ask("SUP-4711: the agent offered a slot that was taken").expect("a ticket");
}

#[test]
fn limits_that_make_no_sense_are_refused_by_helm() {
    let chart = chart().display().to_string();
    for (flag, message) in [
        ("longestDuration=8h", "such as PT30M, P1D or P1DT12H"),
        (
            "permissions={GetMessage}",
            "a permission such as Conversation:GetMessage, or a prefix such as Conversation:*",
        ),
        ("justificationPattern=[A-Z", "error parsing regexp: missing closing ]"),
    ] {
        let flag = format!("--set=admission.limits.{flag}");
        let run = helm(&["template", "amigo-operator", &chart, &flag]);
        assert!(!run.success && run.stderr.contains(message), "{flag}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_after_can_be_required() {
    let policies = policies("end", &["--set=admission.limits.requireNotAfter=true"]).await;
    let message = "set spec.notAfter, the time after which this cluster grants no access for the request";
    policies.until_refused(message, || policies.create(ENGINEER, &request())).await;
    policies.create(ENGINEER, &with(request(), "notAfter", "2999-01-31T18:00:00Z")).expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_tool_is_warned_without_not_after() {
    let trusted = format!("--set=admission.trustedRequesters={{{GITOPS}}}");
    let policies = policies("tool", &["--set=admission.ownRequests.enabled=false", &trusted]).await;
    let message = "a tool that creates this request again after it expired grants new access: set spec.notAfter";
    let warned = |name: &str, object: &Value| policies.create_as(name, &[], object).stderr.contains(message);
    eventually(WITHIN, "a warning", || async { warned(GITOPS, &request()).then_some(()) }).await;
    assert!(!warned(GITOPS, &with(request(), "notAfter", "2999-01-31T18:00:00Z")));
    assert!(!warned("somebody@example.com", &request()));
}

#[test]
fn longest_duration_is_read_in_base_ten() {
    let chart = chart().display().to_string();
    for (text, seconds) in
        [("PT08H", 28_800), ("PT010H", 36_000), ("P1DT08H09M", 115_740), ("PT00H5M", 300), ("P010D", 864_000)]
    {
        let flag = format!("--set=admission.limits.longestDuration={text}");
        let show = "--show-only=templates/admission/limits.yaml";
        let manifest = helm(&["template", "amigo-operator", &chart, &flag, show]).expect("a policy");
        assert!(manifest.contains(&format!(" <= {seconds})")), "{text}: {manifest}");
    }
}
