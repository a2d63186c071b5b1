//! The faulty wrapper: exactly the chosen call, before or after.

use windlass_store::{Batch, KeyRange, Store, StoreErrorKind, StoreExt};
use windlass_store_testing::{Fault, Faulty, Moment, Verb};

use super::{below, kind, put, value};

#[tokio::test]
async fn only_the_chosen_commit_fails() {
    let store = Faulty::new(below());
    let (verb, moment, kind_) = (
        Some(Verb::Commit),
        Moment::Before,
        StoreErrorKind::Environment,
    );
    store.plan(Fault {
        verb,
        number: 3,
        moment,
        kind: kind_,
    });
    let mut answers = Vec::new();
    for key in ["acme/1", "acme/2", "acme/3", "acme/4"] {
        let answer = store.commit(Batch::new().put(key, "1")).await;
        answers.push((kind(&answer), value(&store, key).await.is_some()));
    }
    let fine = (None, true);
    assert_eq!(answers, [fine, fine, (Some(kind_), false), fine]);
    assert_eq!((store.hits(), store.calls(Some(Verb::Commit))), (1, 4));
}

#[tokio::test]
async fn a_fault_after_the_commit_leaves_it_applied() {
    let store = Faulty::new(below());
    let kind_ = StoreErrorKind::Indeterminate;
    store.plan(Fault {
        verb: Some(Verb::Commit),
        number: 1,
        moment: Moment::After,
        kind: kind_,
    });
    let answer = store.commit(Batch::new().put("acme/a", "1")).await;
    assert_eq!(kind(&answer), Some(kind_));
    assert_eq!(value(&store, "acme/a").await, Some("1".into()));
}

#[tokio::test]
async fn a_fault_without_a_verb_counts_all_calls() {
    for number in 1..=6 {
        let store = Faulty::new(below());
        let (moment, kind) = (Moment::Before, StoreErrorKind::Unavailable);
        store.plan(Fault {
            verb: None,
            number,
            moment,
            kind,
        });
        let mut failed = Vec::new();
        if store.get("acme/a".into()).await.is_err() {
            failed.push(1);
        }
        if store.commit(Batch::new().put("acme/a", "1")).await.is_err() {
            failed.push(2);
        }
        if store.export(KeyRange::all()).await.is_err() {
            failed.push(3);
        }
        if store.get("acme/a".into()).await.is_err() {
            failed.push(4);
        }
        if store.close().await.is_err() {
            failed.push(5);
        }
        let expected: Vec<u64> = if number <= 5 { vec![number] } else { vec![] };
        assert_eq!(failed, expected);
        assert_eq!(
            store.hits(),
            u64::from(number <= 5),
            "a fault at call {number}"
        );
        assert_eq!(store.calls(None), 5);
    }
}

#[tokio::test]
async fn an_error_of_the_store_below_comes_first() {
    let store = Faulty::new(below());
    store.close().await.unwrap();
    let kind_ = StoreErrorKind::Indeterminate;
    store.plan(Fault {
        verb: Some(Verb::Commit),
        number: 1,
        moment: Moment::After,
        kind: kind_,
    });
    let answer = store.commit(Batch::new().put("acme/a", "1")).await;
    assert_eq!(kind(&answer), Some(StoreErrorKind::Closed));
}

#[tokio::test]
async fn faults_of_several_verbs_stand_side_by_side() {
    let store = Faulty::new(below());
    let (moment, kind_) = (Moment::Before, StoreErrorKind::Unavailable);
    store.plan(Fault {
        verb: Some(Verb::Read),
        number: 2,
        moment,
        kind: kind_,
    });
    store.plan(Fault {
        verb: Some(Verb::Commit),
        number: 1,
        moment,
        kind: kind_,
    });
    assert_eq!(kind(&store.get("acme/a".into()).await), None);
    assert_eq!(
        kind(&store.commit(Batch::new().put("acme/a", "1")).await),
        Some(kind_)
    );
    assert_eq!(kind(&store.get("acme/a".into()).await), Some(kind_));
    put(&store, "acme/a", "1").await;
    assert_eq!(value(&store, "acme/a").await, Some("1".into()));
}
