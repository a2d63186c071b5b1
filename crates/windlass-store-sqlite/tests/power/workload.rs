//! What writers do to a store while it is recorded.
//!
//! Every writer has keys of its own and one batch at a time in flight, so its
//! entries at any moment are those after its last acknowledged batch or after
//! the one in flight, and nothing else. Each batch replaces the writer's
//! counter and some related keys; the values follow from the seed.

use bytes::Bytes;
use windlass_store::Write;
use windlass_store_testing::Random;

/// Keys of a writer beside its counter.
const SLOTS: usize = 16;
/// The same, of large batches.
const SLOTS_MAX: usize = 80;

/// The writes of one batch, the counter first.
pub(crate) type Writes = Vec<Write>;

/// How the keys of a writer begin.
pub(crate) fn prefix(writer: usize) -> String {
    format!("writer/{writer}/")
}

/// The key whose value says which batch was the last.
pub(crate) fn counter(writer: usize) -> Bytes {
    format!("writer/{writer}/counter").into()
}

fn slot_key(writer: usize, slot: usize) -> Bytes {
    format!("writer/{writer}/slot/{slot}").into()
}

/// All batches that a writer is going to commit.
pub(crate) fn plan(seed: u64, writer: usize, batches: usize) -> Vec<Writes> {
    let salt = u64::try_from(writer).unwrap_or(0);
    let mut random = Random::new(Random::new(seed).next() ^ salt);
    (0..batches)
        .map(|number| batch(&mut random, seed, writer, number))
        .collect()
}

fn batch(random: &mut Random, seed: u64, writer: usize, number: usize) -> Writes {
    let name = format!("{seed:x}/{number}");
    let mut writes = vec![Write::Put {
        key: counter(writer),
        value: name.clone().into(),
    }];
    if random.one_in(10) {
        // Leaves pages behind that the store may give back.
        let slots = 0..SLOTS_MAX;
        writes.extend(slots.map(|slot| Write::Delete {
            key: slot_key(writer, slot),
        }));
        return writes;
    }
    let large = random.one_in(25);
    let (count, slots) = if large {
        (40, SLOTS_MAX)
    } else {
        (1 + random.below(4), SLOTS)
    };
    let first = random.below(slots);
    for slot in (0..count).map(|step| (first + step) % slots) {
        let key = slot_key(writer, slot);
        if random.one_in(8) {
            writes.push(Write::Delete { key });
        } else {
            let value = value(random, &name);
            writes.push(Write::Put { key, value });
        }
    }
    writes
}

/// Mostly small, at times of several pages.
fn value(random: &mut Random, name: &str) -> Bytes {
    let length = if random.one_in(16) {
        1_000 + random.below(11_000)
    } else {
        random.below(300)
    };
    let mut value = Vec::with_capacity(name.len() + length + 8);
    value.extend_from_slice(name.as_bytes());
    while value.len() < name.len() + length {
        value.extend_from_slice(&random.next().to_le_bytes());
    }
    value.into()
}
