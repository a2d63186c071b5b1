//! What the audit says about its own entries: the rows of due work that heads
//! call for. Whether a chain is what was written, its verification says.

use bytes::Bytes;
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};

use super::chain::Chain;
use super::layout;
use super::record::Head;

/// An auditor of the heads of chains.
pub(crate) fn auditor() -> impl Auditor {
    Rounds
}

#[derive(Debug)]
struct Rounds;

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        if entry.key.starts_with(b"due/") {
            match layout::parse_due(&entry.key) {
                Some((_, chain)) => {
                    let by = [layout::head(&chain)];
                    notes.found(&by, entry.key.clone(), entry.value.clone());
                }
                None => notes.wrong(&entry.key, "unreadable_key"),
            }
            return;
        }
        let Some(name) = entry.key.strip_suffix(b"/audit/head") else {
            return;
        };
        let chain = std::str::from_utf8(name).ok();
        let Some(chain) = chain.and_then(|name| name.parse::<Chain>().ok()) else {
            return;
        };
        let Ok(head) = Head::decode(entry) else {
            return notes.wrong(&entry.key, "corrupt_record");
        };
        if let Some(due) = head.due {
            let by = [entry.key.clone()];
            notes.demand(&by, layout::due(due, &chain), Bytes::new());
        }
    }

    fn end(&mut self, _: &mut dyn Notes) {}
}
