//! Recorded requests for keys, from the traces that are on this machine.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::error::BenchError;

/// How a trace is packed.
#[derive(Clone, Copy, Debug)]
enum Packing {
    Xz,
    Gzip,
    Zstd,
}

impl Packing {
    const fn program(self) -> &'static str {
        match self {
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// How a trace names its keys.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Numbers of 32 bits, the highest byte first.
    Words,
    /// A word a line; others are comments.
    Lines,
    /// The second of the words of a line.
    SecondWord,
    /// A column of a table with commas and a line of headings.
    Column(&'static str),
    /// The prefix blocks of a prompt, as JSON.
    Prefixes,
}

/// A trace that is known.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// What it is called.
    pub name: &'static str,
    path: &'static str,
    packing: Packing,
    form: Form,
}

const fn source(name: &'static str, path: &'static str, packing: Packing, form: Form) -> Source {
    Source {
        name,
        path,
        packing,
        form,
    }
}

/// Every trace that is known.
pub const SOURCES: [Source; 13] = [
    source(
        "adapt-size",
        "caffeine/adapt_size/request.trace.xz",
        Packing::Xz,
        Form::SecondWord,
    ),
    source(
        "orm-busy",
        "caffeine/cache2k/orm-busy.trace.xz",
        Packing::Xz,
        Form::Words,
    ),
    source(
        "web12",
        "caffeine/cache2k/web12.trace.xz",
        Packing::Xz,
        Form::Words,
    ),
    source(
        "w106",
        "caffeine/cloud_physics/w106.trace.xz",
        Packing::Xz,
        Form::Words,
    ),
    source(
        "lirs-cpp",
        "caffeine/lirs/cpp.trace.gz",
        Packing::Gzip,
        Form::Lines,
    ),
    source(
        "lirs-cs",
        "caffeine/lirs/cs.trace.gz",
        Packing::Gzip,
        Form::Lines,
    ),
    source(
        "lirs-loop",
        "caffeine/lirs/loop.trace.gz",
        Packing::Gzip,
        Form::Lines,
    ),
    source(
        "lirs-multi1",
        "caffeine/lirs/multi1.trace.gz",
        Packing::Gzip,
        Form::Lines,
    ),
    source(
        "lirs-scan",
        "caffeine/lirs/scan.trace.gz",
        Packing::Gzip,
        Form::Lines,
    ),
    source(
        "lirs-sprite",
        "caffeine/lirs/sprite.trace.gz",
        Packing::Gzip,
        Form::Lines,
    ),
    source(
        "meta-blocks",
        "cachelib-meta/block_chunk/block_traces_1.csv.zst",
        Packing::Zstd,
        Form::Column("block_id"),
    ),
    source(
        "meta-kv",
        "cachelib-meta/kvcache/kv_traces_1.csv.zst",
        Packing::Zstd,
        Form::Column("key"),
    ),
    source(
        "mooncake",
        "mooncake/conversation_trace.jsonl.zst",
        Packing::Zstd,
        Form::Prefixes,
    ),
];

/// Requests in their order; keys are numbered from 0 as they first come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The key of each request.
    pub requests: Vec<u64>,
    /// How many keys there are.
    pub keys: u64,
}

impl Trace {
    fn of<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> Self {
        let mut numbers: HashMap<K, u64> = HashMap::new();
        let mut requests = Vec::new();
        let mut next = 0;
        for key in keys {
            let number = *numbers.entry(key).or_insert_with(|| {
                next += 1;
                next - 1
            });
            requests.push(number);
        }
        Self {
            requests,
            keys: next,
        }
    }
}

impl Source {
    /// Reads the trace; `None` where it is not on this machine.
    ///
    /// # Errors
    ///
    /// [`BenchError`] if it is, and cannot be read.
    pub fn read(&self) -> Result<Option<Trace>, BenchError> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kv");
        let path = data.join(self.path);
        if !path.exists() {
            return Ok(None);
        }
        let program = self.packing.program();
        let output = Command::new(program)
            .arg("-dc")
            .arg(&path)
            .output()
            .map_err(BenchError::io(format!("run {program}")))?;
        if !output.status.success() {
            let why = format!("{program} cannot unpack {}", path.display());
            return Err(BenchError::Process(why));
        }
        Ok(Some(parse(&output.stdout, self.form)))
    }
}

/// One line of a trace of prompts.
#[derive(Debug, Deserialize)]
struct Prompt {
    hash_ids: Vec<u64>,
}

fn parse(bytes: &[u8], form: Form) -> Trace {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match form {
        Form::Words => {
            let (words, _) = bytes.as_chunks::<4>();
            Trace::of(words.iter().map(|word| u32::from_be_bytes(*word)))
        }
        Form::Lines => {
            let text = text();
            let numbers = text
                .lines()
                .filter_map(|line| line.trim().parse::<u64>().ok());
            Trace::of(numbers)
        }
        Form::SecondWord => Trace::of(text().lines().filter_map(|line| word(line, ' ', 1))),
        Form::Column(heading) => {
            let text = text();
            let first = text.lines().next().unwrap_or_default();
            let place = first.split(',').position(|it| it == heading);
            let rows = text.lines().skip(1);
            Trace::of(rows.filter_map(|line| word(line, ',', place?)))
        }
        Form::Prefixes => {
            let text = text();
            let prompts = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            Trace::of(prompts.flat_map(|prompt: Prompt| prompt.hash_ids))
        }
    }
}

fn word(line: &str, separator: char, place: usize) -> Option<String> {
    line.split(separator).nth(place).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_its_keys_in_order() {
        let cases: [(&[u8], Form); 5] = [
            (&[0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 7], Form::Words),
            (b"7\n*\n\n256\n7\n", Form::Lines),
            (b"1 7 20\n2 9 20\n3 7 20\n", Form::SecondWord),
            (b"a,key\n1,x\n2,y\n3,x\n", Form::Column("key")),
            (
                b"{\"hash_ids\":[7,8]}\n{\"hash_ids\":[7]}\n",
                Form::Prefixes,
            ),
        ];
        for (bytes, form) in cases {
            let trace = parse(bytes, form);
            let expected = Trace {
                requests: vec![0, 1, 0],
                keys: 2,
            };
            assert_eq!(trace, expected, "{form:?}");
        }
    }
}
