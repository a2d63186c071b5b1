//! What an auditor finds in a store that is not being changed: in a test of a
//! part, nothing.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use windlass_store::check::{Auditor, Notes};
use windlass_store::{Entry, KeyRange, Store};

/// Shows everything in `store` to the auditors that `make` makes, and says in
/// words what they find: rows that no record calls for, or that are not there,
/// references to nothing, and what is wrong with single records.
///
/// # Panics
///
/// If the store cannot be exported.
pub async fn audited<A: Auditor>(store: &dyn Store, make: impl Fn() -> A) -> Vec<String> {
    let export = store.export(KeyRange::all()).await;
    let entries = export.expect("the store can be exported").collect().await;
    let entries = entries.expect("nothing in the store is damaged");
    let heard = hear(&entries, make());
    let keys: BTreeSet<&Bytes> = entries.iter().map(|entry| &entry.key).collect();
    let mut found = heard.told;
    for ((from, to), ()) in &heard.references {
        if !keys.contains(to) {
            found.push(format!("{} points at {}", text(from), text(to)));
        }
    }
    for ((row, value), (side, by)) in &heard.links {
        let records: Vec<Entry> = entries
            .iter()
            .filter(|entry| by.contains(&entry.key))
            .cloned()
            .collect();
        if *side != 0 && !hear(&records, make()).unsettled {
            let value = text(value);
            found.push(format!(
                "{side}: {} = `{value}` by {}",
                text(row),
                texts(by)
            ));
        }
    }
    found
}

fn hear(entries: &[Entry], mut auditor: impl Auditor) -> Heard {
    let mut heard = Heard::default();
    for entry in entries {
        auditor.entry(entry, &mut heard);
    }
    auditor.end(&mut heard);
    heard
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn texts(keys: &[Bytes]) -> String {
    keys.iter()
        .map(|key| text(key))
        .collect::<Vec<_>>()
        .join(", ")
}

/// By row and value, how much oftener it is called for than found, and by what.
type Links = BTreeMap<(Bytes, Bytes), (i64, Vec<Bytes>)>;

#[derive(Debug, Default)]
struct Heard {
    links: Links,
    references: BTreeMap<(Bytes, Bytes), ()>,
    told: Vec<String>,
    unsettled: bool,
}

impl Heard {
    fn side(&mut self, by: &[Bytes], row: Bytes, value: Bytes, side: i64) {
        let sides = self.links.entry((row, value));
        sides.or_insert_with(|| (0, by.to_vec())).0 += side;
    }
}

impl Notes for Heard {
    fn demand(&mut self, by: &[Bytes], row: Bytes, value: Bytes) {
        self.side(by, row, value, 1);
    }

    fn found(&mut self, by: &[Bytes], row: Bytes, value: Bytes) {
        self.side(by, row, value, -1);
    }

    fn refer(&mut self, from: &Bytes, to: Bytes) {
        self.references.insert((from.clone(), to), ());
    }

    fn wrong(&mut self, key: &Bytes, code: &'static str) {
        self.told.push(format!("{code}: {}", text(key)));
    }

    fn miscounted(&mut self, key: &Bytes, code: &'static str, _: Bytes, value: Bytes) {
        let value = text(&value);
        self.told
            .push(format!("{code}: {} has to be {value}", text(key)));
    }

    fn unsettled(&mut self) {
        self.unsettled = true;
    }
}
