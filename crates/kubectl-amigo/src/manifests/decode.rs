//! Strict decoding of documents into objects.

use amigo_api::{GROUP, Organization, Role, RoleAssignment, TemporaryPermissionGrant, VERSION};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_path_to_error::{Segment, Track};

use super::{ACCESS_TEST_KIND, Document, Manifest, Manifests, Problem};

impl Manifests {
    /// Adds the object of a document to the list of its kind. A List adds its items.
    pub(super) fn add(&mut self, mut document: Document, problems: &mut Vec<Problem>) {
        if document.tree.is_map() && ["apiVersion", "kind"].iter().all(|key| document.tree.child(key).is_none()) {
            // Not a Kubernetes object, for example a values file or the seed of the sandbox.
            self.skipped += 1;
            return;
        }
        let Some((api_version, kind)) = type_meta(&document) else {
            let message = "not a Kubernetes object: apiVersion and kind must be strings";
            problems.push(document.problem::<&str>(&[], message));
            return;
        };
        if let Some(item_kind) = kind.strip_suffix("List")
            && let Some(items) = document.tree.remove("items")
        {
            for mut item in items.into_items().unwrap_or_default() {
                if !item_kind.is_empty() {
                    item.set_default("apiVersion", &api_version);
                    item.set_default("kind", item_kind);
                }
                self.add(Document { file: document.file.clone(), tree: item }, problems);
            }
            return;
        }
        match api_version.split_once('/') {
            Some((GROUP, VERSION)) => self.add_object(&kind, document, problems),
            Some((GROUP, version)) => {
                let message = format!("unknown version {GROUP}/{version}: use {GROUP}/{VERSION}");
                problems.push(document.problem(&["apiVersion"], message));
            }
            _ => self.skipped += 1,
        }
    }

    fn add_object(&mut self, kind: &str, document: Document, problems: &mut Vec<Problem>) {
        let added = match kind {
            "Role" => decode_into(&mut self.roles, decode_object::<Role>, document),
            "RoleAssignment" => decode_into(&mut self.assignments, decode_object::<RoleAssignment>, document),
            "TemporaryPermissionGrant" => {
                decode_into(&mut self.grants, decode_object::<TemporaryPermissionGrant>, document)
            }
            "Organization" => decode_into(&mut self.organizations, decode_object::<Organization>, document),
            ACCESS_TEST_KIND => decode_into(&mut self.access_tests, decode, document),
            other => Err(vec![document.problem(&["kind"], format!("unknown kind {other} in {GROUP}"))]),
        };
        if let Err(errors) = added {
            problems.extend(errors);
        }
    }
}

fn decode_into<K>(
    list: &mut Vec<Manifest<K>>,
    decode: impl Fn(&Document) -> Result<K, Vec<Problem>>,
    document: Document,
) -> Result<(), Vec<Problem>> {
    let object = decode(&document)?;
    list.push(Manifest { object, document });
    Ok(())
}

fn type_meta(document: &Document) -> Option<(String, String)> {
    Some((document.tree.text("apiVersion")?.to_owned(), document.tree.text("kind")?.to_owned()))
}

/// Decodes an object of a CRD's kind, which needs a name.
fn decode_object<K: Resource + DeserializeOwned>(document: &Document) -> Result<K, Vec<Problem>> {
    let object: K = decode(document)?;
    let meta = object.meta();
    let has_name = meta.name.as_ref().or(meta.generate_name.as_ref()).is_some_and(|name| !name.is_empty());
    if has_name { Ok(object) } else { Err(vec![document.problem(&["metadata"], "metadata.name is missing")]) }
}

/// Unknown fields are errors.
fn decode<K: DeserializeOwned>(document: &Document) -> Result<K, Vec<Problem>> {
    let json = document.tree.to_json();
    let mut unknown = Vec::new();
    let mut track = Track::new();
    let decoded = {
        let mut on_unknown = |path: Path<'_>| unknown.push(segments(&path));
        let tracked = serde_path_to_error::Deserializer::new(&json, &mut track);
        K::deserialize(serde_ignored::Deserializer::new(tracked, &mut on_unknown))
    };
    // The Rust types have no fields for these two.
    unknown.retain(|path| !matches!(&path[..], [only] if only == "apiVersion" || only == "kind"));
    let mut problems: Vec<_> = unknown
        .iter()
        .map(|path| document.problem(path, format!("unknown field {}: check the spelling", path.join("."))))
        .collect();
    match decoded {
        Ok(object) if problems.is_empty() => Ok(object),
        Ok(_) => Err(problems),
        Err(error) => {
            let path: Vec<_> = track.path().iter().filter_map(segment_name).collect();
            let field = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
            problems.push(document.problem(&path, format!("{field}{error}")));
            Err(problems)
        }
    }
}

fn segment_name(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn segments(path: &Path<'_>) -> Vec<String> {
    let (parent, segment) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(index.to_string())),
        Path::Map { parent, key } => (parent, Some(key.clone())),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut segments = segments(parent);
    segments.extend(segment);
    segments
}

impl Document {
    fn problem<S: AsRef<str>>(&self, path: &[S], message: impl Into<String>) -> Problem {
        Problem { location: self.location_of(path), message: message.into() }
    }
}
