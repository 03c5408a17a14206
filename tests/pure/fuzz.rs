//! Inputs that somebody else writes: random ones, and edits of valid ones. `make fuzz` runs longer.
//!
//! `cargo bolero test fuzz::NAME` searches by coverage and extends the corpus in `__fuzz__`.

use std::collections::BTreeMap;

use amigo_api::{Stored, TemporaryPermissionGrant, console, duration};
use amigo_client::{
    DOCUMENTED_HOSTS, address,
    testing::{Edit, edited},
};
use amigo_lifecycle::grant::{Origin, Request, remaining_access::RemainingAccess, slot_from_tags};
use amigo_permissions::{
    self as permissions, Action, Attributes, Caller, Condition, PermissionGrant, compile, evaluate,
};
use bolero::check;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

#[test]
fn fuzz_durations_are_formatted_as_parsed() {
    check!().with_type::<(u8, Vec<Edit>)>().for_each(|(seed, edits)| {
        let text = edited(["P1DT12H", "PT30M", "PT2H", "P0D"][usize::from(seed % 4)], edits);
        let Ok(parsed) = duration::parse(&text) else { return };
        assert!(parsed >= SignedDuration::ZERO, "{text}");
        assert_eq!(duration::parse(&duration::format(parsed)), Ok(parsed), "{text}");
    });
}

#[test]
fn fuzz_keys_go_to_documented_hosts_only() {
    check!().with_type::<(u8, Vec<Edit>)>().for_each(|(seed, edits)| {
        let seeds = [
            "https://api.amigo.ai",
            "https://internal-api.amigo.ai:443/",
            "http://api.amigo.ai",
            "https://a@api.amigo.ai",
        ];
        let url = edited(seeds[usize::from(seed % 4)], edits);
        let Ok(uri) = address(&url, &DOCUMENTED_HOSTS) else { return };
        assert_eq!(uri.scheme_str(), Some("https"), "{url}");
        let host = uri.host().unwrap_or_default().to_lowercase();
        assert!(DOCUMENTED_HOSTS.contains(&host.as_str()), "{url}");
    });
}

#[test]
fn fuzz_conversation_urls_name_a_conversation() {
    let page = "https://acme.amigo.ai/admin/conversation/0123456789abcdef01234567";
    check!().with_type::<Vec<Edit>>().for_each(|edits| {
        let url = edited(page, edits);
        if let Some(id) = console::conversation_of(&url) {
            assert!(console::is_conversation_id(id) && url.contains(id), "{url}");
        }
    });
}

#[test]
fn fuzz_tags_return_their_slot() {
    check!().with_type::<(String, String, u32, u32, u32)>().for_each(|(namespace, name, slot, lease, attempt)| {
        let origin =
            Origin { cluster: "c".repeat(32), uid: "0".repeat(32), namespace: namespace.clone(), name: name.clone() };
        let tags: BTreeMap<String, String> = origin.tags(*slot, *lease, *attempt, "0123456789abcdef");
        assert_eq!(slot_from_tags(&tags), Some((*slot, *lease)));
        let is_word = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        assert!(tags.len() <= 20 && tags.iter().all(|(key, value)| is_word(key) && is_word(value)), "{tags:?}");
    });
}

#[test]
fn fuzz_manifests_are_read_or_named_unreadable() {
    let manifest: Value = serde_saphyr::from_str(include_str!("../../examples/grant-permissions.yaml")).expect("YAML");
    let manifest = manifest.to_string();
    check!().with_type::<Vec<Edit>>().for_each(|edits| {
        let text = edited(&manifest, edits);
        match serde_json::from_str::<Stored<TemporaryPermissionGrant>>(&text) {
            Ok(Stored(Ok(object))) => {
                let slots = Request::from_spec(&object.spec).map_or(0, |request| request.slots());
                assert!(slots <= 3 || object.spec.permissions.is_some(), "{text}");
                assert_eq!(RemainingAccess::from_object(&object, Timestamp::UNIX_EPOCH).ends_at(), None, "{text}");
            }
            Ok(Stored(Err(unreadable))) => assert!(!unreadable.error.is_empty(), "{text}"),
            Err(_) => assert!(serde_json::from_str::<Value>(&text).is_err(), "{text} is JSON"),
        }
    });
}

/// A grant of one of two permissions, with conditions of three attributes.
fn permission_grant((is_deny, is_other, conditions): &(bool, bool, [Option<(u8, u8)>; 3])) -> PermissionGrant {
    let value =
        |of: u8| permissions::Value::String(["a", "b", "{self}", "{self_org_id}"][usize::from(of % 4)].to_owned());
    let condition = |(kind, of): (u8, u8)| match kind % 3 {
        0 => Condition::Equals { value: value(of) },
        1 => Condition::NotEquals { value: value(of) },
        _ => Condition::In { values: vec![value(of), value(of / 4)] },
    };
    let named = ["x", "y", "z"].into_iter().zip(conditions);
    PermissionGrant {
        action: if *is_deny { Action::Deny } else { Action::Allow },
        permission_name: if *is_other { "Role:Get" } else { "Role:List" }.to_owned(),
        conditions: named.filter_map(|(name, choice)| Some((name.to_owned(), condition((*choice)?)))).collect(),
    }
}

#[test]
fn fuzz_compiled_roles_decide_as_written() {
    type Grants = Vec<(bool, bool, [Option<(u8, u8)>; 3])>;
    check!().with_type::<(Grants, [Option<u8>; 3], u8, u8)>().for_each(|(grants, attributes, user, org)| {
        let grants: Vec<_> = grants.iter().take(6).map(permission_grant).collect();
        let Ok(compiled) = compile(&grants) else { return };
        let text = |of: u8| ["a", "b", "c"][usize::from(of % 3)];
        let caller = Caller { user_id: text(*user), org_id: text(*org), role_name: "r" };
        let named = ["x", "y", "z"].into_iter().zip(attributes);
        let attributes: Attributes =
            named.filter_map(|(name, of)| Some((name.to_owned(), text((*of)?).into()))).collect();
        for name in ["Role:Get", "Role:List"] {
            let decide = |grants: &[PermissionGrant]| evaluate(grants, &[], caller, name, &attributes).is_allowed();
            assert_eq!(decide(&grants), decide(&compiled.grants), "{name} of {grants:?} for {caller:?} {attributes:?}");
        }
    });
}
