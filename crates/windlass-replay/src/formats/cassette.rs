//! Reads cassettes of VCR.py: recorded exchanges with a model's service.
//!
//! A file is a YAML mapping with `interactions`, each a request and its
//! response. A run is an interaction whose response is a stream of
//! server-sent events: its key is its place among the interactions, and its
//! output has a row for every event, in their order. Responses of any other
//! kind are no runs. There are no tool calls, times, budgets or agents.

use saphyr_parser::{Event, Parser, ScanError};

use crate::formats::{Content, rows};

/// How the text of a cassette begins.
const BEGINNING: &str = "interactions:";
/// Where the text of a response's body is below the whole.
const BODY: [&str; 4] = ["interactions", "response", "body", "string"];

/// Whether the text begins as a cassette does.
pub(crate) fn is_one(text: &str) -> bool {
    let text = text.strip_prefix("---").unwrap_or(text).trim_start();
    text.starts_with(BEGINNING)
}

/// Reads every response, whose rows are those of its events; the line of what is no YAML, counted from
/// 1, otherwise.
pub(crate) fn read(text: &str) -> Result<Vec<Content>, usize> {
    let mut walk = Walk::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error: ScanError| error.marker().line())?;
        walk.step(event);
    }
    let runs = walk.bodies.into_iter().map(|(place, body)| Content {
        rows: events(&body),
        ..Content::new(place.to_string())
    });
    Ok(runs.collect())
}

/// Where a reader of the document is.
#[derive(Debug)]
enum Level {
    /// In a mapping; `Some` once the key of the next value was read.
    Mapping(Option<String>),
    /// In a sequence, behind so many elements.
    Sequence(usize),
}

/// Finds the bodies without keeping anything else. An alias is no text, and
/// is never followed.
#[derive(Debug, Default)]
struct Walk {
    levels: Vec<Level>,
    bodies: Vec<(usize, String)>,
}

impl Walk {
    fn step(&mut self, event: Event<'_>) {
        match event {
            Event::MappingStart(..) => self.levels.push(Level::Mapping(None)),
            Event::SequenceStart(..) => self.levels.push(Level::Sequence(0)),
            Event::MappingEnd | Event::SequenceEnd => {
                self.levels.pop();
                self.taken();
            }
            Event::Scalar(text, ..) => self.scalar(&text),
            Event::Alias(_) => self.scalar(""),
            _ => {}
        }
    }

    fn scalar(&mut self, text: &str) {
        if let Some(Level::Mapping(key @ None)) = self.levels.last_mut() {
            *key = Some(text.to_owned());
            return;
        }
        if let Some(place) = self.is_body() {
            self.bodies.push((place, text.to_owned()));
        }
        self.taken();
    }

    /// A value was read whole.
    fn taken(&mut self) {
        match self.levels.last_mut() {
            // A mapping or sequence may also be a key; such a one names
            // nothing that is looked for.
            Some(Level::Mapping(key @ None)) => *key = Some(String::new()),
            Some(Level::Mapping(key)) => *key = None,
            Some(Level::Sequence(count)) => *count += 1,
            None => {}
        }
    }

    /// The place of the interaction whose body is read now.
    fn is_body(&self) -> Option<usize> {
        let [whole, Level::Sequence(place), rest @ ..] = self.levels.as_slice() else {
            return None;
        };
        let keys = std::iter::once(whole).chain(rest).map(|level| match level {
            Level::Mapping(Some(key)) => key.as_str(),
            Level::Mapping(None) | Level::Sequence(_) => "",
        });
        keys.eq(BODY).then_some(*place)
    }
}

/// The data of every event of a stream as rows (WHATWG HTML, section 9.2.6).
/// One without data is none.
fn events(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut data: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            found.extend((!data.is_empty()).then(|| rows::row(&data.join("\n"))));
            data.clear();
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASSETTE: &str = "\
interactions:
- request:
    body:
      string: \"data: {\\\"not\\\":\\\"this\\\"}\\n\\n\"
    uri: https://model.example
  response:
    body:
      string: |+
        event: start
        data: {\"type\":\"start\"}

        : a comment
        event: ping

        data: {\"text\":
        data: \"Hel\"}   

        data: [DONE]

    status: {code: 200, message: OK}
- request: {uri: x}
  response:
    body: {string: '{\"whole\": true}'}
- response:
    headers:
      ? [a, b]
      : [c]
    body:
      string: \"data: 1\\n\\ndata: 2\\n\\n\"
version: 1
";

    #[test]
    fn a_streamed_response_is_a_run_and_every_event_with_data_a_row() {
        assert!(is_one(CASSETTE));
        let runs = read(CASSETTE).unwrap();
        let read = runs.iter().map(|run| (run.key.as_str(), run.rows.clone()));
        let first = [r#"{"type":"start"}"#, r#"{"text":"Hel"}"#, r#""[DONE]""#];
        let expected = [
            ("0", first.map(str::to_owned).to_vec()),
            ("1", vec![]),
            ("2", vec!["1".to_owned(), "2".to_owned()]),
        ];
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_line() {
        assert_eq!(read("interactions:\n- a: \"open").unwrap_err(), 2);
        assert!(!is_one("{\"interactions\":[]}"));
    }

    #[test]
    fn aliases_and_bodies_elsewhere_are_none() {
        let text = "interactions:\n- &a\n  response:\n    body: &b\n      string: 'data: 1'\n- response:\n    body: *b\n- *a\nother:\n- response: {body: {string: 'data: 2'}}\n";
        let keys: Vec<_> = read(text).unwrap().into_iter().map(|run| run.key).collect();
        assert_eq!(keys, ["0"]);
    }
}
