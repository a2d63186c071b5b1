//! Every key of a lineage: its blobs, and what guards their collection.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{SessionId, TenantId};
use windlass_store::KeyRange;
use windlass_store::key::Key;

use super::BlobId;

/// What a row of a lineage holds, and what its id is the hash of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A whole content, or the list at its top; named by the content.
    Blob,
    /// A list within a tree; named by what it lists.
    List,
    /// A piece of a content; named by its bytes.
    Chunk,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::List => "list",
            Self::Chunk => "chunk",
        }
    }
}

/// The name of one row among those that hold contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) kind: Kind,
    pub(crate) id: BlobId,
}

impl Name {
    pub(crate) const fn blob(id: BlobId) -> Self {
        let kind = Kind::Blob;
        Self { kind, id }
    }

    pub(crate) const fn list(id: BlobId) -> Self {
        let kind = Kind::List;
        Self { kind, id }
    }

    pub(crate) const fn chunk(id: BlobId) -> Self {
        let kind = Kind::Chunk;
        Self { kind, id }
    }
}

impl From<BlobId> for Name {
    fn from(id: BlobId) -> Self {
        Self::blob(id)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.as_str(), self.id)
    }
}

/// The keys of one lineage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LineageKeys {
    pub(crate) tenant: TenantId,
    /// Its random name.
    pub(crate) lineage: Arc<str>,
}

impl LineageKeys {
    pub(crate) fn new(tenant: &TenantId, lineage: &str) -> Self {
        Self {
            tenant: tenant.clone(),
            lineage: lineage.into(),
        }
    }

    fn base(&self) -> Key {
        lineages(&self.tenant).text(&self.lineage)
    }

    /// Every row of every lineage of a tenant.
    pub(crate) fn of_tenant(tenant: &TenantId) -> KeyRange {
        KeyRange::prefix(lineages(tenant).below())
    }

    /// The lineage that a row among [`Self::of_tenant`] is of.
    pub(crate) fn lineage_of(tenant: &TenantId, key: &[u8]) -> Option<String> {
        let rest = key.strip_prefix(lineages(tenant).below().as_ref())?;
        let name = rest.split(|byte| *byte == b'/').next()?;
        String::from_utf8(name.to_vec()).ok()
    }

    /// The first key behind every row of the lineage.
    pub(crate) fn end(&self) -> Bytes {
        let all = KeyRange::prefix(self.base().below());
        all.end
            .expect("a prefix that ends with a separator has an end")
    }

    /// The row of that name.
    pub(crate) fn row(&self, name: Name) -> Bytes {
        let base = self.base().text(name.kind.as_str());
        base.text(&name.id.to_string()).finish()
    }

    /// The row of a content.
    pub(crate) fn blob(&self, id: BlobId) -> Bytes {
        self.row(Name::blob(id))
    }

    /// All rows of a kind.
    pub(crate) fn rows(&self, kind: Kind) -> KeyRange {
        KeyRange::prefix(self.base().text(kind.as_str()).below())
    }

    /// The name of the row of that kind under `key`.
    pub(crate) fn name_of(&self, kind: Kind, key: &[u8]) -> Option<Name> {
        let id = id_below(&self.rows(kind), key)?;
        Some(Name { kind, id })
    }

    /// The row that collections rewrite before they delete, and that commits
    /// check which rest on a blob they do not write.
    pub(crate) fn gc(&self) -> Bytes {
        self.base().text("gc").finish()
    }

    /// The row that says a row is about to be deleted.
    pub(crate) fn condemned(&self, name: impl Into<Name>) -> Bytes {
        let name = name.into();
        let base = self.base().text("condemned").text(name.kind.as_str());
        base.text(&name.id.to_string()).finish()
    }

    /// All rows of a kind that are about to be deleted.
    pub(crate) fn all_condemned(&self, kind: Kind) -> KeyRange {
        let base = self.base().text("condemned").text(kind.as_str());
        KeyRange::prefix(base.below())
    }

    /// The name that a row among [`Self::all_condemned`] is about.
    pub(crate) fn condemned_of(&self, kind: Kind, key: &[u8]) -> Option<Name> {
        let id = id_below(&self.all_condemned(kind), key)?;
        Some(Name { kind, id })
    }

    /// The row that makes a session a member of the lineage.
    pub(crate) fn member(&self, session: &SessionId) -> Bytes {
        self.base().text("member").text(session.as_str()).finish()
    }

    pub(crate) fn members(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("member").below())
    }
}

fn id_below(range: &KeyRange, key: &[u8]) -> Option<BlobId> {
    let id = key.strip_prefix(range.start.as_ref())?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

fn lineages(tenant: &TenantId) -> Key {
    Key::new(tenant.as_str()).text("lineage")
}
