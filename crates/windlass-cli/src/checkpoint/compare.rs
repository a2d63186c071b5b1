//! What differs between two JSON values, as a person would say it: which
//! members and elements, and from what to what.

use serde::Serialize;
use serde_json::Value;

/// Contents larger than this are not read for it.
pub(super) const BYTES_MAX: u64 = 256 * 1_024;

/// Differences that are named in one part.
const CHANGES_MAX: usize = 200;

/// One place that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Change {
    /// Where: `.member` and `[element]` from the top on; empty for the whole.
    pub(super) place: String,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Value>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Value>,
}

/// What differs between two texts of JSON; `None` if they cannot be read as
/// values, or too much differs to be named.
pub(super) fn texts(before: &[u8], after: &[u8]) -> Option<Vec<Change>> {
    let before: Value = serde_json::from_slice(before).ok()?;
    let after: Value = serde_json::from_slice(after).ok()?;
    let mut changes = Vec::new();
    values(String::new(), Some(&before), Some(&after), &mut changes);
    (changes.len() <= CHANGES_MAX).then_some(changes)
}

/// Values nest no deeper than the parser lets them.
fn values(place: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if before == after || changes.len() > CHANGES_MAX {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                let place = format!("{place}.{name}");
                values(place, before.get(name), after.get(name), changes);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            elements(&place, before, after, changes);
        }
        _ => changes.push(Change {
            place,
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// Elements are matched from both ends; what is in between differs. Removed
/// ones are named by where they were, others by where they are.
fn elements(place: &str, before: &[Value], after: &[Value], changes: &mut Vec<Change>) {
    let same = |(one, other): &(&Value, &Value)| one == other;
    let first = before.iter().zip(after).take_while(same).count();
    let (before_rest, after_rest) = (&before[first..], &after[first..]);
    let ends = before_rest.iter().rev().zip(after_rest.iter().rev());
    let last = ends.take_while(same).count();
    let before_rest = &before_rest[..before_rest.len() - last];
    let after_rest = &after_rest[..after_rest.len() - last];
    for number in 0..before_rest.len().max(after_rest.len()) {
        let place = format!("{place}[{}]", first + number);
        values(
            place,
            before_rest.get(number),
            after_rest.get(number),
            changes,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences in a short form.
    fn apart(before: &str, after: &str) -> Vec<String> {
        let changes = texts(before.as_bytes(), after.as_bytes()).unwrap();
        let said = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        let lines = changes.iter().map(|change| {
            let (before, after) = (said(&change.before), said(&change.after));
            format!("{} {before} {after}", change.place)
        });
        lines.collect()
    }

    #[test]
    fn members_and_elements_that_differ_are_named_and_no_others() {
        let table: [(&str, &str, &[&str]); 9] = [
            ("1", "1.0e0", &[" 1 1.0"]),
            (r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":1 }"#, &[]),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, &[".b 2 3"]),
            (r#"{"a":1}"#, r#"{"b":1}"#, &[".a 1 -", ".b - 1"]),
            (
                r#"{"a":{"b":[1]}}"#,
                r#"{"a":{"b":[1,2]}}"#,
                &[".a.b[1] - 2"],
            ),
            ("[1,2,3,4]", "[1,2,9,3,4]", &["[2] - 9"]),
            ("[1,2,3,4]", "[1,4]", &["[1] 2 -", "[2] 3 -"]),
            (r#"[{"n":1},7]"#, r#"[{"n":2},7]"#, &["[0].n 1 2"]),
            ("null", "[]", &[" null []"]),
        ];
        for (before, after, expected) in table {
            assert_eq!(apart(before, after), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_is_no_json_or_differs_all_over_is_not_compared() {
        assert_eq!(texts(b"{", b"1"), None);
        let many: Vec<usize> = (0..CHANGES_MAX + 1).collect();
        let others: Vec<usize> = many.iter().map(|number| number + 1_000).collect();
        let text = |numbers: &[usize]| serde_json::to_vec(numbers).unwrap();
        assert_eq!(texts(&text(&many), &text(&others)), None);
        let fewer = (&many[1..], &others[1..]);
        let named = texts(&text(fewer.0), &text(fewer.1)).unwrap();
        assert_eq!(named.len(), CHANGES_MAX);
    }
}
