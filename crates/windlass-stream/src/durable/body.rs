//! What is appended, as rows: a body is one row, and of a JSON array each
//! element is one.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::durable::about::ContentType;
use crate::error::StreamError;
use crate::row::{Row, RowError};

/// The rows of a body; none for an empty one and an empty JSON array.
///
/// # Errors
///
/// `Row` for what is no JSON where JSON is due, and for what is too long.
pub(super) fn rows_of(content_type: &ContentType, body: &Bytes) -> Result<Vec<Row>, StreamError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    if !content_type.is_json() {
        let row = Row::Bytes(body.clone());
        row.check()?;
        return Ok(vec![row]);
    }
    let text = on_one_line(body);
    let is_array = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let texts: Vec<&RawValue> = if is_array {
        serde_json::from_slice(&text).map_err(|_| RowError::NotJson)?
    } else {
        vec![serde_json::from_slice(&text).map_err(|_| RowError::NotJson)?]
    };
    let row = |raw: &RawValue| Row::json(text.slice_ref(raw.get().as_bytes()));
    let rows: Result<Vec<Row>, RowError> = texts.into_iter().map(row).collect();
    Ok(rows?)
}

/// JSON without line breaks: there are none within its strings, and between its
/// tokens a space is as good.
fn on_one_line(body: &Bytes) -> Bytes {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !body.iter().any(breaks) {
        return body.clone();
    }
    let spaced = body
        .iter()
        .map(|byte| if breaks(byte) { b' ' } else { *byte });
    spaced.collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(kind: &str, body: &'static [u8]) -> Result<Vec<Vec<u8>>, String> {
        let kind: ContentType = kind.parse().expect("a media type");
        let rows = rows_of(&kind, &Bytes::from_static(body)).map_err(|error| error.to_string())?;
        Ok(rows.iter().map(|row| row.content().to_vec()).collect())
    }

    #[test]
    fn of_a_json_array_each_element_is_a_row() {
        let table: [(&'static [u8], &[&str]); 7] = [
            (b"{\"a\":1}", &["{\"a\":1}"]),
            (b" [1, [2, 3] ,{}] ", &["1", "[2, 3]", "{}"]),
            (b"[[[1,2]]]", &["[[1,2]]"]),
            (b"[]", &[]),
            (b"[[]]", &["[]"]),
            (b"{\n \"a\":\r\n 1}", &["{  \"a\":   1}"]),
            (b"\"a\\nb\"", &["\"a\\nb\""]),
        ];
        for (body, expected) in table {
            let expected: Vec<Vec<u8>> =
                expected.iter().map(|row| row.as_bytes().to_vec()).collect();
            assert_eq!(rows("application/json; charset=utf-8", body), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_json_is_refused_as_a_whole() {
        for body in [&b"{"[..], b"[1,]", b"[1,2", b"1 2", b"\xff", b"[1] x"] {
            let refused = Err("the row cannot be appended".to_owned());
            assert_eq!(rows("application/json", body), refused, "{body:?}");
        }
    }

    #[test]
    fn other_bodies_are_one_row_byte_for_byte() {
        let body = b"[1]\n\x00\xff";
        assert_eq!(rows("text/plain", body), Ok(vec![body.to_vec()]));
        assert_eq!(rows("image/png", b""), Ok(Vec::new()));
    }
}
