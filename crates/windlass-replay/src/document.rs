//! A file of runs as JSON, split into its parts without reading them yet.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The parts of a file, each still as text.
#[derive(Debug)]
pub(crate) enum Document<'a> {
    /// The elements of an array.
    Array(Vec<&'a RawValue>),
    /// One object.
    Object(Object<'a>),
    /// Several objects one behind the other, as a rule one a line.
    Lines(Vec<&'a RawValue>),
}

/// An object as a whole and by its members.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub(crate) whole: &'a RawValue,
    /// The members in order; a key may appear twice.
    pub(crate) members: Vec<(String, &'a RawValue)>,
}

impl<'a> Document<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let [whole] = values[..] else {
            return lines(values);
        };
        Ok(match serde_json::from_str(whole.get())? {
            Parts::Array(elements) => Self::Array(elements),
            Parts::Object(members) => Self::Object(Object { whole, members }),
        })
    }

    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Array(parts) | Self::Lines(parts) => parts.is_empty(),
            Self::Object(object) => object.members.is_empty(),
        }
    }

    /// The objects that are each a record of its own.
    pub(crate) fn records(&self) -> &[&'a RawValue] {
        match self {
            Self::Array(_) => &[],
            Self::Object(object) => std::slice::from_ref(&object.whole),
            Self::Lines(lines) => lines,
        }
    }
}

fn lines(values: Vec<&RawValue>) -> Result<Document<'_>, serde_json::Error> {
    match values.iter().position(|raw| !raw.get().starts_with('{')) {
        None => Ok(Document::Lines(values)),
        Some(place) => Err(serde_json::Error::custom(format!(
            "of {} values one behind the other, value {place} is no object",
            values.len()
        ))),
    }
}

enum Parts<'a> {
    Array(Vec<&'a RawValue>),
    Object(Vec<(String, &'a RawValue)>),
}

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object of runs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Parts<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Parts::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parts<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = entries.next_entry()? {
            members.push(member);
        }
        Ok(Parts::Object(members))
    }
}
