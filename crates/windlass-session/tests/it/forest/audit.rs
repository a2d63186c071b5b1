//! Adding up the stored rows of a tree, without the help of the code that
//! wrote them.

use std::collections::BTreeMap;

use serde_json::Value;
use windlass_core::Millis;
use windlass_store::Entry;

use super::state::Amounts;
use crate::support::text;

/// What each meter is called in a head.
const METERS: [&str; 3] = ["calls", "tokens", "cost"];

/// What one session's rows say.
#[derive(Default)]
struct Stored {
    head: Value,
    spec: Value,
    alive: bool,
    /// What each call costs that was made and not given back.
    calls: BTreeMap<u64, Amounts>,
    /// How much more than estimated calls turned out to cost: what is true
    /// is recorded, whoever has it.
    beyond: Amounts,
    topped_up: Amounts,
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn add(sum: &mut Amounts, more: Amounts) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
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
            let call = number(&event["call"]);
            let charge = &event["charge"];
            let cost = [1, number(&charge["tokens"]), number(&charge["cost_micros"])];
            match event["kind"].as_str() {
                Some("use") => {
                    let before = self.calls.insert(call, cost);
                    assert_eq!(before, None, "call {call} was made twice");
                }
                Some("settle") => {
                    let estimate = self.calls.insert(call, cost);
                    let estimate = estimate.expect("it was made");
                    let more = [0, 1, 2].map(|meter| cost[meter].saturating_sub(estimate[meter]));
                    add(&mut self.beyond, more);
                }
                Some("refund") => {
                    self.calls.remove(&call);
                }
                Some("top_up") => {
                    let more = ["calls", "tokens", "cost_micros"];
                    add(&mut self.topped_up, more.map(|name| number(&event[name])));
                }
                _ => {}
            }
        }
    }

    fn above(&self) -> Vec<&str> {
        let above = self.spec["above"].as_array();
        let above = above.into_iter().flatten();
        above.map(|id| id.as_str().expect("an id")).collect()
    }

    /// What uses of this session alone could still spend.
    fn left(&self) -> Amounts {
        [0, 1, 2].map(|meter| {
            let reading = &self.head[METERS[meter]];
            let gone = number(&reading[1]) + number(&self.head["lent"][meter]);
            number(&reading[0]).saturating_sub(gone)
        })
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

/// Panics if what was spent in a tree, and what could still be spent, is more
/// of any limited meter than its root was given; what calls cost beyond their
/// estimates was nobody's to refuse.
pub(super) fn audit(rows: &[Entry], root: [Option<u64>; 3], now: Millis, at: &str) {
    let all = Stored::read(rows);
    let (mut spent, mut left, mut given) = ([0; 3], [0; 3], root.map(|it| it.unwrap_or(0)));
    for (id, session) in &all {
        assert!(!session.head.is_null(), "{at}: `{id}` has no head");
        for cost in session.calls.values() {
            add(&mut spent, *cost);
        }
        let shared = session.spec["shared"].as_bool().unwrap_or(false);
        if !shared && session.may_be_used(&all, now) {
            add(&mut left, session.left());
        }
        if session.above().is_empty() {
            add(&mut given, session.topped_up);
        }
        add(&mut given, session.beyond);
    }
    for meter in (0..3).filter(|meter| root[*meter].is_some()) {
        let (name, given) = (METERS[meter], given[meter]);
        let (spent, left) = (spent[meter], left[meter]);
        assert!(
            spent + left <= given,
            "{at}: {spent} {name} were spent and {left} may be, of {given}"
        );
    }
}
