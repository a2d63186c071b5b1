//! What is asked of a state.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{Base64, Counted, Form};
#[cfg(feature = "schema")]
use crate::schema::{At, Blob, Bytes, Identifier, Json};

/// One commit: everything in it happens, or nothing of it.
///
/// The revision it is made for is `expected`, or the header `If-Match` with
/// the tag of a head, or `If-None-Match: *` for the first commit; without any
/// of them it is made for whichever there is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CommitState {
    /// The revision of the head; 0 before the first commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// Parts that get another content, by name; `null` takes one away. At most
    /// 1,024.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = BTreeMap<String, PartChangeOrNone>))]
    pub parts: BTreeMap<String, Option<PartChange>>,
    /// Whether all nodes that are there leave the graph first.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub replace_nodes: bool,
    /// Nodes that leave the graph: at most 4,096. Their places stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(max_items = 4096))]
    pub tombstones: Vec<u64>,
    /// Nodes to append, in order: at most 1,024.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(max_items = 1024))]
    pub nodes: Vec<NewNode>,
    /// The node that is the leaf from now on; the last appended one if left
    /// out, or the one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// What is added to the session's count.
    #[serde(default, skip_serializing_if = "Counted::is_zero")]
    pub usage: Counted,
    /// Attachments that become part of the state: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(max_items = 16))]
    pub attachments: Vec<String>,
    /// A word for whoever reads the log: at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_length = 512))]
    pub note: Option<String>,
}

/// Another content for a part: exactly one of `json`, `bytes` and `blob`, and
/// what the caller says about it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PartChange {
    /// A JSON value, kept as it is written.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub json: Option<Box<RawValue>>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Bytes))]
    pub bytes: Option<Base64>,
    /// The content of a blob that the state, or one it was forked from or
    /// into, has or had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Blob))]
    pub blob: Option<String>,
    /// Whether that blob is JSON; it is if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// What it is, such as a media type: at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_length = 128))]
    pub kind: Option<String>,
    /// A number of the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// `false` says that compressing it is in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressible: Option<bool>,
    /// Whether it is large; kept for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<bool>,
}

/// A change of a part, or `null`; nothing is ever made of it.
#[cfg(feature = "schema")]
#[derive(Debug)]
pub(super) enum PartChangeOrNone {}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for PartChangeOrNone {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::ToSchema as _;
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

        let change = utoipa::openapi::Ref::from_schema_name(PartChange::name());
        let none = ObjectBuilder::new().schema_type(Type::Null).build();
        let either = OneOfBuilder::new().item(change).item(none);
        utoipa::openapi::RefOr::T(Schema::from(either.build()))
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for PartChangeOrNone {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        let name = PartChange::name().into_owned();
        schemas.push((name, <PartChange as utoipa::PartialSchema>::schema()));
        PartChange::schemas(schemas);
    }
}

impl PartChange {
    /// A content of JSON.
    #[must_use]
    pub fn json(value: Box<RawValue>) -> Self {
        Self {
            json: Some(value),
            ..Self::default()
        }
    }

    /// A content of bytes.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: Some(Base64(bytes.into())),
            ..Self::default()
        }
    }
}

/// A node to append: exactly one of `json` and `bytes`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewNode {
    /// What it is, such as `message`: at most 128 bytes.
    #[cfg_attr(feature = "schema", schema(max_length = 128))]
    pub kind: String,
    /// Where it hangs; below the one before it, or the leaf, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// A JSON value, kept as it is written.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub json: Option<Box<RawValue>>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Bytes))]
    pub bytes: Option<Base64>,
}

impl NewNode {
    /// A node of JSON below the leaf.
    #[must_use]
    pub fn json(kind: &str, value: Box<RawValue>) -> Self {
        Self {
            kind: kind.to_owned(),
            json: Some(value),
            ..Self::default()
        }
    }
}

/// Where a new node hangs: `"leaf"`, `"root"`, `{"node": N}` or `{"new": N}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Parent {
    /// Below the node before it in the same commit; the first one below the
    /// leaf.
    #[default]
    Leaf,
    /// Nowhere: it begins a graph of its own.
    Root,
    /// Below this node.
    Node(u64),
    /// Below the new node at this place of the same commit, counted from 0.
    New(u64),
}

/// Reads a value that is there, `null` included.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Makes the state of an earlier revision the present one again. The revision
/// it is made for is said as in [`CommitState`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The earlier revision.
    pub to: u64,
    /// The revision of the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
}

/// Begins the state of another session where this one is, or was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ForkState {
    /// The other session: one that is there, is active, and has no state.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub to: String,
    /// The revision to begin at; the head's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Puts a tag on a revision, taking it away from where it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetTag {
    /// The revision: one of the session's own.
    pub revision: u64,
}

macro_rules! query {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($fields)* }
    };
}

query!(
    /// Which content of a part is asked for.
    PartQuery {
        /// `head`, a revision, or `tag:` and the name of a tag; the head if
        /// left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(value_type = Option<At>))]
        pub at: Option<String>,
        /// Whether to say what is known of it instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub meta: Option<bool>,
    }
);

query!(
    /// Part of the way from a leaf to its root.
    PathQuery {
        /// `head`, a revision, or `tag:` and the name of a tag; the head if
        /// left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(value_type = Option<At>))]
        pub at: Option<String>,
        /// Where it begins; at the leaf of the state if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub leaf: Option<u64>,
        /// At most so many: 1 to 1,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
        pub limit: Option<u64>,
    }
);

query!(
    /// Part of a graph, in the order the nodes were appended.
    GraphQuery {
        /// `head`, a revision, or `tag:` and the name of a tag; the head if
        /// left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(value_type = Option<At>))]
        pub at: Option<String>,
        /// Only nodes after the one of this number; all if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// At most so many are looked at: 1 to 1,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
        pub limit: Option<u64>,
    }
);

query!(
    /// Part of a log, newest first.
    LogQuery {
        /// Only commits before this revision; all if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
        /// At most so many: 1 to 1,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
        pub limit: Option<u64>,
    }
);

query!(
    /// Part of the list of a session's forks, in the order of their names.
    ForksQuery {
        /// Only sessions after this one; all if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(value_type = Option<Identifier>))]
        pub after: Option<String>,
        /// At most so many are looked at: 1 to 1,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
        pub limit: Option<u64>,
    }
);

query!(
    /// Two states of a session.
    DiffQuery {
        /// The earlier one: `head`, a revision, or `tag:` and the name of a
        /// tag.
        #[cfg_attr(feature = "schema", param(value_type = At))]
        pub from: String,
        /// The later one; the head if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", param(value_type = Option<At>))]
        pub to: Option<String>,
    }
);
