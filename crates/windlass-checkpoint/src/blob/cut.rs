//! Where contents are cut.
//!
//! The cut points of a content follow from its bytes alone, and are part of the
//! stored layout: whoever stores a content stores the same rows for it, so that
//! rows which one commit rests on are never replaced by another one. A test
//! holds them fast.
//!
//! Cut points depend on the bytes near them, so a change in the middle moves
//! those near it and leaves the others where they are. The bytes are never
//! changed: chunks joined together are the content.
//!
//! What begins like an array or an object of JSON is cut behind commas that are
//! outside strings, which is between elements of arrays and members of objects
//! at every depth. An element ends a chunk if the hash of its last bytes is
//! small, measured by its length: so chunks have the size aimed at however long
//! elements are. An element longer than a chunk may be, and anything that is no
//! JSON, is cut where a hash of the bytes before says so (FastCDC).

use std::ops::Range;

use fastcdc::v2020::FastCDC;

use super::limits::TARGETS;

/// The last bytes of an element that decide whether it ends a chunk.
const WINDOW_BYTES: usize = 48;

/// The chunks of a content, in their order; none is empty.
pub(crate) fn cut(content: &[u8]) -> Vec<Range<usize>> {
    let sizes = Sizes::for_content(content.len());
    let ends = if looks_like_json(content) {
        cut_json(content, sizes)
    } else {
        cut_bytes(content, 0, sizes)
    };
    let mut start = 0;
    let range_to = |end| {
        let range = start..end;
        start = end;
        range
    };
    ends.into_iter().map(range_to).collect()
}

/// How large chunks are.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    least: usize,
    target: usize,
    most: usize,
}

impl Sizes {
    fn for_content(bytes: usize) -> Self {
        let fits = TARGETS.iter().find(|(below, _)| bytes < *below);
        let target = fits.map_or(TARGETS[0].1, |(_, target)| *target);
        Self {
            least: target / 4,
            target,
            most: target * 4,
        }
    }
}

/// Whether it can be worth while to look for elements. Whatever it is, it is
/// cut well enough either way.
fn looks_like_json(content: &[u8]) -> bool {
    let mut bytes = content.iter().skip_while(|byte| byte.is_ascii_whitespace());
    bytes.next().is_some_and(|first| b"[{".contains(first))
}

/// The ends of the chunks of `bytes`, which begin at `offset`.
fn cut_bytes(bytes: &[u8], offset: usize, sizes: Sizes) -> Vec<usize> {
    let Sizes {
        least,
        target,
        most,
    } = sizes;
    FastCDC::new(bytes, least, target, most)
        .map(|chunk| offset + chunk.offset + chunk.length)
        .collect()
}

fn cut_json(content: &[u8], sizes: Sizes) -> Vec<usize> {
    let mut cutter = Cutter {
        content,
        sizes,
        ends: Vec::with_capacity(content.len() / sizes.target + 1),
        start: 0,
        candidate: 0,
    };
    let mut scanner = Scanner { content, next: 0 };
    while let Some(end) = scanner.next_element() {
        cutter.offer(end);
    }
    cutter.finish()
}

/// Finds the ends of elements.
struct Scanner<'a> {
    content: &'a [u8],
    next: usize,
}

impl Scanner<'_> {
    /// The position behind the next comma outside of strings.
    fn next_element(&mut self) -> Option<usize> {
        while let Some(byte) = self.content.get(self.next) {
            self.next += 1;
            match byte {
                b',' => return Some(self.next),
                b'"' => self.skip_string(),
                _ => (),
            }
        }
        None
    }

    /// Moves behind the string that has begun.
    fn skip_string(&mut self) {
        while let Some(byte) = self.content.get(self.next) {
            self.next += 1;
            match byte {
                b'"' => return,
                b'\\' => self.next += 1,
                _ => (),
            }
        }
    }
}

/// Decides which ends of elements are ends of chunks.
struct Cutter<'a> {
    content: &'a [u8],
    sizes: Sizes,
    ends: Vec<usize>,
    /// Where the present chunk begins.
    start: usize,
    /// The end of the last element.
    candidate: usize,
}

impl Cutter<'_> {
    fn offer(&mut self, end: usize) {
        self.make_room(end);
        let length = end - self.candidate;
        self.candidate = end;
        if end - self.start >= self.sizes.least && self.is_cut(end, length) {
            self.cut_at(end);
        }
    }

    /// Ends chunks until the present one can go on to `end`.
    fn make_room(&mut self, end: usize) {
        if end - self.start > self.sizes.most && self.candidate - self.start >= self.sizes.least {
            self.cut_at(self.candidate);
        }
        if end - self.start > self.sizes.most {
            let long = &self.content[self.start..end];
            let ends = cut_bytes(long, self.start, self.sizes);
            self.ends.extend(ends);
            self.start = end;
        }
    }

    fn cut_at(&mut self, end: usize) {
        self.ends.push(end);
        self.start = end;
    }

    /// Whether the element that ends there, `length` bytes long, ends a chunk
    /// too: the more likely the longer it is.
    fn is_cut(&self, end: usize, length: usize) -> bool {
        let window = &self.content[end.saturating_sub(WINDOW_BYTES)..end];
        let hash = hash_of(window) >> 32;
        let share = (length as u64) << 32;
        hash.saturating_mul(self.sizes.target as u64) < share
    }

    fn finish(mut self) -> Vec<usize> {
        let end = self.content.len();
        self.make_room(end);
        if self.start < end {
            self.cut_at(end);
        }
        self.ends
    }
}

/// FNV-1a, with the upper bits mixed well (Fowler, Noll and Vo; the mixing is
/// the finaliser of MurmurHash3 by Appleby). It decides about sizes only.
fn hash_of(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}
