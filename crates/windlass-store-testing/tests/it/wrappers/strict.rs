//! The strict wrapper: every nuisance alone, and that it keeps the contract.

use std::sync::Arc;

use futures_util::FutureExt;
use windlass_store::{
    Batch, Commit, Expect, KeyRange, Scan, Store, StoreError, StoreErrorKind, StoreExt,
};
use windlass_store_testing::{Strict, StrictOptions, Volatile, conformance};

use super::{below, kind, put, value};
use crate::sim::SimStore;

/// Without errors, and without the rule about tenants that is stricter than
/// the trait, a strict store is still a store.
mod legal {
    use super::*;

    conformance!(Volatile::new(strict_store), not_applicable: [11, 17, 18]);

    fn strict_store() -> Result<Strict<SimStore>, StoreError> {
        let options = StrictOptions {
            one_tenant: false,
            ..StrictOptions::WITHOUT_ERRORS
        };
        Ok(Strict::new(Arc::new(SimStore::alone()?), options))
    }
}

/// A strict store with what `change` turns on, and nothing else.
fn with(change: impl FnOnce(&mut StrictOptions)) -> Strict<SimStore> {
    let mut options = StrictOptions::NONE;
    change(&mut options);
    Strict::new(below(), options)
}

#[tokio::test]
async fn every_page_is_cut_to_its_first_entry_and_says_so() {
    let store = with(|options| options.short_pages = true);
    for key in ["acme/a", "acme/b", "acme/c"] {
        put(&store, key, "1").await;
    }
    let scans = [
        Scan::prefix("acme/"),
        Scan::prefix("acme/").descending(),
        Scan::point("acme/b"),
    ];
    let pages = store.read(&scans).await.unwrap();
    let shown: Vec<_> = pages
        .iter()
        .map(|page| (page.entries.len(), page.entries[0].key.clone(), page.more))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "acme/a".into(), true),
            (1, "acme/c".into(), true),
            (1, "acme/b".into(), false)
        ]
    );
}

#[tokio::test]
async fn an_export_comes_in_pieces_of_one() {
    let store = with(|options| options.short_pages = true);
    for key in ["acme/a", "acme/b", "acme/c"] {
        put(&store, key, "1").await;
    }
    let mut export = store.export(KeyRange::all()).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        sizes.push(piece.len());
    }
    assert_eq!(sizes, [1, 1, 1]);
}

#[tokio::test]
async fn no_hint_arrives() {
    for (no_hints, expected) in [(true, None), (false, Some(true))] {
        let store = with(|options| options.no_hints = no_hints);
        let mut changes = store.subscribe(b"acme/");
        put(&store, "acme/a", "1").await;
        assert_eq!(
            changes.changed().now_or_never(),
            expected,
            "no_hints: {no_hints}"
        );
    }
}

#[tokio::test]
async fn calls_fail_in_gaps_of_the_number_and_one_more_and_now_and_then_a_long_one() {
    let store = with(|options| options.unavailable_every = 3);
    let mut failed = Vec::new();
    for call in 1..=52 {
        let answer = match call % 3 {
            0 => store
                .commit(Batch::new().put("acme/a", "1"))
                .await
                .map(drop),
            1 => store.read(&[Scan::point("acme/a")]).await.map(drop),
            _ => store.export(KeyRange::all()).await.map(drop),
        };
        if let Some(kind) = kind(&answer) {
            assert_eq!(kind, StoreErrorKind::Unavailable);
            failed.push(call);
        }
    }
    assert_eq!(failed, [3, 7, 10, 14, 17, 21, 24, 48, 51]);
}

#[tokio::test]
async fn an_unavailable_commit_has_not_happened() {
    let store = with(|options| options.unavailable_every = 1);
    let answer = store.commit(Batch::new().put("acme/a", "1")).await;
    assert_eq!(kind(&answer), Some(StoreErrorKind::Unavailable));
    assert_eq!(value(&**store.inner(), "acme/a").await, None);
}

#[tokio::test]
async fn indeterminate_commits_are_by_turns_applied_and_not() {
    let store = with(|options| options.indeterminate_every = 2);
    let mut applied = Vec::new();
    for (number, key) in [
        (1, "acme/1"),
        (2, "acme/2"),
        (3, "acme/3"),
        (4, "acme/4"),
        (5, "acme/5"),
        (6, "acme/6"),
    ] {
        let answer = store.commit(Batch::new().put(key, "1")).await;
        let expected = (number % 2 == 0).then_some(StoreErrorKind::Indeterminate);
        assert_eq!(kind(&answer), expected, "commit {number}");
        if value(&store, key).await.is_some() {
            applied.push(number);
        }
    }
    assert_eq!(applied, [1, 2, 3, 5, 6]);
}

#[tokio::test]
async fn an_indeterminate_commit_whose_check_fails_answers_the_same() {
    let store = with(|options| options.indeterminate_every = 1);
    let batch = Batch::new()
        .check("acme/none", Expect::Present)
        .put("acme/a", "1");
    let answer = store.commit(batch).await;
    assert_eq!(kind(&answer), Some(StoreErrorKind::Indeterminate));
    assert_eq!(value(&store, "acme/a").await, None);
}

#[tokio::test]
async fn a_batch_of_two_tenants_is_refused_and_shared_keys_belong_to_none() {
    let store = with(|options| options.one_tenant = true);
    let foreign_write = Batch::new().put("acme/a", "1").put("other/a", "1");
    let foreign_check = Batch::new()
        .check("other/a", Expect::Present)
        .put("acme/a", "1");
    let bare_tenant = Batch::new().put("acme", "1").put("acme2", "1");
    for batch in [foreign_write, foreign_check, bare_tenant] {
        let answer = store.commit(batch.clone()).await;
        assert_eq!(kind(&answer), Some(StoreErrorKind::Invalid), "{batch:?}");
    }
    assert_eq!(store.inner().scan_all(KeyRange::all()).await.unwrap(), []);

    let shared = Batch::new()
        .put("due/1/s1", "")
        .put("system/mark", "")
        .put("acme/a", "1");
    let answer = store.commit(shared.delete("acme")).await.unwrap();
    assert!(matches!(answer, Commit::Applied(_)), "{answer:?}");
}

#[tokio::test]
async fn a_malformed_call_is_invalid_whatever_its_turn() {
    let store = Strict::new(
        below(),
        StrictOptions {
            unavailable_every: 1,
            ..StrictOptions::ALL
        },
    );
    assert_eq!(
        kind(&store.commit(Batch::new()).await),
        Some(StoreErrorKind::Invalid)
    );
    assert_eq!(kind(&store.read(&[]).await), Some(StoreErrorKind::Invalid));
}

#[tokio::test]
async fn with_nothing_turned_on_every_call_goes_through() {
    let store = with(|_| ());
    for _ in 0..50 {
        put(&store, "acme/a", "1").await;
        put(&store, "other/a", "1").await;
    }
    let page = store
        .read(&[Scan::new(KeyRange::all())])
        .await
        .unwrap()
        .remove(0);
    assert_eq!((page.entries.len(), page.more), (2, false));
    store.close().await.unwrap();
    assert_eq!(
        kind(&store.get("acme/a".into()).await),
        Some(StoreErrorKind::Closed)
    );
}
