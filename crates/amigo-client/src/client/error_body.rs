//! The message in the body of an error.

use serde_json::Value;

use super::secrets::Secrets;
use crate::Excerpt;

/// The message of an error body, without secrets. The document has no schema for errors, so: the first non-empty of
/// `message`, `error`, `detail` (for 422 a list of `{loc, msg}`), else the text itself.
pub(super) fn excerpt(body: &[u8], secrets: &Secrets) -> Excerpt {
    let text = match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => {
            let named = ["message", "error", "detail"].into_iter().filter_map(|name| members.get(name));
            let message = named.map(readable).find(|message| !message.trim().is_empty());
            message.unwrap_or_else(|| Value::Object(members).to_string())
        }
        // Serialized again, because a secret with other escapes would not be found.
        Ok(other) => other.to_string(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    // Before the excerpt is cut, or half a secret would remain.
    Excerpt::new(&secrets.removed_from(&text))
}

/// Whether the body is an error of the Amigo API, and not of a load balancer on the way: an object with a message.
pub(super) fn is_documented(body: &[u8]) -> bool {
    let members = serde_json::from_slice::<serde_json::Map<String, Value>>(body).unwrap_or_default();
    ["message", "error", "detail"].iter().any(|name| members.contains_key(*name))
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
    fn error_bodies_are_parsed_leniently() {
        for (body, expected) in [
            (r#"{"detail":"Not here"}"#, "Not here"),
            (r#"{"error":"Forbidden","message":"Missing: Role:CreateRole"}"#, "Missing: Role:CreateRole"),
            (r#"{"message":"","error":"E","detail":"D"}"#, "E"),
            (r#"{"detail":[{"loc":["body","tags",0],"msg":"bad","input":"secret"}]}"#, "body.tags.0: bad"),
            ("<html>\r\n503\u{7}</html>", "<html> 503 </html>"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("", ""),
        ] {
            assert_eq!(excerpt(body.as_bytes(), &Secrets::default()).as_str(), expected, "{body}");
        }
    }

    #[test]
    fn errors_of_load_balancers_are_not_documented() {
        assert!(is_documented(br#"{"detail":"Not here"}"#) && is_documented(br#"{"error":"E","message":"M"}"#));
        for other in ["", "404 page not found", "<html>404</html>", "{}", "[]", r#""Not here""#] {
            assert!(!is_documented(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn escaped_secrets_are_removed() {
        let secrets = Secrets::new(["/k\"ey".into()]);
        for body in [r#"{"message":"\/k\"ey"}"#, r#"{"other":["\u002fk\u0022ey"]}"#, r#""\/k\"ey""#, "bad /k\"ey"] {
            let text = excerpt(body.as_bytes(), &secrets);
            assert!(text.as_str().contains("(removed)") && !text.as_str().contains("ey"), "{text}");
        }
    }
}
