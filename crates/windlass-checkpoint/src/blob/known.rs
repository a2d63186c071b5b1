//! What a content has in common with one that is stored already.
//!
//! Whoever calls holds on to the earlier content: a commit that checks the
//! head which points at it needs nothing else to be sure of its rows.

use std::collections::HashSet;

use bytes::Bytes;
use windlass_store::{Store, StoreError};

use super::fetch::fetch;
use super::limits::COMPARED_LISTS_MAX;
use super::row::Row;
use super::{BlobId, Built, Kind, LineageKeys, Name};

/// Notes in `built` what the content `before` has of it. Reads the lists in
/// which the two differ, level by level; one that is missing or damaged is
/// taken for one that has nothing in common.
pub(crate) async fn drop_known(
    store: &dyn Store,
    lineage: &LineageKeys,
    before: BlobId,
    built: &mut Built,
) -> Result<(), StoreError> {
    if before == built.id {
        built.note_known([Name::blob(before)]);
        return Ok(());
    }
    if !built.is_cut() {
        return Ok(());
    }
    let mut lists = vec![Name::blob(before)];
    let mut read = 0;
    while !lists.is_empty() && read < COMPARED_LISTS_MAX {
        lists.truncate(COMPARED_LISTS_MAX - read);
        read += lists.len();
        let names = children_of(store, lineage, &lists).await?;
        lists = lists_apart(&names, built);
        built.note_known(names);
    }
    Ok(())
}

async fn children_of(
    store: &dyn Store,
    lineage: &LineageKeys,
    lists: &[Name],
) -> Result<HashSet<Name>, StoreError> {
    let keys: Vec<Bytes> = lists.iter().map(|name| lineage.row(*name)).collect();
    let found = fetch(store, &keys).await?;
    let rows = found.into_iter().flatten();
    let rows = rows.filter_map(|entry| Row::decode(&entry.value).ok());
    let children = |row: Row| row.children().iter().map(|it| it.name).collect::<Vec<_>>();
    Ok(rows.flat_map(children).collect())
}

/// The lists among `names` that the new content does not have: only below
/// these can there be more that it has.
fn lists_apart(names: &HashSet<Name>, built: &Built) -> Vec<Name> {
    let is_list = |name: &&Name| name.kind == Kind::List;
    let lists = names.iter().filter(is_list);
    lists.filter(|name| !built.has(**name)).copied().collect()
}
