//! What must be in a store after a power cut, and what may be.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use windlass_store::{Entry, StoreError, Version, Write};

use crate::facts::chain;
use crate::recording::Mark;
use crate::workload::{self, Writes};

/// What is wrong with a store that was opened after a power cut.
#[derive(Debug)]
pub(crate) enum Finding {
    /// It cannot be opened or read.
    Refused(StoreError),
    /// An acknowledged batch is gone.
    Lost {
        writer: usize,
        acknowledged: usize,
        found: usize,
    },
    /// Entries do not fit together: one of them is this key.
    Torn { writer: usize, key: Bytes },
    /// A counter has a value that no submitted batch gave it.
    Invented { writer: usize, value: Bytes },
    /// There is a key that nobody ever wrote.
    Stranger { key: Bytes },
    /// SQLite's own check of the file complains.
    Unsound(String),
    /// The store opens but cannot be written.
    Unusable(StoreError),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "it cannot be opened or read: {}", chain(error)),
            Self::Lost {
                writer,
                acknowledged,
                found,
            } => write!(
                f,
                "writer {writer} had {acknowledged} batches acknowledged, {found} are there"
            ),
            Self::Torn { writer, key } => write!(f, "entries of writer {writer} disagree: {key:?}"),
            Self::Invented { writer, value } => {
                write!(f, "writer {writer} never had the counter {value:?}")
            }
            Self::Stranger { key } => write!(f, "nobody wrote {key:?}"),
            Self::Unsound(said) => write!(f, "SQLite finds the file damaged: {said}"),
            Self::Unusable(error) => write!(f, "it cannot be written: {}", chain(error)),
        }
    }
}

/// The entries of one writer: values, and versions where they are known.
pub(crate) type State = BTreeMap<Bytes, (Bytes, Option<Version>)>;

/// What is known of every writer at one moment of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    accounts: Vec<Account>,
}

#[derive(Clone, Debug)]
struct Account {
    plan: Vec<Writes>,
    /// Entries after the last acknowledged batch.
    state: State,
    /// Value of the counter before the first batch.
    first: Option<Bytes>,
    acknowledged: usize,
    in_flight: bool,
}

impl Ledger {
    /// Writers with these plans who begin with these entries.
    pub(crate) fn new(plans: &[Vec<Writes>], entries: &[Entry]) -> Self {
        let accounts = plans.iter().enumerate();
        let accounts = accounts.map(|(writer, plan)| {
            let state = entries_of(writer, entries);
            Account {
                plan: plan.clone(),
                first: counter_in(&state, writer),
                state,
                acknowledged: 0,
                in_flight: false,
            }
        });
        Self {
            accounts: accounts.collect(),
        }
    }

    /// Takes in what the test said during the recording.
    pub(crate) fn note(&mut self, mark: Mark) {
        match mark {
            Mark::Submitted { writer } => self.accounts[writer].in_flight = true,
            Mark::Acknowledged { writer, version } => self.accounts[writer].acknowledge(version),
        }
    }

    /// Whether these are entries that the store may have.
    pub(crate) fn judge(&self, entries: &[Entry]) -> Result<(), Finding> {
        let mut owned = 0;
        for (writer, account) in self.accounts.iter().enumerate() {
            let found = entries_of(writer, entries);
            owned += found.len();
            account.judge(writer, &found)?;
        }
        if owned == entries.len() {
            return Ok(());
        }
        let ours = |key: &Bytes| {
            let mut writers = 0..self.accounts.len();
            writers.any(|writer| key.starts_with(workload::prefix(writer).as_bytes()))
        };
        let stranger = entries.iter().find(|entry| !ours(&entry.key));
        let key = stranger.map(|entry| entry.key.clone()).unwrap_or_default();
        Err(Finding::Stranger { key })
    }
}

impl Account {
    fn acknowledge(&mut self, version: Option<Version>) {
        apply(&mut self.state, &self.plan[self.acknowledged], version);
        self.acknowledged += 1;
        self.in_flight = false;
    }

    fn judge(&self, writer: usize, found: &State) -> Result<(), Finding> {
        let mismatch = match mismatch(&self.state, found) {
            None => return Ok(()),
            Some(key) => key,
        };
        let counter = counter_in(found, writer);
        let number = self.number_of(counter.as_ref());
        match number {
            None => Err(Finding::Invented {
                writer,
                value: counter.unwrap_or_default(),
            }),
            Some(number) if number < self.acknowledged => Err(Finding::Lost {
                writer,
                acknowledged: self.acknowledged,
                found: number,
            }),
            Some(number) if number > self.acknowledged => self.judge_next(writer, found),
            Some(_) => Err(Finding::Torn {
                writer,
                key: mismatch,
            }),
        }
    }

    /// Judges entries that show the batch in flight.
    fn judge_next(&self, writer: usize, found: &State) -> Result<(), Finding> {
        let mut next = self.state.clone();
        apply(&mut next, &self.plan[self.acknowledged], None);
        match mismatch(&next, found) {
            None => Ok(()),
            Some(key) => Err(Finding::Torn { writer, key }),
        }
    }

    /// How many batches were applied when the counter had this value; `None`
    /// if no batch submitted so far gave it.
    fn number_of(&self, counter: Option<&Bytes>) -> Option<usize> {
        if counter == self.first.as_ref() {
            return Some(0);
        }
        let submitted = self.acknowledged + usize::from(self.in_flight);
        let value_of = |writes: &Writes| match writes.first() {
            Some(Write::Put { value, .. }) => Some(value.clone()),
            _ => None,
        };
        let place = self.plan[..submitted]
            .iter()
            .position(|writes| value_of(writes).as_ref() == counter);
        place.map(|place| place + 1)
    }
}

fn entries_of(writer: usize, entries: &[Entry]) -> State {
    let prefix = workload::prefix(writer);
    let own = entries
        .iter()
        .filter(|entry| entry.key.starts_with(prefix.as_bytes()));
    own.map(|entry| {
        (
            entry.key.clone(),
            (entry.value.clone(), Some(entry.version)),
        )
    })
    .collect()
}

fn counter_in(state: &State, writer: usize) -> Option<Bytes> {
    state
        .get(&workload::counter(writer))
        .map(|(value, _)| value.clone())
}

fn apply(state: &mut State, writes: &Writes, version: Option<Version>) {
    for write in writes {
        match write {
            Write::Put { key, value } => state.insert(key.clone(), (value.clone(), version)),
            Write::Delete { key } => state.remove(key),
        };
    }
}

/// A key whose entry is not as expected.
fn mismatch(expected: &State, found: &State) -> Option<Bytes> {
    let fits = |key: &Bytes| match (expected.get(key), found.get(key)) {
        (None, None) => true,
        (Some((expected, version)), Some((found, found_version))) => {
            expected == found && (version.is_none() || version == found_version)
        }
        _ => false,
    };
    expected
        .keys()
        .chain(found.keys())
        .find(|key| !fits(key))
        .cloned()
}
