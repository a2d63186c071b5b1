//! Batches that wait together.

use std::collections::HashSet;

use futures_util::future::join_all;
use windlass_store::{Batch, Commit, Expect, Store, StoreErrorKind};

use crate::common::{Place, apply, kind, value};

#[tokio::test]
async fn batches_on_one_key_are_all_applied_under_versions_of_their_own() {
    let place = Place::new();
    let store = place.open().await;
    let put = |number: usize| Batch::new().put("acme/a", number.to_string());
    let answers = join_all((0..200).map(|number| store.commit(put(number)))).await;
    let mut versions = HashSet::new();
    for answer in answers {
        match answer {
            Ok(Commit::Applied(version)) => assert!(versions.insert(version), "{version} twice"),
            other => panic!("nothing was checked, but {other:?}"),
        }
    }
}

#[tokio::test]
async fn one_of_many_creators_in_a_group_wins() {
    let place = Place::new();
    let store = place.open().await;
    let create = |number: usize| {
        let batch = Batch::new().check("acme/a", Expect::Absent);
        batch
            .put("acme/a", number.to_string())
            .put(format!("acme/by/{number}"), "1")
    };
    let answers = join_all((0..50).map(|number| store.commit(create(number)))).await;
    let mut winners = Vec::new();
    for (number, answer) in answers.into_iter().enumerate() {
        match answer.expect("it is decided") {
            Commit::Applied(_) => winners.push(number),
            Commit::Conflict { key } => assert_eq!(key, "acme/a"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(
        value(&store, "acme/a").await,
        Some(winners[0].to_string().into())
    );
    for number in 0..50 {
        let expected = (number == winners[0]).then(|| "1".into());
        assert_eq!(value(&store, &format!("acme/by/{number}")).await, expected);
    }
}

#[tokio::test]
async fn only_the_batch_that_the_server_refuses_fails() {
    let place = Place::new();
    let store = place.open().await;
    place.sql(
        "CREATE FUNCTION {schema}.poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'poisoned' USING ERRCODE = 'disk_full'; END $$",
    );
    place.sql(
        "CREATE TRIGGER poison BEFORE INSERT ON {schema}.entry FOR EACH ROW \
         WHEN (NEW.key = 'acme/7') EXECUTE FUNCTION {schema}.poison()",
    );
    let put = |number: usize| Batch::new().put(format!("acme/{number}"), "1");
    let answers = join_all((0..20).map(|number| store.commit(put(number)))).await;
    for (number, answer) in answers.into_iter().enumerate() {
        let found = value(&store, &format!("acme/{number}")).await;
        if number == 7 {
            assert_eq!(kind(answer), StoreErrorKind::Environment);
            assert_eq!(found, None);
        } else {
            assert!(
                matches!(answer, Ok(Commit::Applied(_))),
                "{number}: {answer:?}"
            );
            assert_eq!(found, Some("1".into()));
        }
    }
}

#[tokio::test]
async fn commits_are_as_durable_as_they_must_be_whatever_the_user_prefers() {
    let place = Place::alone(&[]);
    place.sql("ALTER ROLE postgres SET synchronous_commit = off");
    let store = place.open().await;
    // A trigger sees the settings of the transaction that writes.
    place.sql("CREATE TABLE public.seen (setting text)");
    place.sql(
        "CREATE FUNCTION {schema}.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); \
         RETURN NULL; END $$",
    );
    // Fires when the transaction commits, after the function has returned.
    place.sql(
        "CREATE CONSTRAINT TRIGGER look AFTER INSERT ON {schema}.entry \
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {schema}.look()",
    );
    apply(&store, Batch::new().put("acme/a", "1")).await;
    place.sql("ALTER ROLE postgres SET synchronous_commit = remote_apply");
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/b", "1")).await;
    let seen = place.sql("SELECT string_agg(setting, ' ') FROM public.seen");
    assert_eq!(seen, "on remote_apply");
}
