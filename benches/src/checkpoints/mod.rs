//! The table of checkpoints: what a commit costs beside the least that SQLite
//! has to do for the same bytes, and that it does not grow with the history.
//!
//! | module | what is in it |
//! |---|---|
//! | [`commits`] | durable commits of many sessions |
//! | [`bare`] | a thread that commits the same rows, and nothing else |
//! | [`growth`] | a commit after few nodes and after many |
//! | [`forks`] | forks of small and of large states |
//! | [`resume`] | head and path of a state, beside a scan of its rows |

pub mod bare;
pub mod commits;
pub mod forks;
pub mod growth;
pub mod resume;

use bytes::Bytes;
use windlass::checkpoint::{Caller, Changes, Payload};

use crate::error::BenchError;
use crate::harness::report::Report;
use crate::sessions::fixture::{PRINCIPAL, TENANT};
use crate::sessions::{Bench, Measured, machine_note};

/// One part of the table: rows that are measured together.
#[derive(Debug)]
struct Part {
    name: &'static str,
    run: fn(&Bench<'_>) -> Result<Measured, BenchError>,
}

const PARTS: [Part; 4] = [
    Part {
        name: "commits",
        run: commits::commits,
    },
    Part {
        name: "growth",
        run: growth::growth,
    },
    Part {
        name: "forks",
        run: forks::forks,
    },
    Part {
        name: "resume",
        run: resume::resume,
    },
];

/// The names of the parts, for choosing one.
#[must_use]
pub fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// Measures every part, or the one called `only`.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>, only: Option<&str>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    let chosen = |part: &&Part| only.is_none_or(|name| name == part.name);
    for part in PARTS.iter().filter(chosen) {
        bench.say.say(part.name);
        let measured = (part.run)(bench)?;
        report.rows.extend(measured.rows);
        report.notes.extend(measured.notes);
    }
    Ok(report)
}

/// Who commits.
fn caller() -> Caller {
    Caller::new(
        TENANT.parse().expect("a valid tenant"),
        PRINCIPAL.parse().expect("a valid principal"),
    )
}

/// A message of about `size` bytes as JSON, another for each number: words as
/// an agent's tools and models use them, so that it compresses as such texts
/// do.
fn message(number: u64, size: usize) -> Bytes {
    const WORDS: [&str; 20] = [
        "the", "agent", "reads", "a", "file", "and", "writes", "result", "tool", "call", "search",
        "error", "line", "value", "path", "src", "main", "return", "None", "true",
    ];
    let mut text = String::with_capacity(size + 16);
    text.push_str("{\"role\":\"assistant\",\"content\":\"");
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while text.len() + 2 < size {
        // One step of xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = usize::try_from(state % 20).unwrap_or(0);
        text.push_str(WORDS[word]);
        text.push(' ');
        if state.is_multiple_of(7) {
            text.push_str(&(state % 100_000).to_string());
            text.push(' ');
        }
    }
    text.truncate(size.saturating_sub(2));
    text.push_str("\"}");
    text.into()
}

/// A commit of one message after `revision`.
fn said(revision: u64, number: u64, size: usize) -> Changes {
    Changes::at(revision).append("message", Payload::Json(message(number, size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_json_of_about_their_size_and_differ() {
        for size in [100, 2_048] {
            let text = message(1, size);
            assert!(text.len().abs_diff(size) < 16, "{}", text.len());
            let parsed: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!(parsed["role"], "assistant");
            assert_ne!(text, message(2, size));
        }
    }

    #[test]
    fn the_names_of_parts_are_all_different() {
        let mut names = part_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARTS.len());
    }
}
