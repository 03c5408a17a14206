//! What the schema of the API document and its framework say of bodies beyond their shape.

use http::Method;
use serde_json::{Value, json};

use crate::support::*;

const TAGS: &str = "/conversation/abc123def456abc123def456/tags/";
const USER: &str = "/user/user-eng-2c91";

fn invitation() -> Value {
    json!({ "first_name": "New", "last_name": "Comer", "email": "new@example.com", "role_name": "Engineer" })
}

fn preferring(member: &str, value: &Value) -> Value {
    altered(invitation(), "", "user_preferences", json!({ member: value }))
}

#[tokio::test]
async fn body_without_json_content_type_is_rejected() {
    let world = world().without_limits();
    let operator = world.operator().await;
    let send = async |content_type| operator.post_as(content_type, GRANT, access("Conversation:GetMessage")).await;
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("*/*")] {
        let answer = send(content_type).await;
        assert_eq!(answer.problem(), "body", "{content_type:?}");
        assert_eq!(answer.body["detail"][0]["type"], "model_attributes_type");
    }
    for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.grant+json"] {
        assert_eq!(send(Some(content_type)).await.status, 201, "{content_type}");
    }
}

#[tokio::test]
async fn lists_of_tags_are_not_null() {
    let operator = world().operator().await;
    for (member, value) in [("deletes", json!(null)), ("updates", json!(null)), ("deletes", json!([""]))] {
        let problem = operator.post(TAGS, json!({ member: value })).await.problem();
        assert!(problem.starts_with(&format!("body.{member}")), "{problem}");
    }
    assert_eq!(operator.post(TAGS, json!({ "deletes": ["stale"], "updates": {} })).await.status, 204);
}

#[tokio::test]
async fn languages_and_time_zones_exist() {
    let world = world().without_limits();
    let operator = world.operator().await;
    for (member, value) in [("preferred_language", "qqq"), ("preferred_language", "en"), ("timezone", "Nowhere/There")]
    {
        assert_eq!(operator.post(USER, json!({ member: value })).await.problem(), format!("body.{member}"), "{value}");
    }
    for (member, value) in [("preferred_language", "deu"), ("timezone", "Europe/Berlin")] {
        assert_eq!(operator.post(USER, json!({ member: value })).await.status, 204, "{value}");
    }
}

#[tokio::test]
async fn new_user_may_have_a_two_character_language() {
    for value in ["EN", "20", "é_", "eng"] {
        let answer = world().operator().await.post("/user/", preferring("preferred_language", &json!(value))).await;
        assert_eq!(answer.status, 201, "{value}");
    }
}

#[tokio::test]
async fn preferences_of_a_new_user_are_values() {
    let world = world().without_limits();
    let operator = world.operator().await;
    for (member, value) in [
        ("enable_response_recommendation", json!(null)),
        ("conversations_visible_to_admins", json!(null)),
        ("user_model_visible_to_admins", json!(1)),
        ("audio_keyterms", json!(null)),
        ("preferred_language", json!({})),
        ("preferred_language", json!("e")),
        ("timezone", json!({})),
        ("timezone", json!("")),
    ] {
        let problem = operator.post("/user/", preferring(member, &value)).await.problem();
        assert_eq!(problem, format!("body.user_preferences.{member}"), "{value}");
    }
    let nulls = json!({ "preferred_language": null, "timezone": null, "audio_keyterms": ["Any Text"] });
    assert_eq!(operator.post("/user/", altered(invitation(), "", "user_preferences", nulls)).await.status, 201);
}

#[tokio::test]
async fn the_api_sets_the_variable_user_id() {
    let operator = world().operator().await;
    let with = |member: &str| altered(invitation(), "", member, json!({ "user_id": "x" }));
    let problem = operator.post("/user/", with("nonsensitive_user_variables")).await.problem();
    assert_eq!(problem, "body.nonsensitive_user_variables.user_id.[key]");
    assert_eq!(operator.post("/user/", with("sensitive_user_variables")).await.status, 201);
}

#[tokio::test]
async fn updates_check_key_terms_and_context() {
    let world = world().without_limits();
    let operator = world.operator().await;
    for (member, value, problem) in [
        ("audio_keyterms", json!(["Capital"]), "body.audio_keyterms.0"),
        ("audio_keyterms", json!(["ok", "one two three four"]), "body.audio_keyterms.1"),
        ("audio_keyterms", json!([""]), "body.audio_keyterms.0"),
        ("audio_keyterms", json!(vec!["term"; 21]), "body.audio_keyterms"),
        ("additional_context", json!(["fine", " "]), "body.additional_context.1"),
    ] {
        assert_eq!(operator.post(USER, json!({ member: value })).await.problem(), problem);
    }
    let good = json!({ "audio_keyterms": ["blood-pressure cuff"], "additional_context": ["likes tea"] });
    assert_eq!(operator.post(USER, good).await.status, 204);
}

#[tokio::test]
async fn addresses_that_cannot_receive_mail_are_invalid() {
    let world = world().without_limits();
    let operator = world.operator().await;
    for email in ["a@corp.local", "a@x.test", "a..b@example.com", "a@1.2.3.4"] {
        assert_eq!(operator.get(&format!("/user/?email={email}")).await.problem(), "query.email.0", "{email}");
        assert_eq!(
            operator.post("/user/", altered(invitation(), "", "email", json!(email))).await.problem(),
            "body.email"
        );
    }
}

#[tokio::test]
async fn durations_are_read_before_their_range() {
    let world = world().without_limits();
    let operator = world.operator().await;
    let ask = async |duration: Value| {
        operator.post(GRANT, altered(access("Conversation:GetMessage"), "", "duration", duration)).await
    };
    for duration in [json!("2 days 00:00:00"), json!("01:00"), json!(3600), json!(90.5), json!("P3D")] {
        assert_eq!(ask(duration.clone()).await.status, 201, "{duration}");
    }
    for (duration, kind) in [
        (json!("P1M"), "value_error"),
        (json!("P1Y"), "value_error"),
        (json!(59), "value_error"),
        (json!("2h"), "time_delta_parsing"),
        (json!(true), "time_delta_type"),
    ] {
        assert_eq!(ask(duration.clone()).await.body["detail"][0]["type"], kind, "{duration}");
    }
    let key = json!({ "name": null, "duration": "P1M", "role_name": "Engineer" });
    assert_eq!(operator.post("/organization/api_key/", key).await.status, 201, "a month is 30 days");
}

#[tokio::test]
async fn attribute_of_unknown_type_takes_any_value() {
    let world = world().with(|behavior| behavior.create_role_hierarchy = amigo_sandbox::Hierarchy::Off);
    let operator = world.operator().await;
    let conditions = json!({
        "a": { "type": "Equals", "value": null },
        "b": { "type": "NotEquals", "value": { "x": [1] } },
        "c": { "type": "In", "values": [[], {}, null, "text"] },
    });
    let role = altered(reviewer(), "/permission_grants/0", "conditions", conditions.clone());
    assert_eq!(operator.post("/role/", role).await.status, 201);
    assert_eq!(operator.role("message reviewer").await["permission_grants"][0]["conditions"], conditions);
    let known = altered(reviewer(), "/permission_grants/0/conditions/org_id", "value", json!([]));
    let problem = operator.post("/role/", known).await.problem();
    assert_eq!(problem, "body.permission_grants.0.conditions.org_id.value");
}

#[tokio::test]
async fn problems_show_their_input() {
    let world = world().without_limits();
    let operator = world.operator().await;
    let body = altered(access("Conversation:GetMessage"), "", "tags", json!({ "note": "A-1", "a.b": "x" }));
    let shown = operator.post(GRANT, altered(body, "", "justification", json!("short"))).await.body["detail"].clone();
    let inputs: Vec<_> = shown.as_array().unwrap().iter().map(|problem| &problem["input"]).collect();
    assert_eq!(inputs, [&json!("a.b"), &json!("A-1"), &json!("short")]);

    let input = |answer: Answer| answer.body["detail"][0]["input"].clone();
    assert_eq!(input(operator.post("/role/Engineer/assign", json!({ "x": 1 })).await), json!({ "x": 1 }));
    assert_eq!(input(operator.post("/role/", json!([1])).await), json!([1]));
    assert_eq!(input(operator.post("/role/", json!(null)).await), Value::Null);
    assert_eq!(input(operator.get("/role/?id=abc123def456abc123def456&id=X").await), "X");
    assert_eq!(input(operator.get("/conversation/?limit=0").await), "0");
    assert_eq!(input(operator.get("/user/search/").await), Value::Null);
    assert_eq!(input(operator.get("/conversation/X/messages/").await), "X");
    assert_eq!(input(operator.post_as(None, "/role/", json!([1])).await), "[1]");
}

#[tokio::test]
async fn integers_are_read_as_the_framework_does() {
    let operator = world().operator().await;
    for (limit, status) in
        [("1.0", 200), ("1_0", 200), ("%201%20", 200), ("1.5", 422), ("1.", 422), ("_1", 422), ("", 422)]
    {
        assert_eq!(operator.get(&format!("/user/?limit={limit}")).await.status, status, "{limit}");
    }
    let beyond = operator.get("/user/?continuation_token=99999999999999999999").await;
    assert_eq!((beyond.status, &beyond.body["users"]), (200, &json!([])));
}

#[tokio::test]
async fn head_and_other_methods_are_not_allowed() {
    let operator = world().operator().await;
    for (method, path, allowed) in [
        (Method::HEAD, "/role/", "GET, POST"),
        (Method::HEAD, "/conversation/", "GET"),
        (Method::OPTIONS, "/conversation/", "GET"),
        (Method::PUT, "/user/user-eng-2c91", "POST"),
    ] {
        let answer = operator.call(method.as_str(), path, Value::Null).await;
        let mut methods: Vec<_> = answer.headers["allow"].to_str().unwrap().split(", ").collect();
        methods.sort_unstable();
        assert_eq!((answer.status, methods.join(", ").as_str()), (405, allowed), "{method} {path}");
    }
}
