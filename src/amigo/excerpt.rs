//! Short, harmless pieces of foreign text.

use std::fmt;

use serde_json::Value;

use super::secrets::Secrets;

/// A piece of text from outside, fit for a log, a condition or an event: at most 300 characters, no control
/// characters, no line breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The most characters an excerpt has.
    pub const LIMIT: usize = 300;

    /// The beginning of `text`, with every run of spaces and control characters as one space.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut excerpt = String::new();
        let mut length = 0;
        for word in text.split(|character: char| character.is_whitespace() || unprintable(character)) {
            if word.is_empty() {
                continue;
            }
            if length > 0 {
                excerpt.push(' ');
                length += 1;
            }
            for character in word.chars() {
                if length >= Self::LIMIT - 1 {
                    excerpt.push('…');
                    return Self(excerpt);
                }
                excerpt.push(character);
                length += 1;
            }
        }
        Self(excerpt)
    }

    /// What an error body says, without the secrets. The document gives no schema for errors, so: the first non-empty of
    /// `message`, `error`, `detail` (a list of `{loc, msg}` in the case of 422), else the text itself.
    #[must_use]
    pub(super) fn of_error_body(body: &[u8], secrets: &Secrets) -> Self {
        let text = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => {
                let named = ["message", "error", "detail"].into_iter().filter_map(|name| members.get(name));
                let message = named.map(readable).find(|message| !message.trim().is_empty());
                message.unwrap_or_else(|| Value::Object(members).to_string())
            }
            // Written anew: in another spelling a secret would not be found.
            Ok(other) => other.to_string(),
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        };
        // Before it is cut, or half a secret would be left.
        Self::new(&secrets.removed_from(&text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "no explanation" } else { &self.0 })
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Control characters, and the invisible ones that reorder or hide text.
fn unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) => items.iter().take(5).map(violation).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// One entry of a 422: `body.justification: String should have …`. Its `input` is left out: it repeats ours.
fn violation(item: &Value) -> String {
    let Some(message) = item.get("msg").and_then(Value::as_str) else { return readable_scalar(item) };
    let location = item
        .get("loc")
        .and_then(Value::as_array)
        .map(|parts| parts.iter().map(readable_scalar).collect::<Vec<_>>().join("."));
    match location {
        Some(location) if !location.is_empty() => format!("{location}: {message}"),
        _ => message.to_owned(),
    }
}

fn readable_scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_leniently() {
        for (body, expected) in [
            (r#"{"detail":"Not here"}"#, "Not here"),
            (r#"{"error":"Forbidden","message":"Missing: Role:CreateRole"}"#, "Missing: Role:CreateRole"),
            (r#"{"message":"","error":"E","detail":"D"}"#, "E"),
            (r#"{"detail":[{"loc":["body","tags",0],"msg":"bad","input":"secret"}]}"#, "body.tags.0: bad"),
            ("<html>\r\n503\u{7}</html>", "<html> 503 </html>"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("", ""),
        ] {
            assert_eq!(Excerpt::of_error_body(body.as_bytes(), &Secrets::default()).as_str(), expected, "{body}");
        }
    }

    #[test]
    fn a_secret_is_removed_however_it_is_written() {
        let secrets = Secrets::new(["/k\"ey".into()]);
        for body in [r#"{"message":"\/k\"ey"}"#, r#"{"other":["\u002fk\u0022ey"]}"#, r#""\/k\"ey""#, "bad /k\"ey"] {
            let excerpt = Excerpt::of_error_body(body.as_bytes(), &secrets);
            assert!(excerpt.as_str().contains("(removed)") && !excerpt.as_str().contains("ey"), "{excerpt}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        let excerpt = Excerpt::new(&"é".repeat(10_000));
        assert_eq!(excerpt.as_str().chars().count(), Excerpt::LIMIT);
        assert!(excerpt.as_str().ends_with('…'));
    }
}
