//! The hash of what a request asks, which tells a repeated turn from another
//! one under the same id.
//!
//! It covers exactly what the caller gave, field by field, each with its
//! length, so that no two requests look alike. JSON is hashed in a canonical
//! form: white space around its tokens and the order of an object's members
//! do not matter; everything else does, whatever a member is called.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use windlass_core::SessionId;

use crate::error::CheckpointError;
use crate::model::{Changes, Expected, Label, NewNode, Parent, PartChange, Payload, TagName};

/// Nesting below which JSON is put into canonical form; deeper values are
/// hashed as they are written.
const DEPTH_MAX: usize = 128;

/// Hashes one request.
#[derive(Debug)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    fn new(verb: &str) -> Self {
        let mut fingerprint = Self(Sha256::new());
        fingerprint.bytes(verb.as_bytes());
        fingerprint
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn plain<T: Serialize>(&mut self, value: &T) {
        let json = serde_json::to_vec(value).expect("requests have text keys and whole numbers");
        self.bytes(&json);
    }

    /// 128 bits of it, in hexadecimal: enough, as the id is its owner's own.
    fn text(self) -> String {
        let digest = self.0.finalize();
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        let digits = digest[..16]
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        digits.collect()
    }

    fn json(&mut self, text: &str, depth: usize) -> Result<(), CheckpointError> {
        let text = text.trim_ascii();
        let bad = |error: serde_json::Error| CheckpointError::corrupt("request", error.to_string());
        match text.as_bytes().first() {
            Some(b'{') if depth < DEPTH_MAX => {
                let members: BTreeMap<String, &RawValue> =
                    serde_json::from_str(text).map_err(bad)?;
                self.bytes(b"{");
                self.count(members.len());
                for (name, value) in members {
                    self.bytes(name.as_bytes());
                    self.json(value.get(), depth + 1)?;
                }
            }
            Some(b'[') if depth < DEPTH_MAX => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
                self.bytes(b"[");
                self.count(elements.len());
                for element in elements {
                    self.json(element.get(), depth + 1)?;
                }
            }
            Some(b'"') => {
                let content: String = serde_json::from_str(text).map_err(bad)?;
                self.bytes(b"\"");
                self.bytes(content.as_bytes());
            }
            _ => self.bytes(text.as_bytes()),
        }
        Ok(())
    }

    fn payload(&mut self, payload: &Payload) -> Result<(), CheckpointError> {
        match payload {
            Payload::Json(text) => {
                self.bytes(b"json");
                let text = std::str::from_utf8(text)
                    .map_err(|error| CheckpointError::corrupt("request", error.to_string()))?;
                self.json(text, 0)
            }
            Payload::Bytes(bytes) => {
                self.bytes(b"bytes");
                self.bytes(bytes);
                Ok(())
            }
        }
    }

    fn part(&mut self, change: &PartChange) -> Result<(), CheckpointError> {
        let label = |it: &mut Self, label: &Label| it.plain(label);
        match change {
            PartChange::Put(payload, said) => {
                self.payload(payload)?;
                label(self, said);
            }
            PartChange::Refer(blob, form, said) => {
                self.bytes(b"refer");
                self.plain(&(blob, form));
                label(self, said);
            }
            PartChange::Remove => self.bytes(b"remove"),
        }
        Ok(())
    }

    fn node(&mut self, node: &NewNode) -> Result<(), CheckpointError> {
        match node.parent {
            Parent::Leaf => self.number(0),
            Parent::Root => self.number(1),
            Parent::Node(number) => {
                self.number(2);
                self.number(number);
            }
            Parent::New(place) => {
                self.number(3);
                self.count(place);
            }
        }
        self.bytes(node.kind.as_bytes());
        self.payload(&node.payload)
    }
}

/// The hash of a commit. `changes` have been checked.
pub(crate) fn of_changes(changes: &Changes) -> Result<String, CheckpointError> {
    let mut it = Fingerprint::new("commit");
    match changes.expected {
        Expected::Any => it.number(0),
        Expected::Revision(revision) => {
            it.number(1);
            it.number(revision);
        }
    }
    it.count(changes.parts.len());
    for (name, change) in &changes.parts {
        it.bytes(name.as_str().as_bytes());
        it.part(change)?;
    }
    it.number(u64::from(changes.replace_nodes));
    it.plain(&changes.tombstones);
    it.count(changes.nodes.len());
    for node in &changes.nodes {
        it.node(node)?;
    }
    it.plain(&changes.leaf);
    it.plain(&changes.usage);
    it.plain(&changes.attachments);
    it.plain(&changes.note);
    Ok(it.text())
}

/// The hash of a commit that others are a part of.
pub(crate) fn joined(own: &str, others: &str) -> String {
    let mut it = Fingerprint::new("joined");
    it.bytes(own.as_bytes());
    it.bytes(others.as_bytes());
    it.text()
}

/// The hash of a rollback.
pub(crate) fn of_rollback(to: u64, expected: Expected) -> String {
    let mut it = Fingerprint::new("rollback");
    it.number(to);
    if let Expected::Revision(revision) = expected {
        it.number(revision);
    }
    it.text()
}

/// The hash of a fork.
pub(crate) fn of_fork(from: &SessionId, revision: Option<u64>) -> String {
    let mut it = Fingerprint::new("fork");
    it.bytes(from.as_str().as_bytes());
    it.plain(&revision);
    it.text()
}

/// The hash of setting or removing a tag.
pub(crate) fn of_tag(name: &TagName, revision: Option<u64>) -> String {
    let mut it = Fingerprint::new("tag");
    it.bytes(name.as_str().as_bytes());
    it.plain(&revision);
    it.text()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn hash_of(text: &'static str) -> String {
        let payload = Payload::Json(Bytes::from_static(text.as_bytes()));
        let changes = Changes::at(1).append("message", payload);
        of_changes(&changes).expect("JSON")
    }

    #[test]
    fn order_and_white_space_do_not_matter() {
        let one = hash_of(r#"{"a":[1,{"c":null,"b":"x"}],"d":true}"#);
        let other = hash_of("{ \"d\" : true, \"a\" : [ 1, {\"b\":\"\\u0078\",\"c\":null} ] }");
        assert_eq!(one, other);
    }

    #[test]
    fn everything_else_matters_whatever_it_is_called() {
        let texts = [
            r#"{"timestamp":1}"#,
            r#"{"timestamp":2}"#,
            r#"{"timestamp":1.0}"#,
            r#"{"timestamp":"1"}"#,
            r#"{"timestamp":18446744073709551616}"#,
            r#"{"timestamp":18446744073709551617}"#,
            r#"{"id":1}"#,
            r#"[["a"],"b"]"#,
            r#"["a",["b"]]"#,
            r#"["a","b"]"#,
            r#"["ab"]"#,
        ];
        let hashes: std::collections::BTreeSet<String> = texts.into_iter().map(hash_of).collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
