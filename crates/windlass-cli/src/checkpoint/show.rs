//! States as text for people.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use windlass::checkpoint::PartName;
use windlass_client::PartContent;
use windlass_client::state::{
    Base64, Committed, Difference, Form, LogEntry, Node, Origin, Part, PartDifference, Snapshot,
};

use super::compare::Change;
use crate::table::{fields, moment, plain, rows};

/// Characters of a message, or of a value, that a line shows.
const LINE_CHARS_MAX: usize = 72;
/// Changes within a part that are shown.
const CHANGES_MAX: usize = 20;

/// What a commit came to.
pub(super) fn committed(done: &Committed) -> String {
    let leaf = done.leaf.map_or_else(none, |leaf| leaf.to_string());
    fields([
        ("revision", done.revision.to_string()),
        ("leaf", leaf),
        ("nodes", done.nodes.to_string()),
        ("manifest", done.manifest.clone()),
    ])
}

fn none() -> String {
    "-".to_owned()
}

/// A state without its contents.
pub(super) fn snapshot(snapshot: &Snapshot) -> String {
    let parts = snapshot.parts.iter().map(|(name, part)| {
        [
            name.clone(),
            form(part.form).to_owned(),
            part.size.to_string(),
            part.kind.as_deref().map_or_else(none, plain),
            part.number.map_or_else(none, |number| number.to_string()),
            part.blob.clone(),
        ]
    });
    let header = ["PART", "FORM", "BYTES", "KIND", "NUMBER", "BLOB"];
    format!("{}\n\n{}", commit(&snapshot.commit), rows(header, parts))
}

const fn form(form: Form) -> &'static str {
    match form {
        Form::Json => "json",
        Form::Bytes => "bytes",
    }
}

fn commit(commit: &LogEntry) -> String {
    let mut shown = vec![
        ("revision", commit.revision.to_string()),
        ("at", moment(commit.at)),
        ("by", commit.principal.clone()),
        (
            "leaf",
            commit.leaf.map_or_else(none, |leaf| leaf.to_string()),
        ),
        ("nodes", commit.nodes.to_string()),
    ];
    if let Some(turn) = &commit.turn {
        shown.push(("operation", turn.clone()));
    }
    if let Some(origin) = &commit.origin {
        shown.push(("origin", from(origin)));
    }
    if let Some(note) = &commit.note {
        shown.push(("note", plain(note)));
    }
    fields(shown)
}

fn from(origin: &Origin) -> String {
    match origin {
        Origin::Rollback { revision } => format!("revision {revision}"),
        Origin::Fork { session, revision } => format!("`{session}` at revision {revision}"),
    }
}

/// Nodes, one a row.
pub(super) fn nodes(nodes: &[Node]) -> String {
    let shown = nodes.iter().map(|node| {
        [
            node.number.to_string(),
            node.parent.map_or_else(none, |parent| parent.to_string()),
            node.revision.to_string(),
            plain(&node.kind),
            line(node),
        ]
    });
    rows(["NODE", "PARENT", "REVISION", "KIND", "CONTENT"], shown)
}

/// What differs: the nodes by their first line, the parts by what of them.
pub(super) fn difference(found: &Difference, changes: &BTreeMap<String, Vec<Change>>) -> String {
    let mut lines = vec![
        format!(
            "--- revision {}  {}",
            found.from.revision,
            moment(found.from.at)
        ),
        format!(
            "+++ revision {}  {}",
            found.to.revision,
            moment(found.to.at)
        ),
    ];
    for (name, apart) in &found.parts {
        lines.push(part(name, apart));
        let changes = changes.get(name).map(Vec::as_slice).unwrap_or_default();
        lines.extend(changes.iter().take(CHANGES_MAX).flat_map(change));
        if changes.len() > CHANGES_MAX {
            let more = changes.len() - CHANGES_MAX;
            lines.push(format!("    and {more} more; `--json` has all"));
        }
    }
    let node = |sign: &str, node: &Node| {
        let kind = plain(&node.kind);
        format!("{sign} {kind} {}  {}", node.number, line(node))
    };
    lines.extend(found.left.iter().map(|it| node("-", it)));
    lines.extend(found.entered.iter().map(|it| node("+", it)));
    if found.truncated {
        lines.push("there are more nodes that differ".to_owned());
    }
    if lines.len() == 2 {
        lines.push("nothing differs".to_owned());
    }
    lines.join("\n")
}

fn part(name: &str, apart: &PartDifference) -> String {
    let said = |part: &Part| format!("{} bytes of {}", part.size, form(part.form));
    match (&apart.before, &apart.after) {
        (Some(before), Some(after)) if before.blob == after.blob => {
            format!("~ part {name}  what is said of it")
        }
        (Some(before), Some(after)) if before.form == after.form => {
            let (before, form) = (before.size, form(after.form));
            format!("~ part {name}  {before} to {} bytes of {form}", after.size)
        }
        (Some(before), Some(after)) => {
            format!("~ part {name}  {} to {}", said(before), said(after))
        }
        (Some(before), None) => format!("- part {name}  {}", said(before)),
        (None, Some(after)) => format!("+ part {name}  {}", said(after)),
        (None, None) => format!("~ part {name}"),
    }
}

fn change(change: &Change) -> Vec<String> {
    let place = if change.place.is_empty() {
        "."
    } else {
        &change.place
    };
    let line = |sign: &str, value: &Value| {
        let value = shortened(&value.to_string());
        format!("    {sign} {} {value}", shortened(place))
    };
    let before = change.before.iter().map(|value| line("-", value));
    let after = change.after.iter().map(|value| line("+", value));
    before.chain(after).collect()
}

/// The first line of what a node holds; of a message also who says it.
fn line(node: &Node) -> String {
    match (&node.json, &node.bytes) {
        (Some(json), _) => shortened(&said(json)),
        (None, Some(bytes)) => format!("{} bytes", bytes.0.len()),
        (None, None) => "(removed)".to_owned(),
    }
}

fn said(json: &RawValue) -> String {
    let Ok(value) = serde_json::from_str::<Value>(json.get()) else {
        return json.get().to_owned();
    };
    let text = match &value {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => text_of(&value["content"]),
        _ => None,
    };
    let role = value["role"].as_str();
    match (role, text) {
        (Some(role), Some(text)) => format!("{role}: {text}"),
        (None, Some(text)) => text,
        _ => json.get().to_owned(),
    }
}

/// The text of a message, which is one or a list of pieces some of which are.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(pieces) => {
            let texts = pieces.iter().filter_map(|piece| piece["text"].as_str());
            let texts: Vec<&str> = texts.collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        _ => None,
    }
}

/// The first line of a text that has something in it, of one length at most.
fn shortened(text: &str) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or_default();
    let is_whole = first.len() == text.trim_end().len();
    let mut shown: String = first.chars().take(LINE_CHARS_MAX).collect();
    if !is_whole || shown.len() < first.len() {
        shown.push('…');
    }
    plain(&shown)
}

/// A part with its content, as an object.
#[derive(Serialize)]
pub(super) struct Content {
    name: String,
    form: Form,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Base64>,
}

/// A part with its content; as bytes if it turns out to be no JSON.
pub(super) fn content(name: &PartName, content: &PartContent) -> Content {
    let json = match content.form {
        Form::Json => serde_json::from_slice::<Box<RawValue>>(&content.bytes).ok(),
        Form::Bytes => None,
    };
    // An object is one line, whatever the text was.
    let json = json.map(|json| one_line(&json).unwrap_or(json));
    let bytes = json.is_none().then(|| Base64(content.bytes.to_vec()));
    Content {
        name: name.to_string(),
        form: content.form,
        json,
        bytes,
    }
}

/// The same value without line breaks; `None` if there are none.
fn one_line(json: &RawValue) -> Option<Box<RawValue>> {
    if !json.get().contains(['\n', '\r']) {
        return None;
    }
    // Within texts of JSON line breaks are escaped, so these are around them.
    let text = json.get().replace(['\n', '\r'], " ");
    RawValue::from_string(text).ok()
}
