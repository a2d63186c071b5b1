//! A file of runs as JSON, split into its runs without reading them yet.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The runs of a file, each still as text.
#[derive(Debug)]
pub(crate) enum Document<'a> {
    /// The elements of an array.
    Array(Vec<&'a RawValue>),
    /// The members of an object, in order; a key may appear twice.
    Object(Vec<(String, &'a RawValue)>),
}

impl Document<'_> {
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Array(runs) => runs.is_empty(),
            Self::Object(runs) => runs.is_empty(),
        }
    }
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object of runs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Document<'de>, A::Error> {
        let mut runs = Vec::new();
        while let Some(run) = sequence.next_element()? {
            runs.push(run);
        }
        Ok(Document::Array(runs))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document<'de>, A::Error> {
        let mut runs = Vec::new();
        while let Some(run) = entries.next_entry()? {
            runs.push(run);
        }
        Ok(Document::Object(runs))
    }
}
