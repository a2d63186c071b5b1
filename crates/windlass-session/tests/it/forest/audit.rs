//! Adding up the stored rows of a tree, without the help of the code that
//! wrote them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use windlass_core::Millis;
use windlass_store::Entry;

use crate::support::text;

/// What one session's rows say.
#[derive(Default)]
struct Stored {
    head: Value,
    spec: Value,
    alive: bool,
    /// Calls made and not refunded.
    calls: BTreeSet<u64>,
    topped_up: u64,
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

impl Stored {
    fn read(rows: &[Entry]) -> BTreeMap<String, Self> {
        let mut stored: BTreeMap<String, Self> = BTreeMap::new();
        for row in rows {
            let key = text(&row.key);
            let Some(rest) = key.strip_prefix("acme/session/") else {
                continue;
            };
            let (id, row_name) = rest.split_once('/').expect("a row of a session");
            let session = stored.entry(id.to_owned()).or_default();
            match row_name.split('/').next().expect("a first part") {
                "head" => session.head = json(row),
                "spec" => session.spec = json(row),
                "alive" => session.alive = true,
                "event" => session.add_events(&json(row)),
                _ => {}
            }
        }
        stored
    }

    fn add_events(&mut self, row: &Value) {
        for event in row["events"].as_array().expect("events") {
            match event["kind"].as_str() {
                Some("use") => {
                    let call = number(&event["call"]);
                    assert!(self.calls.insert(call), "call {call} was made twice");
                }
                Some("refund") => {
                    self.calls.remove(&number(&event["call"]));
                }
                Some("top_up") => self.topped_up += number(&event["calls"]),
                _ => {}
            }
        }
    }

    fn above(&self) -> Vec<&str> {
        let above = self.spec["above"].as_array();
        let above = above.into_iter().flatten();
        above.map(|id| id.as_str().expect("an id")).collect()
    }

    /// Calls that a use of this session alone could still make.
    fn left(&self) -> u64 {
        let calls = &self.head["calls"];
        let gone = number(&calls[1]) + number(&self.head["lent"][0]);
        number(&calls[0]).saturating_sub(gone)
    }

    fn may_be_used(&self, all: &BTreeMap<String, Self>, now: Millis) -> bool {
        let end = number(&self.spec["created_at"]) + number(&self.spec["time_limit_ms"]);
        let above_alive = self
            .above()
            .iter()
            .all(|id| all.get(*id).is_some_and(|it| it.alive));
        self.alive && above_alive && self.head["told"].is_null() && now.get() < end
    }
}

fn json(row: &Entry) -> Value {
    serde_json::from_slice(&row.value).expect("a JSON record")
}

/// Panics if the calls that were made in a tree, and those that could still
/// be made, are more than its root was given.
pub(super) fn audit(rows: &[Entry], root_calls: u64, now: Millis, at: &str) {
    let all = Stored::read(rows);
    let (mut made, mut left, mut given) = (0, 0, root_calls);
    for (id, session) in &all {
        assert!(!session.head.is_null(), "{at}: `{id}` has no head");
        made += u64::try_from(session.calls.len()).expect("small");
        let shared = session.spec["shared"].as_bool().unwrap_or(false);
        if !shared && session.may_be_used(&all, now) {
            left += session.left();
        }
        if session.above().is_empty() {
            given += session.topped_up;
        }
    }
    assert!(
        made + left <= given,
        "{at}: {made} calls were made and {left} may be, of {given}"
    );
}
