//! The reference of all kinds as Markdown, from the same definitions as the CRDs.

use std::fmt::Write as _;

use amigo_api::{
    GROUP, Kind, VERSION, all,
    reasons::{self, Remedy},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

const INTRODUCTION: &str = "\
This page lists every field of every kind, as `kubectl explain` does. `make crds` generates it from the Rust types in \
`crates/api`; do not edit it.";

const REASONS: &str = "
## Reasons

Conditions and Events carry these reasons. `kubectl amigo status` prints the remedy for an object. Where remedies \
differ by kind, the table names the kind.

| reason | kinds | meaning | remedy |
| --- | --- | --- | --- |
";

/// The API server's own text on the members of conditions.
const CONDITION_FIELDS: &str = "\
Each has the [standard fields of a Kubernetes condition]\
(https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md\
#typical-status-properties).";

/// The whole page.
#[must_use]
pub fn reference() -> String {
    let mut page = format!("# Reference\n\n{INTRODUCTION}\n\nGroup `{GROUP}`, version `{VERSION}`.\n");
    for definition in &all() {
        kind(&mut page, definition);
    }
    every_reason(&mut page);
    page
}

/// The meaning and the remedies of every reason, as `kubectl amigo status` prints them.
fn every_reason(page: &mut String) {
    page.push_str(REASONS);
    for reason in reasons::ALL {
        let (meaning, remedies) = (prose(reasons::meaning(reason)), reasons::remedies(reason));
        let remedy = match remedies {
            [remedy] => remedy.text.to_owned(),
            _ => remedies
                .iter()
                .map(|remedy| format!("{}: {}", kind_names(remedy), remedy.text))
                .collect::<Vec<_>>()
                .join("<br>"),
        };
        let kinds = remedies.iter().map(kind_names).collect::<Vec<_>>().join(", ");
        let kinds = if remedies.iter().map(|remedy| remedy.kinds.len()).sum::<usize>() == Kind::ALL.len() {
            "all".to_owned()
        } else {
            kinds
        };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{reason}` | {kinds} | {meaning} | {remedy} |");
    }
}

fn kind_names(remedy: &Remedy) -> String {
    remedy.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

fn kind(page: &mut String, definition: &CustomResourceDefinition) {
    let names = &definition.spec.names;
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let scope = if definition.spec.scope == "Cluster" { "cluster-scoped" } else { "namespaced" };
    let schema =
        definition.spec.versions.first().and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let Some(schema) = schema else { return };
    let description = prose(schema.description.as_deref());
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## {}\n\n{description} Short name {short}, {scope}.\n", names.kind);
    for part in ["spec", "status"] {
        if let Some(part_schema) = schema.properties.as_ref().and_then(|properties| properties.get(part)) {
            let _ = write!(page, "\n### {} {part}\n\n", names.kind);
            rules(page, part_schema);
            page.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
            fields(page, part_schema, "");
        }
    }
}

/// The messages of the rules for the whole spec or status.
fn rules(page: &mut String, schema: &JSONSchemaProps) {
    let messages = messages(schema);
    for message in &messages {
        let _ = writeln!(page, "- {message}");
    }
    if !messages.is_empty() {
        page.push('\n');
    }
}

fn fields(page: &mut String, schema: &JSONSchemaProps, path: &str) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let required = schema.required.iter().flatten().any(|required| required == name);
        row(page, &path, field, required);
        if is_conditions(field) {
            continue;
        }
        match (&field.items, &field.additional_properties) {
            (Some(JSONSchemaPropsOrArray::Schema(items)), _) => fields(page, items, &format!("{path}[]")),
            (_, Some(JSONSchemaPropsOrBool::Schema(values))) => fields(page, values, &format!("{path}.*")),
            _ => fields(page, field, &path),
        }
    }
}

/// Standard conditions are a list with the key `type`.
fn is_conditions(field: &JSONSchemaProps) -> bool {
    field.x_kubernetes_list_map_keys.as_deref() == Some(&["type".to_owned()])
}

fn row(page: &mut String, path: &str, field: &JSONSchemaProps, required: bool) {
    let mut meaning = vec![prose(field.description.as_deref())];
    if is_conditions(field) {
        meaning.push(CONDITION_FIELDS.to_owned());
    }
    meaning.extend(messages(field).into_iter().map(|message| format!("Rule: {message}.")));
    meaning.extend(field.default.as_ref().map(|default| format!("Default: `{}`.", default.0)));
    meaning.retain(|sentence| !sentence.is_empty());
    let mark = if required { " (required)" } else { "" };
    let meaning = meaning.join(" ").replace('|', "\\|");
    let _ = writeln!(page, "| `{path}`{mark} | {} | {meaning} |", kind_of(field).replace('|', "\\|"));
}

fn kind_of(field: &JSONSchemaProps) -> String {
    if let Some(choices) = field.enum_.as_ref().filter(|choices| !choices.is_empty()) {
        let choices = choices.iter().filter_map(|choice| choice.0.as_str());
        return choices.map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or ");
    }
    let element = |schema: &JSONSchemaProps| schema.type_.clone().unwrap_or_else(|| "any scalar".to_owned());
    match (&field.items, &field.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(items)), _) => format!("list of {}", element(items)),
        (_, Some(JSONSchemaPropsOrBool::Schema(values))) => format!("map to {}", element(values)),
        _ => match field.format.as_deref() {
            Some("date-time") => "time".to_owned(),
            _ => element(field),
        },
    }
}

fn messages(schema: &JSONSchemaProps) -> Vec<String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.filter_map(|rule| rule.message.clone()).collect()
}

/// One paragraph that ends in a full stop.
fn prose(text: Option<&str>) -> String {
    let text = text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with(['.', ':', '!']) { text } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_types_rules_and_defaults() {
        let page = reference();
        assert!(
            page.contains("| `organizationRef.name` (required) | string | The `metadata.name` of the object."),
            "{page}"
        );
        assert!(page.contains("| `permissionGrants[].conditions.*.values` | list of any scalar |"), "{page}");
        assert!(page.contains("`Correct` or `Report`") && page.contains("Default: `\"Correct\"`."), "{page}");
        assert!(!page.contains("lastTransitionTime"), "{page}");
        assert!(page.contains("- set exactly one of conversation and permissions"), "{page}");
    }

    #[test]
    fn every_reason_has_a_complete_row() {
        let page = reference();
        let rows = page.lines().skip_while(|line| *line != "## Reasons").filter(|line| line.starts_with("| `"));
        assert_eq!(rows.filter(|row| !row.contains("|  |")).count(), reasons::ALL.len());
    }

    #[test]
    fn every_field_has_a_meaning() {
        let page = reference();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let incomplete: Vec<&str> = rows.filter(|row| row.ends_with("|  |")).collect();
        assert!(incomplete.is_empty(), "{incomplete:?}");
    }
}
