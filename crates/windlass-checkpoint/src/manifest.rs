//! Which parts a revision has.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::Format;

use crate::blob::BlobId;
use crate::error::CheckpointError;
use crate::model::{Part, PartName};

/// The parts of a state, by name. It is a blob of its own, cut like any other
/// JSON, so that of many parts only what changed is stored anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    v: Format,
    /// The parts.
    pub parts: BTreeMap<PartName, Part>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            v: Format,
            parts: BTreeMap::new(),
        }
    }
}

impl Manifest {
    pub(crate) fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("manifests have text keys and whole numbers only")
            .into()
    }

    pub(crate) fn decode(id: BlobId, content: &[u8]) -> Result<Self, CheckpointError> {
        serde_json::from_slice(content)
            .map_err(|error| CheckpointError::corrupt(format!("manifest {id}"), error.to_string()))
    }
}

/// The name of the manifest without parts, which is stored nowhere.
pub(crate) fn empty_id() -> BlobId {
    BlobId::of(&Manifest::default().encode())
}
