//! Reads what a tool printed: JSON lines, one JSON document, or text.
//!
//! A file is one run without tool calls, whose output has a row for every
//! value behind the other, every element of an array, or every line of what
//! is not JSON. There are no times, budgets or agents. Nothing in such a file
//! says what it is, so its format has to be asked for.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::RunError;
use crate::formats::Content;
use crate::json;

/// Reads a file.
pub(crate) fn read(text: &str) -> Result<Content, RunError> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let rows = match values.collect::<Result<Vec<_>, _>>() {
        Ok(values) => of_json(&values)?,
        Err(_) => text.lines().map(quoted).collect(),
    };
    Ok(Content {
        rows,
        ..Content::new("0".to_owned())
    })
}

fn of_json(values: &[&RawValue]) -> Result<Vec<String>, RunError> {
    let elements: Vec<&RawValue> = match values {
        [whole] if whole.get().starts_with('[') => serde_json::from_str(whole.get())?,
        values => values.to_vec(),
    };
    let rows = elements.into_iter().map(one_line);
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A text as a row: JSON as it is, unless it has to become one line, and
/// anything else as a string.
pub(super) fn row(text: &str) -> String {
    let text = text.trim_ascii();
    let json = serde_json::from_str::<&RawValue>(text);
    let row = json.and_then(one_line);
    row.unwrap_or_else(|_| quoted(text))
}

fn one_line(raw: &RawValue) -> Result<String, serde_json::Error> {
    let text = raw.get();
    if text.contains(['\n', '\r']) {
        return json::compact(raw);
    }
    Ok(text.to_owned())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_value_an_element_or_a_line() {
        let table: [(&str, &[&str]); 6] = [
            ("{\"a\": 1}\n\n[2]\n3", &[r#"{"a": 1}"#, "[2]", "3"]),
            ("[1, {\n\"b\": 2\n}]", &["1", r#"{"b":2}"#]),
            ("{\n  \"whole\": [1,\n 2]}", &[r#"{"whole":[1,2]}"#]),
            (
                "== test ==\r\n\n1 \"passed\"",
                &[r#""== test ==""#, r#""""#, r#""1 \"passed\"""#],
            ),
            ("[]", &[]),
            ("{\"a\": 1} rest", &[r#""{\"a\": 1} rest""#]),
        ];
        for (text, rows) in table {
            assert_eq!(read(text).unwrap().rows, rows, "{text}");
        }
    }
}
