//! What is known of batches whose commits may fail, and what a store that
//! was opened again may show of them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use bytes::Bytes;
use windlass_store::{Batch, Commit, Entry, Expect, StoreError, StoreErrorKind, Write};

/// What is known of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// It was acknowledged, or seen by a read.
    Applied,
    /// It was refused, or a read after it did not see it.
    Denied,
    /// Its answer was that nobody knows.
    Unsure,
}

/// An answer that was false, or a store that is not as was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A batch that was applied is gone.
    Lost(usize),
    /// A batch that was denied is there.
    Risen(usize),
    /// The entries are not those of whole batches; one of them is this key.
    Torn(Bytes),
    /// An error of a kind that such a fault cannot have, or an answer that
    /// cannot be.
    Answer(String),
    /// A batch was applied although its check does not hold.
    Contradicted,
    /// The disk is sound again and the store still fails.
    Stranded(String),
    /// No answer came.
    Hung(&'static str),
    /// A thread of the store has panicked.
    Panicked,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(number) => write!(f, "batch {number} was applied and is gone"),
            Self::Risen(number) => write!(f, "batch {number} was denied and is there"),
            Self::Torn(key) => write!(f, "part of a batch is missing or too much: {key:?}"),
            Self::Answer(answer) => write!(f, "not an answer to such a fault: {answer}"),
            Self::Contradicted => f.write_str("a batch was applied in spite of its check"),
            Self::Stranded(error) => write!(f, "fails on a sound disk: {error}"),
            Self::Hung(verb) => write!(f, "`{verb}` is not answered"),
            Self::Panicked => f.write_str("a thread of the store has panicked"),
        }
    }
}

/// What is known of every batch submitted so far, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    facts: Vec<Fact>,
}

impl Facts {
    /// How many batches were submitted.
    pub(crate) const fn submitted(&self) -> usize {
        self.facts.len()
    }

    /// Takes in the answer to the next batch.
    pub(crate) fn note(&mut self, answer: &Result<Commit, StoreError>) -> Result<(), Wrong> {
        let fact = match answer {
            Ok(Commit::Applied(_)) => Fact::Applied,
            Ok(Commit::Conflict { .. }) => return Err(Wrong::Answer(format!("{answer:?}"))),
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => Fact::Unsure,
            Err(error) => check_kind(error).map(|()| Fact::Denied)?,
        };
        self.facts.push(fact);
        Ok(())
    }

    /// Takes in what a read showed: it settles what nobody knew.
    pub(crate) fn observe(&mut self, entries: &[Entry]) -> Result<(), Wrong> {
        self.judge(entries)?;
        for (number, fact) in self.facts.iter_mut().enumerate() {
            let found = is_there(number, entries);
            *fact = if found { Fact::Applied } else { Fact::Denied };
        }
        Ok(())
    }

    /// Whether these are entries that the store may have.
    pub(crate) fn judge(&self, entries: &[Entry]) -> Result<(), Wrong> {
        let mut expected = BTreeMap::new();
        for (number, fact) in self.facts.iter().enumerate() {
            match (fact, is_there(number, entries)) {
                (Fact::Applied, false) => return Err(Wrong::Lost(number)),
                (Fact::Denied, true) => return Err(Wrong::Risen(number)),
                (_, true) => apply(&mut expected, number),
                (_, false) => {}
            }
        }
        let found = entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()));
        let found: BTreeMap<_, _> = found.collect();
        let mut keys = expected.keys().chain(found.keys());
        match keys.find(|key| expected.get(*key) != found.get(*key)) {
            None => Ok(()),
            Some(key) => Err(Wrong::Torn(key.clone())),
        }
    }

    /// What was known before the answers that made `later` of it, when the
    /// batches they are about may have been submitted.
    pub(crate) fn before_answers(&self, later: &Self) -> Self {
        let mut facts = self.facts.clone();
        facts.resize(later.facts.len(), Fact::Unsure);
        Self { facts }
    }

    /// The number of some batch that is known to be applied.
    pub(crate) fn applied(&self) -> Option<usize> {
        self.facts.iter().rposition(|fact| *fact == Fact::Applied)
    }
}

/// Refuses errors that blame the data or the caller for what the disk did.
pub(crate) fn check_kind(error: &StoreError) -> Result<(), Wrong> {
    match error.kind() {
        StoreErrorKind::Unavailable | StoreErrorKind::Environment => Ok(()),
        _ => Err(Wrong::Answer(chain(error))),
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &StoreError) -> String {
    let mut text = format!("{:?}: {error}", error.kind());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        write!(text, ": {error}").expect("a string takes everything");
        cause = error.source();
    }
    text
}

/// The batch of a number: applied only once, large at times.
pub(crate) fn batch(number: usize) -> Batch {
    let writes = writes(number);
    Batch {
        writes,
        ..Batch::new()
    }
    .check(first_key(number), Expect::Absent)
}

/// The key that is there if and only if the batch was applied.
pub(crate) fn first_key(number: usize) -> Bytes {
    format!("batch/{number}/0").into()
}

fn writes(number: usize) -> Vec<Write> {
    let put = |key: String, length: usize| Write::Put {
        key: key.into(),
        value: format!("{number:>length$}").into(),
    };
    let length = if number % 5 == 4 {
        9_000
    } else {
        40 + 30 * (number % 7)
    };
    let mut writes = vec![
        put(format!("batch/{number}/0"), length),
        put(format!("batch/{number}/1"), 20),
        put(format!("last/{}", number % 4), 100),
    ];
    if let Some(earlier) = number.checked_sub(6) {
        let key = format!("batch/{earlier}/1").into();
        writes.push(Write::Delete { key });
    }
    writes
}

fn apply(entries: &mut BTreeMap<Bytes, Bytes>, number: usize) {
    for write in writes(number) {
        match write {
            Write::Put { key, value } => entries.insert(key, value),
            Write::Delete { key } => entries.remove(&key),
        };
    }
}

fn is_there(number: usize, entries: &[Entry]) -> bool {
    let key = first_key(number);
    entries.iter().any(|entry| entry.key == key)
}
