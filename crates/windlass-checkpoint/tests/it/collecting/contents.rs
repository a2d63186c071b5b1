//! Contents that have much in common with each other.

use std::sync::LazyLock;

use bytes::Bytes;
use windlass_checkpoint::{Changes, PartName, Payload};
use windlass_store_testing::Random;

/// How many there are to choose from.
pub(super) const COUNT: usize = 60;

static CONTENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| (0..COUNT).map(make).collect());

/// Content number `number`: some are one row, some are cut, and the last one
/// is so large that it is written ahead of its commit. Neighbours differ in
/// the middle only.
pub(super) fn content(number: usize) -> Bytes {
    CONTENTS[number].clone()
}

fn make(number: usize) -> Bytes {
    match number {
        0..=19 => format!("[{number}]").into(),
        20..=49 => list(number as u64 / 6, 150, number),
        50..=58 => list(2, 900, number),
        _ => noise(280_000),
    }
}

fn list(seed: u64, count: usize, changed: usize) -> Bytes {
    let mut random = Random::new(seed);
    let element = |place: usize| {
        let salt = if place == count / 2 { changed } else { 0 };
        format!(
            "{{\"place\":{place},\"value\":{},\"salt\":{salt}}}",
            random.next()
        )
    };
    let elements: Vec<String> = (0..count).map(element).collect();
    format!("[{}]", elements.join(",")).into()
}

fn noise(length: usize) -> Bytes {
    let mut random = Random::new(3);
    let words = std::iter::repeat_with(|| random.next().to_le_bytes());
    words.flatten().take(length).collect::<Vec<u8>>().into()
}

pub(super) fn payload(content: Bytes) -> Payload {
    if content.first() == Some(&b'[') {
        Payload::Json(content)
    } else {
        Payload::Bytes(content)
    }
}

pub(super) fn name(part: &str) -> PartName {
    part.parse().expect("the name of a part")
}

/// A commit that puts a content.
pub(super) fn put(part: &str, number: usize) -> Changes {
    Changes::default().put(name(part), payload(content(number)))
}
