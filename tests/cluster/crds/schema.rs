//! Walks through the exported schemas.

use std::fmt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::core::response::StatusCause;

/// How a path writes the key of a map: the attribute that the cases use.
const ANY_KEY: &str = "org_id";

/// A schema and where it stands.
pub struct Place {
    pub kind: String,
    /// As the API server names it, without the indexes of lists.
    pub path: String,
    pub schema: JSONSchemaProps,
    pub is_property: bool,
}

impl Place {
    /// Whether a user writes it.
    pub fn is_in_spec(&self) -> bool {
        self.path == "spec" || self.path.starts_with("spec.")
    }

    pub fn says(&self, problem: &str) -> String {
        format!("{} {}: {problem}", self.kind, self.path)
    }
}

/// A rule that an object can break.
#[derive(Debug, PartialEq)]
pub struct Rule {
    pub kind: String,
    pub path: String,
    pub test: Test,
}

#[derive(Debug, PartialEq)]
pub enum Test {
    /// A CEL rule, known by its message.
    Cel(String),
    OneOfNames,
    Pattern,
    OneOf,
    Required,
}

impl Rule {
    /// Whether this is the rule that `cause` speaks of.
    pub fn is_broken_by(&self, kind: &str, cause: &StatusCause) -> bool {
        // Of a oneOf the server names the place in the message only.
        let at_its_place = without_indexes(&cause.field) == self.path
            || (self.test == Test::OneOf && without_indexes(&cause.message).contains(&format!("\"{}\"", self.path)));
        let says_so = match &self.test {
            Test::Cel(message) => cause.message.ends_with(message),
            Test::OneOfNames => cause.reason == "FieldValueNotSupported",
            Test::Pattern => cause.message.contains("should match"),
            Test::OneOf => cause.message.contains("(oneOf)"),
            Test::Required => cause.reason == "FieldValueRequired",
        };
        self.kind == kind && at_its_place && says_so
    }
}

fn without_indexes(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {:?}", self.kind, self.path, self.test)
    }
}

/// All places of all kinds, `spec` and `status` and below.
pub fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for definition in amigo_api::all() {
        for version in definition.spec.versions {
            let schema = version.schema.and_then(|schema| schema.open_api_v3_schema).expect("a schema");
            walk(&definition.spec.names.kind, "", &schema, false, &mut places);
        }
    }
    places
}

/// All rules that a spec can break.
pub fn rules() -> Vec<Rule> {
    let in_spec = places().into_iter().filter(Place::is_in_spec);
    in_spec
        .flat_map(|place| {
            tests(&place).into_iter().map(move |(path, test)| Rule { kind: place.kind.clone(), path, test })
        })
        .collect()
}

fn tests(place: &Place) -> Vec<(String, Test)> {
    let (schema, here) = (&place.schema, || place.path.clone());
    let cel = schema.x_kubernetes_validations.iter().flatten();
    let mut tests: Vec<_> =
        cel.map(|rule| (here(), Test::Cel(rule.message.clone().expect("a rule with a message")))).collect();
    tests.extend(schema.enum_.as_ref().map(|_| (here(), Test::OneOfNames)));
    tests.extend(schema.pattern.as_ref().map(|_| (here(), Test::Pattern)));
    tests.extend(schema.one_of.as_ref().map(|_| (here(), Test::OneOf)));
    let required = schema.required.iter().flatten();
    tests.extend(required.map(|name| (format!("{}.{name}", place.path), Test::Required)));
    tests
}

fn walk(kind: &str, path: &str, schema: &JSONSchemaProps, is_property: bool, places: &mut Vec<Place>) {
    places.push(Place { kind: kind.to_owned(), path: path.to_owned(), schema: schema.clone(), is_property });
    for (name, property) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(kind, &path, property, true, places);
    }
    if let Some(items) = items(schema) {
        // A list can limit its items as well.
        let limit = schema.all_of.iter().flatten().filter_map(self::items).find_map(|items| items.max_length);
        let items = JSONSchemaProps { max_length: items.max_length.or(limit), ..items.clone() };
        walk(kind, path, &items, false, places);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        walk(kind, &format!("{path}.{ANY_KEY}"), values, false, places);
    }
}

fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        _ => None,
    }
}
