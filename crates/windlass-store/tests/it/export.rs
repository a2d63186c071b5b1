//! What an export makes of its source.

use async_trait::async_trait;
use windlass_store::{
    Entry, Export, ExportSource, Incarnation, StoreError, StoreErrorKind, Version,
};

/// Gives what it was told, piece by piece, and then panics: an export must
/// not ask again after the end or an error.
struct Scripted(Vec<Result<Option<Vec<Entry>>, StoreErrorKind>>);

#[async_trait]
impl ExportSource for Scripted {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        assert!(!self.0.is_empty(), "the export asked on after its end");
        self.0
            .remove(0)
            .map_err(|kind| StoreError::new(kind, "export", "scripted"))
    }
}

fn entry(key: &'static str) -> Entry {
    let version = Version::new(Incarnation::from_number(1), 1);
    Entry {
        key: key.into(),
        value: "value".into(),
        version,
    }
}

#[tokio::test]
async fn empty_pieces_are_passed_over_and_the_end_stays_the_end() {
    let pieces = vec![
        Ok(Some(vec![])),
        Ok(Some(vec![entry("a")])),
        Ok(Some(vec![])),
        Ok(Some(vec![entry("b"), entry("c")])),
        Ok(None),
    ];
    let mut export = Export::new(Scripted(pieces));
    assert_eq!(export.next().await.unwrap(), Some(vec![entry("a")]));
    assert_eq!(
        export.next().await.unwrap(),
        Some(vec![entry("b"), entry("c")])
    );
    for _ in 0..2 {
        assert_eq!(export.next().await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_error_is_given_once_and_ends_it() {
    let pieces = vec![Ok(Some(vec![entry("a")])), Err(StoreErrorKind::Corrupt)];
    let mut export = Export::new(Scripted(pieces));
    export.next().await.unwrap();
    assert_eq!(
        export.next().await.unwrap_err().kind(),
        StoreErrorKind::Corrupt
    );
    assert_eq!(export.next().await.unwrap(), None);
}

#[tokio::test]
async fn collecting_gives_everything_left_or_the_error() {
    let pieces = || vec![Ok(Some(vec![entry("a")])), Ok(Some(vec![entry("b")]))];
    let whole = pieces().into_iter().chain([Ok(None)]).collect();
    let collected = Export::new(Scripted(whole)).collect().await.unwrap();
    assert_eq!(collected, [entry("a"), entry("b")]);
    let torn = pieces()
        .into_iter()
        .chain([Err(StoreErrorKind::Unavailable)])
        .collect();
    let error = Export::new(Scripted(torn)).collect().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
