//! The guide's table of access, and its rows as JSON and YAML: pure.

use amigo_api::conditions::whole_second;
use jiff::Timestamp;
use serde::Serialize;

use super::rows::{Origin, Row};
use crate::{
    Failure,
    output::{self, OutputFormat},
    table::{Columns, countdown, one_line},
};

/// Which optional columns the table has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// With several namespaces.
    pub namespace: bool,
    /// When Amigo may be called too.
    pub source: bool,
    /// The justification.
    pub wide: bool,
}

/// The state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Live,
    Expired,
    /// Live, and replaced by a later grant.
    Renewed,
    /// Live, and its request is deleted.
    Deleted,
}

impl State {
    #[must_use]
    pub fn new(row: &Row, now: Timestamp) -> Self {
        if row.is_expired(now) { Self::Expired } else { Self::Live }
    }
}

/// A row as JSON and YAML have it.
#[derive(Serialize)]
pub struct Record<'a> {
    #[serde(flatten)]
    row: &'a Row,
    expired: bool,
}

impl Row {
    pub fn record(&self, now: Timestamp) -> Record<'_> {
        Record { row: self, expired: self.is_expired(now) }
    }
}

impl Shape {
    #[must_use]
    pub fn columns(self) -> Columns {
        let mut titles = Vec::new();
        titles.extend(self.namespace.then_some("NAMESPACE"));
        titles.extend(["USER", "PERMISSION", "GRANT ID", "EXPIRES", "TIME LEFT", "NAME"]);
        titles.extend(self.source.then_some("SOURCE"));
        titles.extend(self.wide.then_some("JUSTIFICATION"));
        Columns::new(titles)
    }

    #[must_use]
    pub fn cells(self, row: &Row, state: State, now: Timestamp) -> Vec<String> {
        let left = || countdown(row.expires, now);
        let left = match state {
            State::Expired => "expired".to_owned(),
            State::Live => left(),
            State::Renewed => format!("{}, renewed", left()),
            State::Deleted => format!("{}, request deleted", left()),
        };
        let Row { user, permission, grant_id, expires, name, namespace, source, justification } = row;
        let mut cells = Vec::new();
        cells.extend(self.namespace.then(|| namespace.clone().unwrap_or_default()));
        cells.extend([user, permission, grant_id].map(Clone::clone));
        cells.extend([whole_second(*expires).to_string(), left, name.clone().unwrap_or_default()]);
        cells.extend(self.source.then(|| source_word(*source).to_owned()));
        cells.extend(self.wide.then(|| one_line(justification)));
        cells
    }
}

fn source_word(source: Origin) -> &'static str {
    match source {
        Origin::Object => "object",
        Origin::Api => "api",
    }
}

#[must_use]
pub fn table(rows: &[Row], shape: Shape, now: Timestamp) -> String {
    let cells: Vec<_> = rows.iter().map(|row| shape.cells(row, State::new(row, now), now)).collect();
    let mut columns = shape.columns();
    columns.fit(&cells);
    columns.head() + &columns.body(&cells)
}

/// One record of a watch: a line of JSON, or a document of YAML.
///
/// # Errors
/// When JSON or YAML cannot represent the row.
pub fn record(row: &Row, format: OutputFormat, now: Timestamp) -> Result<String, Failure> {
    if format == OutputFormat::Yaml {
        return Ok(format!("---\n{}", output::yaml(&row.record(now))?));
    }
    let text = serde_json::to_string(&row.record(now));
    text.map(|text| text + "\n").map_err(|error| Failure::failed(format!("cannot print as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commands::conversation::list_access::rows::rows_of,
        fixtures::{at, issued, request},
    };

    fn rows() -> Vec<Row> {
        let mut object = request("one", |status| status.grants = vec![issued(0, 4665), issued(1, 900)]);
        object.spec.justification = "Two\nlines".to_owned();
        rows_of(&object)
    }

    #[test]
    fn table_has_the_columns_of_the_guide() {
        let expected = "\
USER              PERMISSION                     GRANT ID       EXPIRES                TIME LEFT   NAME
eng@example.com   Conversation:GetConversation   grant-0-4665   1970-01-01T01:17:45Z   1h01m       one
eng@example.com   Conversation:GetMessage        grant-1-900    1970-01-01T00:15:00Z   expired     one
";
        assert_eq!(table(&rows(), Shape::default(), at(1000)), expected);
    }

    #[test]
    fn optional_columns_are_placed_as_in_kubectl() {
        let shape = Shape { namespace: true, source: true, wide: true };
        let table = table(&rows()[..1], shape, at(1000));
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split("   ").map(str::trim).collect()).collect();
        assert_eq!((lines[0].first(), lines[0].last()), (Some(&"NAMESPACE"), Some(&"JUSTIFICATION")));
        assert_eq!(lines[1][lines[1].len() - 2..], ["object", "Two lines"]);
    }

    #[test]
    fn time_left_shows_the_state() {
        let row = &rows()[0];
        let left = |state| Shape::default().cells(row, state, at(1000))[4].clone();
        assert_eq!(left(State::Deleted), "1h01m, request deleted");
        assert_eq!(left(State::Renewed), "1h01m, renewed");
        assert_eq!(left(State::Expired), "expired");
    }

    #[test]
    fn json_has_a_field_for_each_column() {
        let line: serde_json::Value =
            serde_json::from_str(&record(&rows()[1], OutputFormat::Json, at(1000)).unwrap()).unwrap();
        let expected = serde_json::json!({
            "user": "eng@example.com", "permission": "Conversation:GetMessage", "grantId": "grant-1-900",
            "expires": "1970-01-01T00:15:00Z", "expired": true, "name": "one",
            "namespace": "team", "source": "object", "justification": "Two\nlines"
        });
        assert_eq!(line, expected);
    }
}
