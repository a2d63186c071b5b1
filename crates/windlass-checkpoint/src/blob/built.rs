//! A content made ready to be stored: cut, named, and its rows in a tree.
//!
//! The chunks of a content are the leaves. Runs of them are lists, runs of
//! lists are lists again, until few enough are left for the one row at the
//! top, which bears the name of the content. A run ends where the id of a
//! member says so, so that a change replaces the lists above it and no
//! others.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use windlass_core::Millis;

use super::cut::cut;
use super::limits::{
    LIST_CHILDREN_MAX, LIST_CHILDREN_MIN, LIST_CHILDREN_TARGET, TOP_CHILDREN_MAX, WHOLE_BYTES_MAX,
};
use super::row::{Child, Encoder, List};
use super::{BlobId, Compression, Kind, LineageKeys, Name};

/// A row to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlobRow {
    pub(crate) name: Name,
    pub(crate) value: Bytes,
    /// Whether it may be written ahead of the commit that needs it. The list
    /// at the top of a content may not: where it is present, everything below
    /// it has to be too.
    pub(crate) may_go_ahead: bool,
}

impl BlobRow {
    /// Where it goes.
    pub(crate) fn key(&self, lineage: &LineageKeys) -> Bytes {
        lineage.row(self.name)
    }
}

/// A content with its name, and the rows it needs that are not known to be
/// there.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The name of the content.
    pub(crate) id: BlobId,
    /// Its size in bytes.
    pub(crate) size: u64,
    content: Bytes,
    compression: Compression,
    now: Millis,
    /// The list at the top; none for a content of one row.
    top: Option<List>,
    /// Everything below it.
    below: HashMap<Name, Node>,
    /// What the lineage has, with everything below that.
    known: HashSet<Name>,
}

/// A row below the top.
#[derive(Clone, Debug)]
enum Node {
    Chunk(Bytes),
    List(List),
}

impl Built {
    /// Cuts a content and names it and its pieces. Hashes it twice if it is
    /// larger than one row, and copies nothing.
    pub(crate) fn of(content: &Bytes, compression: Compression, now: Millis) -> Self {
        let mut built = Self {
            id: BlobId::of(content),
            size: content.len() as u64,
            content: content.clone(),
            compression,
            now,
            top: None,
            below: HashMap::new(),
            known: HashSet::new(),
        };
        if content.len() > WHOLE_BYTES_MAX {
            let chunks = built.chunks();
            built.top = Some(built.pile_up(chunks));
        }
        built
    }

    fn chunks(&mut self) -> Vec<Child> {
        let ranges = cut(&self.content);
        let mut chunks = Vec::with_capacity(ranges.len());
        for range in ranges {
            let bytes = self.content.slice(range);
            let child = Child {
                name: Name::chunk(BlobId::of(&bytes)),
                size: bytes.len() as u64,
            };
            self.below.insert(child.name, Node::Chunk(bytes));
            chunks.push(child);
        }
        chunks
    }

    /// Piles lists upon lists until one of them holds everything.
    fn pile_up(&mut self, mut level: Vec<Child>) -> List {
        while level.len() > TOP_CHILDREN_MAX {
            level = runs(&level).map(|run| self.add_list(run)).collect();
        }
        List::of(level)
    }

    fn add_list(&mut self, run: &[Child]) -> Child {
        let list = List::of(run.to_vec());
        let child = Child {
            name: Name::list(list.id()),
            size: list.size(),
        };
        self.below.insert(child.name, Node::List(list));
        child
    }

    /// Whether rows of this content may be among those of another one.
    pub(crate) const fn is_cut(&self) -> bool {
        self.top.is_some()
    }

    /// Whether a row of that name is part of it.
    pub(crate) fn has(&self, name: Name) -> bool {
        self.below.contains_key(&name)
    }

    /// Notes that the lineage has these, with everything below them.
    pub(crate) fn note_known(&mut self, names: impl IntoIterator<Item = Name>) {
        self.known.extend(names);
    }

    /// The names of all rows that are not known to be there, those above
    /// before those below.
    pub(crate) fn missing(&self) -> Vec<Name> {
        let top = Name::blob(self.id);
        if self.known.contains(&top) {
            return Vec::new();
        }
        let mut missing = vec![top];
        let mut seen: HashSet<Name> = HashSet::new();
        let mut next = 0;
        while let Some(name) = missing.get(next) {
            for child in self.children(*name) {
                if !self.known.contains(&child.name) && seen.insert(child.name) {
                    missing.push(child.name);
                }
            }
            next += 1;
        }
        missing
    }

    fn children(&self, name: Name) -> &[Child] {
        let list = match self.below.get(&name) {
            None if name.kind == Kind::Blob => self.top.as_ref(),
            Some(Node::List(list)) => Some(list),
            Some(Node::Chunk(_)) | None => None,
        };
        list.map_or(&[], |list| &list.children)
    }

    /// The rows that are not known to be there, made smaller as wanted.
    pub(crate) fn into_rows(self) -> Vec<BlobRow> {
        let mut encoder = Encoder::new(self.compression, self.size);
        let row = |name| self.row(name, &mut encoder);
        self.missing().into_iter().map(row).collect()
    }

    fn row(&self, name: Name, encoder: &mut Encoder) -> BlobRow {
        let (value, may_go_ahead) = match (self.below.get(&name), &self.top) {
            (Some(Node::Chunk(bytes)), _) => (encoder.encode(bytes, self.now), true),
            (Some(Node::List(list)), _) => (list.encode(self.now), true),
            (None, Some(top)) => (top.encode(self.now), false),
            (None, None) => (encoder.encode(&self.content, self.now), true),
        };
        BlobRow {
            name,
            value,
            may_go_ahead,
        }
    }
}

/// The runs of a level that become lists of the next one.
fn runs(level: &[Child]) -> impl Iterator<Item = &[Child]> {
    let mut rest = level;
    std::iter::from_fn(move || {
        let (run, after) = rest.split_at(run_length(rest));
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// How many of these the next list takes.
fn run_length(level: &[Child]) -> usize {
    let ends = |child: &Child| child.name.id.as_digest()[31].is_multiple_of(LIST_CHILDREN_TARGET);
    let shortest = level.iter().enumerate().skip(LIST_CHILDREN_MIN - 1);
    let end = shortest
        .take(LIST_CHILDREN_MAX)
        .find(|(_, child)| ends(child));
    let longest = level.len().min(LIST_CHILDREN_MAX);
    end.map_or(longest, |(last, _)| (last + 1).min(longest))
}
