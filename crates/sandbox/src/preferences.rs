//! The preferences of a user in requests. A new user and an update follow different rules.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{
    formats::{is_language, is_time_zone},
    state::Preferences,
    validation::{Object, Problems, TextRule, matches_pattern, pattern},
};

const MAX_KEYTERMS: usize = 20;
const BOOLEANS: [&str; 3] =
    ["enable_response_recommendation", "conversations_visible_to_admins", "user_model_visible_to_admins"];

/// The preferences of a new user. Only the language and the time zone may be null.
pub(super) fn read_new(sent: &Object<'_>, problems: &mut Problems) -> Preferences {
    let mut preferences = Preferences::default();
    for name in BOOLEANS {
        sent.reject_null(name, "bool_type", "boolean", problems);
    }
    update_booleans(&mut preferences, sent, problems);
    sent.reject_null("audio_keyterms", "list_type", "list", problems);
    preferences.audio_keyterms = sent.optional_texts("audio_keyterms", TextRule::ANY, problems).unwrap_or_default();
    // The document has a second pattern for the language of a new user only.
    preferences.preferred_language =
        sent.optional_choice("preferred_language", |text| is_language(text) || is_two_word_characters(text), problems);
    preferences.timezone = sent.optional_choice("timezone", is_time_zone, problems);
    preferences
}

/// Changes what is sent. For language and time zone, absent or an object keeps the value and null erases it; for the
/// others, absent or null keeps the value.
pub(super) fn update(preferences: &mut Preferences, sent: &Object<'_>, problems: &mut Problems) {
    update_booleans(preferences, sent, problems);
    if let Some(keyterms) = read_keyterms(sent, problems) {
        preferences.audio_keyterms = keyterms;
    }
    for (name, is_valid, target) in [
        ("preferred_language", is_language as fn(&str) -> bool, &mut preferences.preferred_language),
        ("timezone", is_time_zone, &mut preferences.timezone),
    ] {
        if !matches!(sent.members.get(name), None | Some(Value::Object(_))) {
            *target = sent.optional_choice(name, is_valid, problems);
        }
    }
}

fn update_booleans(preferences: &mut Preferences, sent: &Object<'_>, problems: &mut Problems) {
    let targets = [
        &mut preferences.enable_response_recommendation,
        &mut preferences.conversations_visible_to_admins,
        &mut preferences.user_model_visible_to_admins,
    ];
    for (name, target) in BOOLEANS.into_iter().zip(targets) {
        *target = sent.optional_boolean(name, problems).unwrap_or(*target);
    }
}

/// The key terms of an update. Those of a new user are any texts.
fn read_keyterms(sent: &Object<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z-]+( [a-z-]+){0,2}$"));
    let name = "audio_keyterms";
    let keyterms = sent.optional_texts(name, TextRule::NOT_BLANK, problems)?;
    if keyterms.len() > MAX_KEYTERMS {
        problems.add(sent.at(name), "too_long", format!("List should have at most {MAX_KEYTERMS} items"));
    }
    for (index, keyterm) in keyterms.iter().enumerate() {
        matches_pattern(keyterm, &PATTERN, sent.at_index(name, index), problems);
    }
    Some(keyterms)
}

fn is_two_word_characters(text: &str) -> bool {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\w{2}$"));
    PATTERN.is_match(text)
}
