//! Every key of an attachment. Its pieces lie directly behind its row.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::KeyRange;
use windlass_store::key::{Key, number, segments};

use crate::error::CheckpointError;
use crate::keys::{DUE, StateKeys, last_number};

/// The segment of the index rows of attachments.
const PART: &str = "attachment";

/// The keys of one attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttachmentKeys {
    state: StateKeys,
    pub(super) id: Arc<str>,
}

impl AttachmentKeys {
    pub(super) fn new(state: &StateKeys, id: &str) -> Self {
        Self {
            state: state.clone(),
            id: id.into(),
        }
    }

    /// The keys of the attachment whose row is at `key`.
    pub(super) fn of_row(state: &StateKeys, key: &[u8]) -> Result<Self, CheckpointError> {
        let last = segments(key).and_then(|mut parts| parts.pop());
        let keys = last.map(|id| Self::new(state, &id));
        let keys = keys.filter(|keys| keys.row() == key);
        let why = "a piece lies where it should begin";
        keys.ok_or_else(|| CheckpointError::corrupt("attachment", why))
    }

    fn base(&self) -> Key {
        self.state.base().text("attach").text(&self.id)
    }

    /// Its record.
    pub(super) fn row(&self) -> Bytes {
        self.base().finish()
    }

    /// The bytes that begin at this place.
    pub(super) fn piece(&self, start: u64) -> Bytes {
        self.base().number(start).finish()
    }

    pub(super) fn pieces(&self) -> KeyRange {
        KeyRange::prefix(self.base().below())
    }

    /// The first key behind all of them.
    pub(super) fn end(&self) -> Bytes {
        let end = self.pieces().end;
        end.expect("a prefix that ends with a separator has an end")
    }

    /// Where the piece at `key` begins.
    pub(super) fn start_of(key: &[u8]) -> Option<u64> {
        last_number(key)
    }

    /// The index row that has somebody look whether it is still wanted.
    pub(super) fn due(&self, time: Millis) -> Bytes {
        Key::new(DUE)
            .number(time.get())
            .text(PART)
            .text(self.state.tenant.as_str())
            .text(self.state.session.as_str())
            .text(&self.id)
            .finish()
    }

    /// The attachment that an index row is about, if it is about one.
    pub(super) fn parse_due(key: &[u8]) -> Option<Self> {
        let parts = segments(key)?;
        let [due, time, part, tenant, session, id] = parts.as_slice() else {
            return None;
        };
        number(time)?;
        if due != DUE || part != PART {
            return None;
        }
        let state = StateKeys::new(&tenant.parse().ok()?, &session.parse().ok()?);
        Some(Self::new(&state, id))
    }
}
