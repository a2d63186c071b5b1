//! A small world: a strict store in memory, a clock of the test's own, and
//! the stashes over them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;
use windlass_core::{ManualEnv, Millis};
use windlass_stash::Config;
use windlass_stash::durable::check;
use windlass_stash::durable::{Execution, Options, Stash, Stashes};
use windlass_store::{Batch, Commit, Entry, KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Strict, StrictOptions, audited};

use crate::support::{START, group};

/// Stashes over a store of which the test can see the ground.
pub(super) struct World {
    /// What is really stored.
    pub(super) ground: Arc<MemoryStore>,
    pub(super) env: Arc<ManualEnv>,
    pub(super) options: Options,
    pub(super) stashes: Stashes,
}

impl World {
    pub(super) fn new(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut options = Options::default();
        adjust(&mut options.stash);
        Self::with_options(options)
    }

    pub(super) fn with_options(options: Options) -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(7, Millis::new(START)));
        let stashes = over(strict(&ground), &env, &options);
        Self {
            ground,
            env,
            options,
            stashes,
        }
    }

    /// What another process, or this one after a restart, has of the store.
    pub(super) fn reopen(&self) -> Stashes {
        self.over(strict(&self.ground))
    }

    /// Stashes over a wrapper of the same ground.
    pub(super) fn over(&self, store: Arc<dyn Store>) -> Stashes {
        over(store, &self.env, &self.options)
    }

    /// The stash that most tests are about.
    pub(super) fn stash(&self) -> Stash {
        stash(&self.stashes)
    }

    /// An execution in no group.
    pub(super) fn outside(&self) -> Execution {
        self.stash().execution(None)
    }

    /// Every stored key and value.
    pub(super) async fn rows(&self) -> Vec<Entry> {
        let all = self.ground.scan_all(KeyRange::all()).await;
        all.expect("a store that works")
    }

    /// The stored keys that have `part` in them.
    pub(super) async fn keys(&self, part: &str) -> Vec<String> {
        let rows = self.rows().await;
        let keys = rows.iter().map(|row| text(&row.key));
        keys.filter(|key| key.contains(part)).collect()
    }

    /// Replaces a stored value behind everybody's back.
    pub(super) async fn put(&self, key: &str, value: impl Into<Bytes>) {
        let batch = Batch::new().put(key.to_owned(), value);
        let put = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(put, Commit::Applied(_)), "{put:?}");
    }

    /// Removes a stored row behind everybody's back.
    pub(super) async fn remove(&self, key: &str) {
        let batch = Batch::new().delete(key.to_owned());
        let gone = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(gone, Commit::Applied(_)), "{gone:?}");
    }

    /// Edits a stored JSON record behind everybody's back.
    pub(super) async fn edit(&self, key: &str, edit: impl FnOnce(&mut Json)) {
        let found = self.ground.get(key.to_owned().into()).await;
        let entry = found.expect("a store that works").expect("a stored row");
        let mut record = json(&entry.value);
        edit(&mut record);
        self.put(key, record.to_string()).await;
    }

    /// Recounts the stash from its rows: that the head counts them, that every
    /// piece belongs to an entry or a note, and what they add up to.
    pub(super) async fn recount(&self) -> Recount {
        let found = audited(self.ground.as_ref(), check::auditor).await;
        assert_eq!(found, Vec::<String>::new());
        let mut recount = Recount::default();
        let mut operations = Operations::default();
        let mut head = None;
        let (mut pieces, mut owned) = (Vec::new(), Vec::new());
        for row in self.rows().await {
            let key = text(&row.key);
            let Some(name) = key.strip_prefix("acme/stash/s1/") else {
                continue;
            };
            if let Some(entry) = name.strip_prefix("entry/") {
                recount.add(entry, &json(&row.value), &mut owned);
            } else if let Some(note) = name.strip_prefix("loose/") {
                recount.loose += 1;
                let (name, first) = note.split_once('/').expect("a name and a number");
                own(&mut owned, name, &json(&row.value)["count"], first);
            } else if let Some(piece) = name.strip_prefix("piece/") {
                pieces.push(piece.to_owned());
            } else if let Some(operation) = name.strip_prefix("op/") {
                operations.records.push(operation.to_owned());
            } else if let Some(first) = name.strip_prefix("order/") {
                operations.add(first, &json(&row.value));
            } else {
                assert_eq!(name, "head");
                head = Some(json(&row.value));
            }
        }
        for piece in &pieces {
            assert!(owned.contains(piece), "{piece} belongs to nobody");
        }
        operations.check(head.as_ref());
        if let Some(head) = head {
            let counted = ["rows", "value_bytes", "charged_bytes"].map(|figure| &head[figure]);
            let found = [recount.rows, recount.value_bytes, recount.charged_bytes];
            assert_eq!(counted.map(Json::as_u64), found.map(Some), "{head}");
            let due = format!(
                "due/{:020}/stash/acme/s1",
                head["due"].as_u64().expect("a time")
            );
            assert_eq!(
                self.keys("/stash/acme/s1")
                    .await
                    .iter()
                    .filter(|key| **key == due)
                    .count(),
                1
            );
        } else {
            assert_eq!(recount.rows, 0, "rows without a head");
        }
        recount
    }
}

/// The operation ids of a stash, as its rows have them.
#[derive(Debug, Default)]
struct Operations {
    /// The records, as `principal/id`.
    records: Vec<String>,
    /// The numbers and names of the order.
    order: Vec<(u64, String)>,
    bytes: u64,
}

impl Operations {
    fn add(&mut self, first: &str, row: &Json) {
        let first: u64 = first.parse().expect("a number");
        let names = row["ops"].as_array().expect("names");
        let names = names.iter().map(|name| {
            let part = |place: usize| name[place].as_str().expect("a name").to_owned();
            format!("{}/{}", part(0), part(1))
        });
        self.order.extend((first..).zip(names));
        self.bytes += row["bytes"].as_u64().expect("bytes");
    }

    /// That the order names each record once, without a gap, and the head
    /// counts them.
    fn check(&mut self, head: Option<&Json>) {
        let ops = head.map(|head| &head["ops"]).filter(|ops| !ops.is_null());
        let figure = |name: &str| ops.map_or(0, |ops| ops[name].as_u64().expect("a number"));
        let numbers: Vec<u64> = self.order.iter().map(|(number, _)| *number).collect();
        let counted: Vec<u64> = (figure("gone") + 1..=figure("last")).collect();
        assert_eq!(numbers, counted, "the order of operations");
        assert_eq!(self.bytes, figure("bytes"), "bytes of operations");
        let mut named: Vec<String> = self.order.iter().map(|(_, name)| name.clone()).collect();
        named.sort_unstable();
        self.records.sort_unstable();
        assert_eq!(self.records, named, "records of operations");
    }
}

/// What the rows of a stash add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recount {
    pub(super) rows: u64,
    pub(super) value_bytes: u64,
    pub(super) charged_bytes: u64,
    pub(super) loose: usize,
}

impl Recount {
    fn add(&mut self, key: &str, entry: &Json, owned: &mut Vec<String>) {
        let size = entry["size"].as_u64().expect("a size");
        let group = entry["group"].as_str().unwrap_or_default();
        let names = u64::try_from(key.len() + group.len()).expect("small");
        self.rows += 1;
        self.value_bytes += size;
        self.charged_bytes += size + names + windlass_stash::limits::ENTRY_BYTES;
        if let Some(pieces) = entry["pieces"].as_array() {
            let first = pieces[1].to_string();
            own(
                owned,
                pieces[0].as_str().expect("a name"),
                &pieces[2],
                &first,
            );
        }
    }
}

/// Notes that `count` pieces from `first` on belong to somebody.
fn own(owned: &mut Vec<String>, name: &str, count: &Json, first: &str) {
    let first: u64 = first.parse().expect("a number");
    let count = count.as_u64().expect("a count");
    for number in first..first + count {
        let piece = format!("{name}/{number:020}");
        assert!(!owned.contains(&piece), "{piece} belongs to two");
        owned.push(piece);
    }
}

/// The least a store may do, without failures.
pub(super) fn strict(ground: &Arc<MemoryStore>) -> Arc<dyn Store> {
    let inner = Arc::clone(ground);
    Arc::new(Strict::new(inner, StrictOptions::WITHOUT_ERRORS))
}

pub(super) fn over(store: Arc<dyn Store>, env: &Arc<ManualEnv>, options: &Options) -> Stashes {
    Stashes::new(store, Arc::clone(env) as _, options.clone()).expect("settings in range")
}

pub(super) fn stash(stashes: &Stashes) -> Stash {
    let tenant = "acme".parse().expect("an identifier");
    stashes.stash(&tenant, &"s1".parse().expect("an identifier"))
}

/// An execution of the usual stash.
pub(super) fn execution(stashes: &Stashes, name: Option<&str>) -> Execution {
    stash(stashes).execution(name.map(group))
}

pub(super) fn text(key: &Bytes) -> String {
    String::from_utf8(key.to_vec()).expect("keys are text")
}

fn json(value: &[u8]) -> Json {
    serde_json::from_slice(value).expect("records are JSON")
}
