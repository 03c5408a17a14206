//! Who asks, and for whom.

use serde_json::{Value, json};
use test_support::policies::{GITOPS, House, MUTATING, made};
use test_support::{ENGINEER, STRANGER, eventually, test_env::PATIENCE};

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
    let house = House::new("filled", &[MUTATING]).await;
    let message = "spec.requestedBy must match your user name, eng@example.com: correct it or omit it";
    let refusal = house.until_refused(message, || house.create(ENGINEER, &asked_by(STRANGER))).await;
    assert!(refusal.starts_with("Error from server (Forbidden)"), "{refusal}");
    let filled = house.until_filled(|| house.create(ENGINEER, &request())).await;
    assert_eq!(filled["spec"]["requestedBy"], ENGINEER);
    assert_eq!(made(house.create(ENGINEER, &asked_by(ENGINEER)))["spec"]["requestedBy"], ENGINEER);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_without_requested_by_can_be_reapplied() {
    let house = House::new("again", &[MUTATING]).await;
    house.until_filled(|| house.create(ENGINEER, &request())).await;
    for (name, flags) in [("by-client", &["apply"][..]), ("by-server", &["apply", "--server-side"][..])] {
        let apply = |object: &Value| {
            let arguments = [["--context", ENGINEER].as_slice(), flags, &["--filename=-"]].concat();
            house.cluster.kubectl_with(&arguments, &object.to_string())
        };
        apply(&named(name)).expect("created");
        let mut labelled = named(name);
        labelled["metadata"]["labels"] = json!({"team": "support"});
        apply(&labelled).expect("applied again");
        let path = "jsonpath={.metadata.labels.team} {.spec.requestedBy}";
        assert_eq!(house.cluster.kubectl(&["get", "tpg", name, "--output", path]).stdout, "support eng@example.com");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_keeps_who_asked_and_cannot_change_it() {
    let house = House::new("kept", &[MUTATING]).await;
    house.until_filled(|| house.create(ENGINEER, &request())).await;
    house.create(ENGINEER, &named("kept")).expect("created");
    let replace = |user: &str, object: &Value| {
        house.cluster.kubectl_with(&["--context", user, "replace", "--filename=-"], &object.to_string())
    };
    replace(STRANGER, &named("kept")).expect("replaced");
    let path = "jsonpath={.spec.requestedBy}";
    assert_eq!(house.cluster.kubectl(&["get", "tpg", "kept", "--output", path]).stdout, ENGINEER);
    let refused = replace(STRANGER, &with(named("kept"), "requestedBy", STRANGER));
    assert!(refused.stderr.contains("the spec of a grant is immutable"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn requested_by_is_required_without_defaulting() {
    let house = House::new("older", &[]).await;
    let message = "spec.requestedBy must match your user name: set it to eng@example.com";
    house.until_refused(message, || house.create(ENGINEER, &request())).await;
    made(house.create(ENGINEER, &asked_by(ENGINEER)));
    assert!(!house.create(ENGINEER, &asked_by(STRANGER)).success);
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_controller_keeps_requested_by() {
    let house = House::new("gitops", &[&format!("--set=admission.trustedRequesters={{{GITOPS}}}")]).await;
    house
        .until_refused("spec.requestedBy must match your user name", || house.create(ENGINEER, &asked_by(STRANGER)))
        .await;
    let as_controller = |object: &Value| house.create_as(GITOPS, &[], object);
    assert_eq!(made(as_controller(&asked_by(ENGINEER)))["spec"]["requestedBy"], ENGINEER);
    // It speaks for that person, who asks for nobody else.
    let message = "stranger@example.com cannot request access for eng@example.com: set spec.user.email to the email";
    house.until_refused(message, || as_controller(&asked_by(STRANGER))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_ask_for_themselves() {
    let house = House::new("own", &["--set=admission.requestedBy.enabled=false"]).await;
    let message = "stranger@example.com cannot request access for eng@example.com: set spec.user.email to the email \
                   address in the requester's user name, or get permission for the verb request-for-others on \
                   temporarypermissiongrants in namespace";
    house.until_refused(message, || house.create(STRANGER, &request())).await;
    house.create(ENGINEER, &request()).expect("for herself");
    house.create(ENGINEER, &for_user(&json!({"email": "Eng@Example.com"}))).expect("in capitals");
    let by_id = house.create(ENGINEER, &for_user(&json!({"userId": "user-4711"})));
    assert!(by_id.stderr.contains("eng@example.com cannot request access by user ID"), "{}", by_id.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixed_names_and_claims_match_email_addresses() {
    let house = House::new("claims", &["--set=admission.requestedBy.enabled=false"]).await;
    house.until_refused("cannot request access for", || house.create(STRANGER, &request())).await;
    for (name, claims, own) in [
        ("oidc:eng@example.com", &[][..], true),
        ("https://issuer.example#eng@example.com", &[], true),
        ("u-4711", &["example.com/email=eng@example.com"], true),
        ("u-4711", &["example.com/not-email=eng@example.com"], false),
        ("u-4711", &[], false),
        ("other-eng@example.com", &[], false),
        ("eng@example.com.evil.example", &[], false),
    ] {
        assert_eq!(house.create_as(name, claims, &request()).success, own, "{name} {claims:?}");
    }
    // Of `oidc:other:eng@example.com` the plugin takes what follows the last colon; so no address has one.
    let colon = for_user(&json!({"email": "other:eng@example.com"}));
    assert!(!house.create_as("oidc:other:eng@example.com", &[], &colon).success);
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_prefixes_replace_the_default_ones() {
    let house = House::new("prefixes", &["--set=admission.ownRequests.usernamePrefixes={OIDC:}"]).await;
    let ask = |name: &str| house.create_as(name, &[], &asked_by(name));
    house
        .until_refused("to the email address in the requester's user name (after OIDC:), or get", || ask(ENGINEER))
        .await;
    ask("OIDC:eng@example.com").expect("the prefix");
    assert!(!ask("github:eng@example.com").success);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_others_verb_permits_other_users() {
    let house = House::new("others", &["--set=admission.requestedBy.enabled=false"]).await;
    let others = for_user(&json!({"userId": "user-4711"}));
    house.until_refused("request-for-others", || house.create(STRANGER, &others)).await;
    let role = format!("--clusterrole={}-amigo-operator-requester-for-others", house.cluster.namespace);
    let bind = ["create", "rolebinding", "others", &role, &format!("--user={STRANGER}")];
    house.cluster.kubectl(&bind).expect("a binding");
    eventually(PATIENCE, "the verb counts", || async { house.create(STRANGER, &others).success.then_some(()) }).await;
    house.create(STRANGER, &request()).expect("by e-mail as well");
}
