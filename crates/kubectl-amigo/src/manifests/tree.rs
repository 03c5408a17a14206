//! YAML with the line of every part. JSON is YAML too.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Place, Problem, Source};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The line, from 1.
    pub line: u64,
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Tree>),
    /// Values know the line of their key, where a reader looks for them.
    Map(Vec<(String, Tree)>),
}

/// The documents of a source; empty ones are left out.
///
/// # Errors
/// When it is not YAML.
pub fn documents(source: &Source) -> Result<Vec<Tree>, Problem> {
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed: Result<Vec<Spanned<Node>>, _> = serde_saphyr::from_multiple_with_options(&source.text, options);
    match parsed {
        Ok(nodes) => Ok(nodes.into_iter().map(Tree::from).collect()),
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            let place = Place { file: source.name.clone(), line };
            Err(Problem { place, message: format!("this is no valid YAML: {error}") })
        }
    }
}

/// A token of a JSON pointer as the key it stands for.
pub fn escaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

impl Tree {
    /// The line of the part at a path, or of the nearest part around it.
    pub fn line_of<S: AsRef<str>>(&self, path: impl IntoIterator<Item = S>) -> u64 {
        let mut part = self;
        for step in path {
            let Some(next) = part.child(step.as_ref()) else { break };
            part = next;
        }
        part.line
    }

    /// The member of a map, or the item of a list by its number.
    pub fn child(&self, step: &str) -> Option<&Self> {
        match &self.node {
            Node::Map(members) => members.iter().find(|(key, _)| key == step).map(|(_, value)| value),
            Node::List(items) => items.get(step.parse::<usize>().ok()?),
            Node::Scalar(_) => None,
        }
    }

    /// The text of a member.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.child(key)?.node {
            Node::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    /// Whether it has members.
    pub fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    /// The items, if it is a list.
    pub fn into_items(self) -> Option<Vec<Self>> {
        match self.node {
            Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// Takes a member out of a map.
    pub fn take(&mut self, key: &str) -> Option<Self> {
        let Node::Map(members) = &mut self.node else { return None };
        let index = members.iter().position(|(name, _)| name == key)?;
        Some(members.swap_remove(index).1)
    }

    /// Sets a text that is missing in a map.
    pub fn set_missing(&mut self, key: &str, text: &str) {
        let (missing, line) = (self.child(key).is_none(), self.line);
        if let (Node::Map(members), true) = (&mut self.node, missing) {
            members.push((key.to_owned(), Self { line, node: Node::Scalar(text.into()) }));
        }
    }

    /// The same without places.
    pub fn json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => items.iter().map(Self::json).collect(),
            Node::Map(members) => members.iter().map(|(key, value)| (key.clone(), value.json())).collect(),
        }
    }
}

impl From<Spanned<Node>> for Tree {
    fn from(spanned: Spanned<Node>) -> Self {
        Self { line: spanned.referenced.line(), node: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML that has a form in JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Node::Scalar(number.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element::<Spanned<Node>>()? {
            items.push(item.into());
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Node>()? {
            members.push((key.value, Tree { line: key.referenced.line(), node: value }));
        }
        Ok(Node::Map(members))
    }
}
