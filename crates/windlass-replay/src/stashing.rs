//! What tools answered, in the stash of the run's session.
//!
//! Of every tool the last output is kept: under the id of its call, within a
//! group that stands for the tool's family. One atomic step takes out what the
//! tool answered before and puts what it answers now, so that a replay that
//! was killed finds either both done or neither.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use windlass::Windlass;
use windlass::core::GroupId;
use windlass::session::Caller;
use windlass::stash::durable::{Options, Stash};
use windlass::stash::{Config, Key, Operation, Put, StashError, Value, limits};

use crate::model::Run;
use crate::names::Names;

/// Longest call id, in characters, that is a key as it stands.
const CALL_CHARS_MAX: usize = 200;

/// Settings under which no output of a recording is refused.
pub(crate) fn roomy() -> Options {
    Options {
        stash: Config {
            keys_max: limits::KEYS_MAX,
            value_bytes_max: limits::VALUE_BYTES_MAX,
            total_bytes_max: limits::TOTAL_BYTES_MAX,
            ..Config::default()
        },
        cached_stashes: 1,
        cached_value_bytes: 0,
        ..Options::default()
    }
}

/// What was put into the stash of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stashed {
    pub(crate) puts: u64,
    pub(crate) bytes: u64,
}

/// The stash of one run while it is played.
pub(crate) struct Shelf<'a> {
    run: &'a Run,
    stash: Stash,
    /// The key of each call's output, by its number.
    keys: Vec<Key>,
}

impl<'a> Shelf<'a> {
    pub(crate) fn new(engine: &Windlass, caller: &Caller, names: &Names, run: &'a Run) -> Self {
        let stash = engine.stashes().stash(&caller.tenant, &names.session);
        let keys = keys(run);
        Self { run, stash, keys }
    }

    /// Puts the output of call `number`, and takes out what the same tool
    /// answered in the last call of `allowed` before it.
    pub(crate) async fn put(&self, number: usize, allowed: &[bool]) -> Result<Stashed, StashError> {
        let Some(value) = self.value(number)? else {
            return Ok(Stashed::default());
        };
        let stashed = Stashed {
            puts: 1,
            bytes: value.size(),
        };
        let put = Put::new(self.keys[number - 1].clone(), value).ttl_ms(limits::TTL_MS_MAX_DEFAULT);
        let before = self.before(number, allowed);
        let taken = before.map(|before| Operation::Delete(self.keys[before - 1].clone()));
        let operations: Vec<_> = taken.into_iter().chain([Operation::Put(put)]).collect();
        let execution = self.stash.execution(Some(self.family(number)));
        match execution.step(&operations).await {
            Ok(_) => Ok(stashed),
            Err(refusal) => Err(refusal.error),
        }
    }

    /// What was put for call `number`, which an earlier replay made. If that
    /// ended before its output was put, it is put now: `last` says whether
    /// that may be.
    pub(crate) async fn find(
        &self,
        number: usize,
        allowed: &[bool],
        last: bool,
    ) -> Result<Stashed, StashError> {
        let Some(value) = self.value(number)? else {
            return Ok(Stashed::default());
        };
        if last {
            let execution = self.stash.execution(Some(self.family(number)));
            if execution.entry(&self.keys[number - 1]).await?.is_none() {
                return self.put(number, allowed).await;
            }
        }
        Ok(Stashed {
            puts: 1,
            bytes: value.size(),
        })
    }

    fn value(&self, number: usize) -> Result<Option<Value>, StashError> {
        let output = self.run.steps[number - 1].output.as_deref();
        output.map(Value::of).transpose()
    }

    /// The last call before `number` of the same tool whose output was put.
    fn before(&self, number: usize, allowed: &[bool]) -> Option<usize> {
        let steps = &self.run.steps;
        let tool = &steps[number - 1].tool;
        let put = |earlier: &usize| {
            let step = &steps[earlier - 1];
            allowed[earlier - 1] && step.tool == *tool && step.output.is_some()
        };
        (1..number).rev().find(put)
    }

    fn family(&self, number: usize) -> GroupId {
        family(self.run.steps[number - 1].tool.as_str())
    }
}

/// The group of a tool: its name up to the first `_`, `.`, `:` or `-`, if that
/// is an identifier, and otherwise a hash of it.
fn family(tool: &str) -> GroupId {
    let end = tool.find(['_', '.', ':', '-']).unwrap_or(tool.len());
    let name = &tool[..end];
    let group = name.parse().or_else(|_| hashed(name).parse());
    group.expect("a hash is an identifier")
}

/// The key of each call: its id, if that is a key and no earlier call of the
/// run has it; otherwise a hash of it, and its number behind it.
fn keys(run: &Run) -> Vec<Key> {
    let mut taken = BTreeSet::new();
    let mut known = BTreeMap::new();
    let mut keys = Vec::with_capacity(run.steps.len());
    for number in 1..=run.steps.len() {
        let id = run.call_id(number);
        let name = known.entry(id).or_insert_with_key(|id| name_of(id)).clone();
        let key = if taken.contains(&name) {
            format!("{name}:{number}")
        } else {
            name
        };
        taken.insert(key.clone());
        keys.push(
            key.parse()
                .expect("a call's name leaves room for its number"),
        );
    }
    keys
}

fn name_of(id: &str) -> String {
    let key: Result<Key, _> = id.parse();
    match key {
        Ok(key) if id.len() <= CALL_CHARS_MAX => key.as_str().to_owned(),
        _ => hashed(id),
    }
}

/// 128 bits of the SHA-256 of a text, in hexadecimal.
fn hashed(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let digits = hash[..16].iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_of_a_tool_is_the_first_part_of_its_name() {
        let names = [
            "get_user",
            "browser.click",
            "mcp:files",
            "think",
            "web-search",
        ];
        let families = names.map(|name| family(name).to_string());
        assert_eq!(families, ["get", "browser", "mcp", "think", "web"]);
        assert_eq!(family("_private").as_str().len(), 32);
        assert_eq!(family("größe_x").as_str().len(), 32);
        assert_ne!(family("größe_x"), family("_private"));
    }

    #[test]
    fn an_id_that_is_no_key_is_hashed() {
        assert_eq!(name_of("call_1:x"), "call_1:x");
        for id in ["", "a b", "a/b", &"k".repeat(CALL_CHARS_MAX + 1)] {
            let name = name_of(id);
            assert_eq!(name.len(), 32, "{id}");
            assert!(name.parse::<Key>().is_ok_and(|key| key.as_str() == name));
        }
    }
}
