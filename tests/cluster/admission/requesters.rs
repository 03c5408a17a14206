//! Who asks, and for whom.

use serde_json::{Value, json};
use test_support::policies::{GITOPS, MUTATING, PolicyEnv, made};
use test_support::{ENGINEER, STRANGER, TIMEOUT, eventually};

/// A request for the engineer.
pub fn request() -> Value {
    json!({
        "apiVersion": "permissions.amigo.ai/v1alpha1",
        "kind": "TemporaryPermissionGrant",
        "metadata": {"generateName": "request-"},
        "spec": {
            "organizationRef": {"name": "acme"},
            "user": {"email": ENGINEER},
            "justification": "SUP-4711: the agent offered a slot that was taken",
            "conversation": {"ownerUserId": "user-owner-7f3a"},
        },
    })
}

/// The same with another member of its spec.
pub fn with(mut object: Value, member: &str, value: impl Into<Value>) -> Value {
    object["spec"][member] = value.into();
    object
}

fn named(name: &str) -> Value {
    let mut object = request();
    object["metadata"] = json!({"name": name});
    object
}

fn asked_by(name: &str) -> Value {
    with(request(), "requestedBy", name)
}

fn for_user(user: &Value) -> Value {
    with(request(), "user", user.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn requested_by_is_filled_in_and_cannot_be_forged() {
    let policies = PolicyEnv::new("filled", &[MUTATING]).await;
    let message = "spec.requestedBy must match your user name, eng@example.com: correct it or omit it";
    let refusal = policies.until_refused(message, || policies.create(ENGINEER, &asked_by(STRANGER))).await;
    assert!(refusal.starts_with("Error from server (Forbidden)"), "{refusal}");
    let filled = policies.until_filled(|| policies.create(ENGINEER, &request())).await;
    assert_eq!(filled["spec"]["requestedBy"], ENGINEER);
    assert_eq!(made(policies.create(ENGINEER, &asked_by(ENGINEER)))["spec"]["requestedBy"], ENGINEER);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_without_requested_by_can_be_reapplied() {
    let policies = PolicyEnv::new("again", &[MUTATING]).await;
    policies.until_filled(|| policies.create(ENGINEER, &request())).await;
    for (name, flags) in [("by-client", &["apply"][..]), ("by-server", &["apply", "--server-side"][..])] {
        let apply = |object: &Value| {
            let arguments = [["--context", ENGINEER].as_slice(), flags, &["--filename=-"]].concat();
            policies.env.kubectl_with(&arguments, &object.to_string())
        };
        apply(&named(name)).expect("created");
        let mut labelled = named(name);
        labelled["metadata"]["labels"] = json!({"team": "support"});
        apply(&labelled).expect("applied again");
        let path = "jsonpath={.metadata.labels.team} {.spec.requestedBy}";
        assert_eq!(policies.env.kubectl(&["get", "tpg", name, "--output", path]).stdout, "support eng@example.com");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_keeps_who_asked_and_cannot_change_it() {
    let policies = PolicyEnv::new("kept", &[MUTATING]).await;
    policies.until_filled(|| policies.create(ENGINEER, &request())).await;
    policies.create(ENGINEER, &named("kept")).expect("created");
    let replace = |user: &str, object: &Value| {
        policies.env.kubectl_with(&["--context", user, "replace", "--filename=-"], &object.to_string())
    };
    replace(STRANGER, &named("kept")).expect("replaced");
    let path = "jsonpath={.spec.requestedBy}";
    assert_eq!(policies.env.kubectl(&["get", "tpg", "kept", "--output", path]).stdout, ENGINEER);
    let refused = replace(STRANGER, &with(named("kept"), "requestedBy", STRANGER));
    assert!(refused.stderr.contains("the spec of a grant is immutable"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn requested_by_is_required_without_defaulting() {
    let policies = PolicyEnv::new("older", &[]).await;
    let message = "spec.requestedBy must match your user name: set it to eng@example.com";
    policies.until_refused(message, || policies.create(ENGINEER, &request())).await;
    made(policies.create(ENGINEER, &asked_by(ENGINEER)));
    assert!(!policies.create(ENGINEER, &asked_by(STRANGER)).success);
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_controller_keeps_requested_by() {
    let policies = PolicyEnv::new("gitops", &[&format!("--set=admission.trustedRequesters={{{GITOPS}}}")]).await;
    policies
        .until_refused("spec.requestedBy must match your user name", || policies.create(ENGINEER, &asked_by(STRANGER)))
        .await;
    let as_controller = |object: &Value| policies.create_as(GITOPS, &[], object);
    assert_eq!(made(as_controller(&asked_by(ENGINEER)))["spec"]["requestedBy"], ENGINEER);
    // It speaks for that person, who asks for nobody else.
    let message = "stranger@example.com cannot request access for eng@example.com: set spec.user.email to the email";
    policies.until_refused(message, || as_controller(&asked_by(STRANGER))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_ask_for_themselves() {
    let policies = PolicyEnv::new("own", &["--set=admission.requestedBy.enabled=false"]).await;
    let message = "stranger@example.com cannot request access for eng@example.com: set spec.user.email to the email \
                   address in the requester's user name, or get permission for the verb request-for-others on \
                   temporarypermissiongrants in namespace";
    policies.until_refused(message, || policies.create(STRANGER, &request())).await;
    policies.create(ENGINEER, &request()).expect("for herself");
    policies.create(ENGINEER, &for_user(&json!({"email": "Eng@Example.com"}))).expect("in capitals");
    let by_id = policies.create(ENGINEER, &for_user(&json!({"userId": "user-4711"})));
    assert!(by_id.stderr.contains("eng@example.com cannot request access by user ID"), "{}", by_id.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixed_names_and_claims_match_email_addresses() {
    let policies = PolicyEnv::new("claims", &["--set=admission.requestedBy.enabled=false"]).await;
    policies.until_refused("cannot request access for", || policies.create(STRANGER, &request())).await;
    for (name, claims, own) in [
        ("oidc:eng@example.com", &[][..], true),
        ("https://issuer.example#eng@example.com", &[], true),
        ("u-4711", &["example.com/email=eng@example.com"], true),
        ("u-4711", &["example.com/not-email=eng@example.com"], false),
        ("u-4711", &[], false),
        ("other-eng@example.com", &[], false),
        ("arn:aws:sts::123456789012:assumed-role/dev/eng@example.com", &[], false),
        ("azure/eng@example.com", &[], false),
        ("keycloak\\eng@example.com", &[], false),
        ("CN=eng@example.com,O=corp", &[], false),
        ("github|eng@example.com", &[], false),
        ("emailAddress=eng@example.com", &[], false),
        ("eng@example.com.evil.example", &[], false),
    ] {
        assert_eq!(policies.create_as(name, claims, &request()).success, own, "{name} {claims:?}");
    }
    // Of `oidc:other:eng@example.com` the plugin takes what follows the last colon; so no address has one.
    for (name, email) in [
        ("oidc:other:eng@example.com", "other:eng@example.com"),
        ("arn:aws:sts::1:assumed-role/dev/eng@example.com", "assumed-role/dev/eng@example.com"),
        ("CN=eng@example.com,O=corp", "CN=eng@example.com,O=corp"),
        ("github|eng@example.com", "github|eng@example.com"),
    ] {
        let whole = for_user(&json!({"email": email}));
        let refused = policies.create_as(name, &[], &whole);
        assert!(refused.stderr.contains("cannot request access for"), "{name}: {refused:?}");
    }
    let marked = for_user(&json!({"email": "o'neil.x+y_z@sub.example.com"}));
    policies.create_as("oidc:O'Neil.x+y_z@sub.example.com", &[], &marked).expect("an address");
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_prefixes_replace_the_default_ones() {
    let policies = PolicyEnv::new("prefixes", &["--set=admission.ownRequests.usernamePrefixes={OIDC:}"]).await;
    let ask = |name: &str| policies.create_as(name, &[], &asked_by(name));
    policies
        .until_refused("to the email address in the requester's user name (after OIDC:), or get", || ask(ENGINEER))
        .await;
    ask("OIDC:eng@example.com").expect("the prefix");
    assert!(!ask("github:eng@example.com").success);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_others_verb_permits_other_users() {
    let policies = PolicyEnv::new("others", &["--set=admission.requestedBy.enabled=false"]).await;
    let others = for_user(&json!({"userId": "user-4711"}));
    policies.until_refused("request-for-others", || policies.create(STRANGER, &others)).await;
    let role = format!("--clusterrole={}-amigo-operator-requester-for-others", policies.env.namespace);
    let bind = ["create", "rolebinding", "others", &role, &format!("--user={STRANGER}")];
    policies.env.kubectl(&bind).expect("a binding");
    eventually(TIMEOUT, "the verb counts", || async { policies.create(STRANGER, &others).success.then_some(()) }).await;
    policies.create(STRANGER, &request()).expect("by e-mail as well");
}
