//! Attachments: files that are sent piece by piece and become part of a state
//! with a commit that names them.

use serde::{Deserialize, Serialize};

use super::Base64;
#[cfg(feature = "schema")]
use crate::schema::{Blob, Bytes, Identifier, UnixMs};

/// Announces an attachment, which has no bytes yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAttachment {
    /// What it is, such as a media type: at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_length = 128))]
    pub kind: Option<String>,
    /// What it is called: at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_length = 256))]
    pub name: Option<String>,
}

/// Adds bytes to an attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AppendBytes {
    /// Where they begin, which is where those that are there end.
    pub start: u64,
    /// The bytes: about 12 MiB at most.
    #[cfg_attr(feature = "schema", schema(value_type = Bytes))]
    pub bytes: Base64,
}

/// Says that all bytes of an attachment are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FinishAttachment {
    /// The SHA-256 that all of them have to have, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Blob>))]
    pub expected: Option<String>,
}

/// An attachment as it is, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// Its id, a UUID of version 7; what a commit names.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub id: String,
    /// What it is.
    #[cfg_attr(feature = "schema", schema(required))]
    pub kind: Option<String>,
    /// What it is called.
    #[cfg_attr(feature = "schema", schema(required))]
    pub name: Option<String>,
    /// When it was announced.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub created: u64,
    /// When it was last added to, or finished.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub touched: u64,
    /// How many bytes there are: where the next ones begin.
    pub size: u64,
    /// The SHA-256 of all of them, once it is finished.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Blob>, required))]
    pub whole: Option<String>,
    /// The revision that made it part of the state.
    #[cfg_attr(feature = "schema", schema(required))]
    pub revision: Option<u64>,
}

/// Attachments of one session, in the order they were announced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttachmentPage {
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// Go on behind this one; `null` at the end.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>, required))]
    pub after: Option<String>,
}

/// Part of the list of a session's attachments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AttachmentsQuery {
    /// Only those behind this one; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Identifier>))]
    pub after: Option<String>,
    /// At most so many: 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
}

/// Which bytes of an attachment are asked for, as far as there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct RangeQuery {
    /// The first; from the beginning if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// The one behind the last; to the end if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

/// Whether there was an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Dropped {
    /// Whether there was one.
    pub dropped: bool,
}
