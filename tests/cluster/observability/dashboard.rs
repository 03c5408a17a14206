//! The dashboard: every query can be asked, every panel says what it shows and has its place.

use std::fmt::Write as _;

use serde_json::Value;

use super::rules::{promtool, text};

fn panels() -> Vec<Value> {
    let dashboard: Value =
        serde_json::from_str(&text("charts/amigo-operator/files/dashboard.json")).expect("as Grafana has it");
    dashboard["panels"].as_array().expect("as Grafana has it").clone()
}

/// The panels that are not headings.
fn charts() -> Vec<Value> {
    panels().into_iter().filter(|panel| panel["type"] != "row").collect()
}

fn title(panel: &Value) -> &str {
    panel["title"].as_str().expect("as Grafana has it")
}

/// A query as Grafana sends it.
fn filled_in(query: &str) -> String {
    query.replace("$organization", ".*").replace("$__rate_interval", "2m").replace("$__range", "6h")
}

/// Left, top, right, bottom.
fn place(panel: &Value) -> [u64; 4] {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("as Grafana has it"));
    [x, y, x + w, y + h]
}

/// Has Prometheus read queries, as rules that record them.
fn prometheus_understands(queries: impl IntoIterator<Item = String>) {
    let mut rules = "groups:\n  - name: queries\n    rules:\n".to_owned();
    for (index, query) in queries.into_iter().enumerate() {
        writeln!(rules, "      - {{ record: query:{index}, expr: {} }}", Value::from(query))
            .expect("a String takes all");
    }
    assert!(rules.contains("query:0"), "no queries");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), rules).expect("a file");
    promtool(&["check", "rules", file.path().to_str().expect("a path")]);
}

#[test]
fn prometheus_parses_every_dashboard_query() {
    let charts = charts();
    let targets = charts.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    prometheus_understands(targets.map(|target| filled_in(target["expr"].as_str().unwrap())));
}

#[test]
fn prometheus_understands_every_query_of_the_page() {
    let page = text("docs/metrics.md");
    let blocks = page.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next());
    prometheus_understands(blocks.map(|block| block.trim().to_owned()));
}

#[test]
fn every_panel_has_a_description_and_the_datasource() {
    for panel in charts() {
        assert!(panel["description"].as_str().unwrap().len() > 20, "{}", title(&panel));
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{}", title(&panel));
        let sources = panel["targets"].as_array().unwrap().iter().chain([&panel]).map(|it| &it["datasource"]["uid"]);
        assert!(sources.into_iter().all(|uid| uid == "${datasource}"), "{}", title(&panel));
    }
}

#[test]
fn no_panel_lies_on_another_or_has_anothers_number() {
    let panels = panels();
    for (index, one) in panels.iter().enumerate() {
        assert!(place(one)[2] <= 24, "{} is wider than the page", title(one));
        for other in &panels[index + 1..] {
            let ([left, top, right, bottom], [x, y, far, low]) = (place(one), place(other));
            let apart = right <= x || far <= left || bottom <= y || low <= top;
            assert!(apart && one["id"] != other["id"], "{} and {}", title(one), title(other));
        }
    }
}
