//! What a 422 shows of the request: the part that each problem is about.

use serde_json::{Value, json};

use super::{context::ApiRequest, errors::Problem};

/// The part of the request that `problem` locates. For something missing, that is what should contain it.
pub(super) fn input(problem: &Problem, request: &ApiRequest) -> Value {
    let missing = problem.kind == "missing";
    let Some((source, path)) = problem.location.split_first() else { return Value::Null };
    match (source.as_str(), path) {
        (Some("body"), _) if problem.kind == "json_invalid" => json!({}),
        (Some("body"), [.., key, Value::String(marker)]) if marker == "[key]" => key.clone(),
        (Some("body"), []) if missing => Value::Null,
        (Some("body"), [parents @ .., _]) if missing => body_part(request, parents),
        (Some("body"), _) => body_part(request, path),
        (Some("query"), [name, index]) => {
            let values = request.query.texts(name.as_str().unwrap_or_default());
            index
                .as_u64()
                .and_then(|index| values.get(usize::try_from(index).ok()?))
                .map_or(Value::Null, |value| json!(value))
        }
        (Some("query"), [name]) => json!(request.query.one(name.as_str().unwrap_or_default())),
        (Some("path"), [name]) => json!(request.path_parameter(name.as_str().unwrap_or_default())),
        _ => Value::Null,
    }
}

/// A part of the body. A body that is not JSON has one part, its text.
fn body_part(request: &ApiRequest, path: &[Value]) -> Value {
    let text = || Value::from(String::from_utf8_lossy(&request.body));
    let body =
        if request.is_json() { serde_json::from_slice(&request.body).unwrap_or_else(|_| text()) } else { text() };
    let step = |part: &'_ Value, step: &Value| match step {
        Value::String(name) => part.get(name).cloned(),
        index => part.get(usize::try_from(index.as_u64()?).ok()?).cloned(),
    };
    path.iter().try_fold(body, |part, next| step(&part, next)).unwrap_or_default()
}
