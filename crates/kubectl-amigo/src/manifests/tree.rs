//! YAML with the line of every node. JSON is YAML too.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Location, Problem, SourceFile};

/// A value and its line.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Counted from 1.
    pub line: u64,
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Tree>),
    /// The line of a value is that of its key, where readers look for it.
    Map(Vec<(String, Tree)>),
}

/// The documents of a file, without empty ones.
///
/// # Errors
/// When it is not YAML.
pub fn documents(source: &SourceFile) -> Result<Vec<Tree>, Problem> {
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed: Result<Vec<Spanned<Node>>, _> = serde_saphyr::from_multiple_with_options(&source.text, options);
    match parsed {
        Ok(nodes) => Ok(nodes.into_iter().map(Tree::from).collect()),
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            let location = Location { file: source.name.clone(), line };
            Err(Problem { location, message: format!("invalid YAML: {error}") })
        }
    }
}

/// The key of a JSON pointer's token.
pub fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

impl Tree {
    /// The line of the node at a path, or of its nearest parent.
    pub fn line_of<S: AsRef<str>>(&self, path: impl IntoIterator<Item = S>) -> u64 {
        let mut node = self;
        for segment in path {
            let Some(child) = node.child(segment.as_ref()) else { break };
            node = child;
        }
        node.line
    }

    /// The value of a key, or the item at an index.
    pub fn child(&self, segment: &str) -> Option<&Self> {
        match &self.node {
            Node::Map(members) => members.iter().find(|(key, _)| key == segment).map(|(_, value)| value),
            Node::List(items) => items.get(segment.parse::<usize>().ok()?),
            Node::Scalar(_) => None,
        }
    }

    /// The string value of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.child(key)?.node {
            Node::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    pub fn into_items(self) -> Option<Vec<Self>> {
        match self.node {
            Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// Removes a key of a map and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        let Node::Map(members) = &mut self.node else { return None };
        let index = members.iter().position(|(name, _)| name == key)?;
        Some(members.swap_remove(index).1)
    }

    /// Sets a key of a map if it is missing.
    pub fn set_default(&mut self, key: &str, text: &str) {
        let (missing, line) = (self.child(key).is_none(), self.line);
        if let (Node::Map(members), true) = (&mut self.node, missing) {
            members.push((key.to_owned(), Self { line, node: Node::Scalar(text.into()) }));
        }
    }

    pub fn to_json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => items.iter().map(Self::to_json).collect(),
            Node::Map(members) => members.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
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
        formatter.write_str("YAML that can be represented as JSON")
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
