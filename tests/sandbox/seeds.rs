use amigo_sandbox::{Sandbox, Seed};

use crate::support::*;

fn refusal(yaml: &str) -> String {
    let seed = match Seed::from_yaml(yaml) {
        Ok(seed) => seed,
        Err(error) => return error.to_string(),
    };
    let clock = world().clock;
    Sandbox::new(seed, clock, 1).unwrap_err().to_string()
}

fn organization(rest: &str) -> String {
    format!("organizations:\n  - id: acme\n    name: Acme\n{rest}")
}

#[test]
fn bad_seeds_say_what_is_wrong() {
    let roles = "    roles: [{ name: R, description: d }]\n";
    let user = "    users: [{ id: u, email: a@b.c, first_name: A, last_name: B, role: Missing }]\n";
    assert_eq!(
        refusal(&organization(&format!("{roles}{user}"))),
        "organization acme: user u refers to role Missing, which does not exist"
    );
    let twice = "    roles: [{ name: R, description: d }, { name: R, description: d }]\n    users: []\n";
    assert_eq!(refusal(&organization(twice)), "organization acme: duplicate role R");
    let denies = "    roles: [{ name: R, description: d, permission_grants: [{ permission_name: a, action: Deny }] }]\n    users: []\n";
    assert!(refusal(&organization(denies)).contains("AllowOnly"));
    assert!(refusal("organizations: []\nextra: 1").starts_with("cannot parse the seed: "));
}

#[test]
fn two_equal_sandboxes_draw_equal_ids() {
    assert_eq!(world().sandbox.roles("acme"), world().sandbox.roles("acme"));
}

#[test]
fn things_can_be_added_while_it_runs() {
    let world = world();
    let conversation = serde_json::json!({ "id": "0123456789abcdef01234567", "user_id": OWNER });
    let conversation: amigo_sandbox::ConversationSeed = serde_json::from_value(conversation).unwrap();
    world.sandbox.add_conversation("acme", conversation.clone()).unwrap();
    assert!(world.sandbox.add_conversation("acme", conversation.clone()).is_err());
    assert!(world.sandbox.add_conversation("other", conversation).is_err());
}
