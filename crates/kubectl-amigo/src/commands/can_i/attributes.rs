//! `--attr`: what the question is about.

use amigo_permissions::Value;

/// Reads `name=value`: `true` and `false` are booleans, numbers are numbers, all else is text; quotes make anything
/// text.
///
/// # Errors
/// When there is no name, or a quote is not closed.
pub fn parse(argument: &str) -> Result<(String, Value), String> {
    let (name, value) = argument
        .split_once('=')
        .filter(|(name, _)| !name.trim().is_empty())
        .ok_or_else(|| "write name=value, such as conversation_visible_to_admin=true".to_owned())?;
    Ok((name.trim().to_owned(), typed(value)?))
}

fn typed(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Bool(boolean)) => Ok(Value::Boolean(boolean)),
        Ok(serde_json::Value::Number(number)) => Ok(Value::number(number)),
        Ok(serde_json::Value::String(text)) => Ok(Value::String(text)),
        _ if text.starts_with('"') => Err(format!("{text} does not end with its quote")),
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_type_they_look_like() {
        let cases = [("x=true", Value::from(true)), ("x=7", 7.into()), ("x=7.0", 7.into()), ("x=dana", "dana".into())];
        for (argument, value) in cases {
            assert_eq!(parse(argument), Ok(("x".to_owned(), value)), "{argument}");
        }
    }

    #[test]
    fn quotes_make_text() {
        for (argument, text) in
            [(r#"x="true""#, "true"), (r#"x="7""#, "7"), ("x=a=b", "a=b"), ("x=", ""), ("x={self}", "{self}")]
        {
            assert_eq!(parse(argument).unwrap().1, text.into(), "{argument}");
        }
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for argument in ["x", "=1", "", r#"x="open"#] {
            assert!(parse(argument).is_err(), "{argument}");
        }
    }
}
