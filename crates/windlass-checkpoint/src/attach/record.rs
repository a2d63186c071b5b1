//! The rows of attachments.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis};

use super::{Attachment, NewAttachment};
use crate::blob::{BlobId, Decoder, Encoder, Row};
use crate::error::CheckpointError;
use crate::model::is_zero;
use crate::row;

const DIGEST_BYTES: usize = 32;

/// What is kept of an attachment beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttachmentRow {
    v: Format,
    created: Millis,
    pub(super) touched: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) whole: Option<BlobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u64>,
    /// Whether its bytes are being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) gone: bool,
}

impl AttachmentRow {
    pub(super) fn new(new: NewAttachment, now: Millis) -> Self {
        Self {
            v: Format,
            created: now,
            touched: now,
            kind: new.kind,
            name: new.name,
            size: 0,
            whole: None,
            revision: None,
            gone: false,
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        row::encode(self, None)
    }

    pub(super) fn decode(id: &str, value: &Bytes) -> Result<Self, CheckpointError> {
        row::decode(&format!("attachment {id}"), value)
    }

    pub(super) fn view(&self, id: &Arc<str>) -> Attachment {
        Attachment {
            id: Arc::clone(id),
            kind: self.kind.clone(),
            name: self.name.clone(),
            created: self.created,
            touched: self.touched,
            size: self.size,
            whole: self.whole,
            revision: self.revision,
        }
    }
}

/// A row of bytes: their hash, and then a row like that of a chunk.
pub(super) fn encode_piece(bytes: &[u8], encoder: &mut Encoder, now: Millis) -> Bytes {
    let row = encoder.encode(bytes, now);
    let mut piece = BytesMut::with_capacity(DIGEST_BYTES + row.len());
    piece.put_slice(BlobId::of(bytes).as_digest());
    piece.put_slice(&row);
    piece.freeze()
}

/// The bytes in a row, checked against their hash.
pub(super) fn decode_piece(value: &Bytes, decoder: &mut Decoder) -> Result<Bytes, &'static str> {
    if value.len() < DIGEST_BYTES {
        return Err("it ends too early");
    }
    let bytes = decoder.content(&Row::decode(&value.slice(DIGEST_BYTES..))?)?;
    if BlobId::of(&bytes).as_digest() != &value[..DIGEST_BYTES] {
        return Err("its content has another hash");
    }
    Ok(bytes)
}
