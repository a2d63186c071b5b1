//! A commit as it is asked for over the wire, in the words of the part.

use std::sync::Arc;

use serde_json::value::RawValue;
use windlass::checkpoint::{
    BlobId, Changes, Expected, Form, Label, NewNode, Parent, PartChange, Payload, Usage,
};
use windlass::core::OperationId;
use windlass_client::state as wire;

use super::invalid;
use crate::problem::Refused;

/// The changes that are asked for, to be made for the revision `expected`.
pub(super) fn changes(
    asked: wire::CommitState,
    expected: Expected,
    turn: Option<OperationId>,
) -> Result<Changes, Refused> {
    let mut changes = Changes {
        expected,
        replace_nodes: asked.replace_nodes,
        tombstones: asked.tombstones,
        leaf: asked.leaf,
        usage: Usage {
            calls: asked.usage.calls,
            tokens: asked.usage.tokens,
            cost_micros: asked.usage.cost_micros,
        },
        attachments: asked.attachments,
        note: asked.note.map(Arc::from),
        turn,
        ..Changes::default()
    };
    for (name, change) in asked.parts {
        let change = change.map_or(Ok(PartChange::Remove), part)?;
        changes.parts.insert(name.parse()?, change);
    }
    let nodes = asked.nodes.into_iter().map(node);
    changes.nodes = nodes.collect::<Result<_, _>>()?;
    Ok(changes)
}

fn part(asked: wire::PartChange) -> Result<PartChange, Refused> {
    let label = Label {
        kind: asked.kind.map(Arc::from),
        number: asked.number,
        compressible: asked.compressible,
        large: asked.large,
    };
    match (asked.blob, asked.json, asked.bytes, asked.form) {
        (Some(blob), None, None, form) => {
            let blob: Result<BlobId, _> = blob.parse();
            let blob = blob.map_err(|error| invalid("parts.blob", &error.to_string()))?;
            Ok(PartChange::Refer(blob, self::form(form), label))
        }
        (None, json, bytes, None) => {
            let payload = payload("parts", json, bytes)?;
            Ok(PartChange::Put(payload, label))
        }
        (Some(_), ..) => Err(one_of("parts")),
        (None, .., Some(_)) => {
            let detail = "`parts.form` is for a blob only: others say it by where they stand";
            Err(invalid("parts.form", detail))
        }
    }
}

fn form(asked: Option<wire::Form>) -> Form {
    match asked {
        None | Some(wire::Form::Json) => Form::Json,
        Some(wire::Form::Bytes) => Form::Bytes,
    }
}

fn payload(
    field: &'static str,
    json: Option<Box<RawValue>>,
    bytes: Option<wire::Base64>,
) -> Result<Payload, Refused> {
    match (json, bytes) {
        (Some(json), None) => {
            let text: Box<str> = json.into();
            Ok(Payload::Json(String::from(text).into_bytes().into()))
        }
        (None, Some(bytes)) => Ok(Payload::Bytes(bytes.0.into())),
        _ => Err(one_of(field)),
    }
}

fn one_of(field: &'static str) -> Refused {
    let detail = format!("each of `{field}` has exactly one content");
    invalid(field, &detail)
}

fn node(asked: wire::NewNode) -> Result<NewNode, Refused> {
    let parent = match asked.parent {
        None | Some(wire::Parent::Leaf) => Parent::Leaf,
        Some(wire::Parent::Root) => Parent::Root,
        Some(wire::Parent::Node(number)) => Parent::Node(number),
        // One that is not before it is refused by the part.
        Some(wire::Parent::New(place)) => Parent::New(usize::try_from(place).unwrap_or(usize::MAX)),
    };
    Ok(NewNode {
        parent,
        kind: asked.kind.into(),
        payload: payload("nodes", asked.json, asked.bytes)?,
    })
}
