//! Values of `--attr`.

use amigo_permissions::Value;

/// Parses `name=value`. `true`, `false` and numbers keep their type. Quotes make any value a string.
pub fn parse(argument: &str) -> Result<(String, Value), String> {
    let (name, value) = argument
        .split_once('=')
        .filter(|(name, _)| !name.trim().is_empty())
        .ok_or_else(|| "use NAME=VALUE, for example conversation_visible_to_admin=true".to_owned())?;
    Ok((name.trim().to_owned(), typed(value)?))
}

fn typed(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Bool(boolean)) => Ok(Value::Boolean(boolean)),
        Ok(serde_json::Value::Number(number)) => Ok(Value::number(number)),
        Ok(serde_json::Value::String(text)) => Ok(Value::String(text)),
        _ if text.starts_with('"') => Err(format!("{text} has no closing quote")),
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type() {
        let cases = [("x=true", Value::from(true)), ("x=7", 7.into()), ("x=7.0", 7.into()), ("x=dana", "dana".into())];
        for (argument, value) in cases {
            assert_eq!(parse(argument), Ok(("x".to_owned(), value)), "{argument}");
        }
    }

    #[test]
    fn quotes_make_a_string() {
        for (argument, text) in
            [(r#"x="true""#, "true"), (r#"x="7""#, "7"), ("x=a=b", "a=b"), ("x=", ""), ("x={self}", "{self}")]
        {
            assert_eq!(parse(argument).unwrap().1, text.into(), "{argument}");
        }
    }

    #[test]
    fn malformed_attributes_are_errors() {
        for argument in ["x", "=1", "", r#"x="open"#] {
            assert!(parse(argument).is_err(), "{argument}");
        }
    }
}
