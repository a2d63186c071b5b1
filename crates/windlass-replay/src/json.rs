//! JSON as this crate compares and counts it: compact, in the order in which
//! it was written, and without a key that appears twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// `raw` without white space between its tokens, its keys in their order.
///
/// Text is written as itself wherever JSON allows it (`"\u00e9"` becomes
/// `"é"`), numbers in the shortest form that reads back as the same.
pub(crate) fn compact(raw: &RawValue) -> Result<String, serde_json::Error> {
    let Strict(value) = serde_json::from_str(raw.get())?;
    Ok(value.to_string())
}

/// The text of a JSON string, and the compact form of anything else. `None`
/// for null.
pub(crate) fn text(raw: &RawValue) -> Result<Option<String>, serde_json::Error> {
    let Strict(value) = serde_json::from_str(raw.get())?;
    Ok(match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// A value in which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is not finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Strict(value) = entries.next_value()?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("an object has the same key twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn compacting_keeps_the_order_of_keys_and_drops_white_space() {
        let compacted =
            compact(&raw("{ \"b\" : [1, 2.5, null],\n \"a\": \"x \\u00e9\" }")).unwrap();
        assert_eq!(compacted, "{\"b\":[1,2.5,null],\"a\":\"x é\"}");
    }

    #[test]
    fn a_key_that_appears_twice_is_refused_at_any_depth() {
        let error = compact(&raw("{\"a\": [{\"b\": 1, \"b\": 2}]}")).unwrap_err();
        assert!(error.to_string().contains("the same key twice"), "{error}");
    }

    #[test]
    fn text_of_a_string_is_the_string_and_of_null_is_nothing() {
        assert_eq!(text(&raw("\"a\\nb\"")).unwrap().as_deref(), Some("a\nb"));
        assert_eq!(text(&raw("null")).unwrap(), None);
        assert_eq!(
            text(&raw("[1, {\"a\": true}]")).unwrap().as_deref(),
            Some("[1,{\"a\":true}]")
        );
    }
}
