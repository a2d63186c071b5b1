//! The head of a chain, as it is stored.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, Writers};
use windlass_store::Entry;

use super::chain::{Chain, ChainHash};
use super::error::AuditError;

/// The record that every change of a chain checks and rewrites: which events
/// there are, and what stands before the first and at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    v: Format,
    /// How often it was written.
    pub(super) rev: u64,
    /// The number of the oldest event that is kept.
    pub(super) first: u64,
    /// The hash before that one: of the last that was trimmed, or of the
    /// chain's name.
    pub(super) anchor: ChainHash,
    /// The number that the next event will have.
    pub(super) next: u64,
    /// The hash of the last event; the anchor where there is none.
    pub(super) hash: ChainHash,
    /// When upkeep looks at it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Millis>,
    /// Who wrote the last revisions.
    pub(super) by: Writers,
}

impl Head {
    /// The head of a chain without events.
    pub(super) fn new(chain: &Chain) -> Self {
        let genesis = ChainHash::genesis(chain);
        Self {
            v: Format,
            rev: 0,
            first: 1,
            anchor: genesis,
            next: 1,
            hash: genesis,
            due: None,
            by: Writers::default(),
        }
    }

    pub(super) fn events(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }

    pub(super) fn encode(&self) -> Bytes {
        let text = serde_json::to_vec(self).expect("a head has a form in JSON");
        text.into()
    }

    pub(super) fn decode(entry: &Entry) -> Result<Self, AuditError> {
        let head: Self = serde_json::from_slice(&entry.value).map_err(|error| {
            let why = error.to_string();
            AuditError::Corrupt { what: "head", why }
        })?;
        if head.first == 0 || head.next < head.first {
            let why = "its numbers contradict each other".to_owned();
            return Err(AuditError::Corrupt { what: "head", why });
        }
        Ok(head)
    }
}
