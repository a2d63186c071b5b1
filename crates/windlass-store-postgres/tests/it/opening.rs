//! How a schema comes to be, and which are refused.

use windlass_store::{Batch, Store, StoreErrorKind};
use windlass_store_postgres::{
    Migrations, Options, PostgresStore, Status, Step, UnsafeServers, check, migrate,
};

use crate::common::{Place, apply, kind, value};

/// The format of this code.
const FORMAT: i32 = 1;

/// Opens the store, and expects an error of a kind that says some words.
async fn refused(options: Options, expected: StoreErrorKind, words: &[&str]) {
    let error = match PostgresStore::connect(options).await {
        Ok(store) => panic!("{store:?} opened"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), expected, "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_may_start_at_once_on_nothing() {
    let place = Place::new();
    let opening = (0..8).map(|_| PostgresStore::connect(place.options()));
    let stores = futures_util::future::try_join_all(opening).await;
    let stores = stores.expect("all open");
    for (number, store) in stores.iter().enumerate() {
        apply(store, Batch::new().put(format!("acme/{number}"), "x")).await;
    }
    for store in &stores {
        for number in 0..stores.len() {
            let found = value(store, &format!("acme/{number}")).await;
            assert_eq!(found, Some("x".into()));
        }
    }
    assert_eq!(place.sql("SELECT count(*) FROM {schema}.store"), "1");
}

#[tokio::test]
async fn a_migration_is_checked_run_and_heard_of() {
    let place = Place::new();
    let expected = FORMAT;
    let before = check(&place.options()).await.expect("it can be checked");
    assert_eq!(
        before,
        Status {
            found: None,
            expected
        }
    );
    assert!(!before.is_current());
    let mut heard = Vec::new();
    let after = migrate(&place.options(), |step| heard.push(step)).await;
    let found = Some(FORMAT);
    assert_eq!(after.expect("it migrates"), Status { found, expected });
    let steps = [Step {
        format: FORMAT,
        last: FORMAT,
    }];
    assert_eq!(heard, steps);
    let again = migrate(&place.options(), |step| panic!("{step:?} again")).await;
    assert!(again.expect("there is nothing to do").is_current());
    assert!(
        check(&place.options())
            .await
            .expect("it can be checked")
            .is_current()
    );
}

#[tokio::test]
async fn a_store_that_must_be_migrated_apart_is_not_made() {
    let place = Place::new();
    let mut options = place.options();
    options.migrations = Migrations::Require;
    let environment = StoreErrorKind::Environment;
    refused(options.clone(), environment, &["has to be migrated first"]).await;
    assert!(
        !check(&options)
            .await
            .expect("it can be checked")
            .is_current()
    );
    migrate(&options, |_| ()).await.expect("it migrates");
    let store = place.open_with(options).await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
}

#[tokio::test]
async fn an_empty_schema_that_somebody_made_is_used() {
    let place = Place::new();
    place.sql("CREATE SCHEMA {schema}");
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
}

#[tokio::test]
async fn a_newer_format_is_refused_with_what_was_found_and_expected() {
    let place = Place::new();
    place.open().await.close().await.expect("the store closes");
    place.sql("UPDATE {schema}.store SET format = 9, readable_from = 8");
    let words = ["format 9", "readable from format 8", "expected format 1"];
    refused(place.options(), StoreErrorKind::Environment, &words).await;
    let checked = check(&place.options()).await;
    assert_eq!(kind(checked), StoreErrorKind::Environment);
    let migrated = migrate(&place.options(), |step| panic!("{step:?}")).await;
    assert_eq!(kind(migrated), StoreErrorKind::Environment);
}

#[tokio::test]
async fn a_newer_format_that_this_code_may_use_is_used() {
    let place = Place::new();
    place.open().await.close().await.expect("the store closes");
    place.sql("UPDATE {schema}.store SET format = 9");
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
}

#[tokio::test]
async fn a_schema_that_is_upgraded_under_a_store_takes_no_commit_of_it() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    place.sql("UPDATE {schema}.store SET format = 9, writable_from = 9");
    let answer = store.commit(Batch::new().put("acme/a", "2")).await;
    assert_eq!(kind(answer), StoreErrorKind::Environment);
    assert_eq!(value(&store, "acme/a").await, Some("1".into()));
}

#[tokio::test]
async fn a_store_that_is_replaced_takes_no_commit_of_the_one_before() {
    let place = Place::new();
    let store = place.open().await;
    let old = apply(&store, Batch::new().put("acme/a", "1")).await;
    place.sql("DROP SCHEMA {schema} CASCADE");
    let answer = store.commit(Batch::new().put("acme/a", "2")).await;
    assert_eq!(kind(answer), StoreErrorKind::Environment);
    let new = place.open().await;
    let version = apply(&new, Batch::new().put("acme/a", "3")).await;
    assert_ne!(version.incarnation(), old.incarnation());
    let answer = store.commit(Batch::new().put("acme/a", "2")).await;
    assert_eq!(kind(answer), StoreErrorKind::Environment);
    assert_eq!(value(&new, "acme/a").await, Some("3".into()));
}

/// As after a fail-over to a standby that had not all of it.
#[tokio::test]
async fn a_server_that_forgot_which_numbers_it_gave_out_takes_no_commit_with_them() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    place.sql("UPDATE {schema}.store SET versions_below = 1");
    let answer = store.commit(Batch::new().put("acme/a", "2")).await;
    assert_eq!(kind(answer), StoreErrorKind::Environment);
    let found = value(&store, "acme/a").await;
    assert_eq!(found, Some("1".into()));
}

#[tokio::test]
async fn a_schema_of_somebody_else_is_refused_and_left_alone() {
    let place = Place::new();
    place.sql("CREATE SCHEMA {schema}");
    place.sql("CREATE TABLE {schema}.invoices (number integer)");
    refused(
        place.options(),
        StoreErrorKind::Environment,
        &["somebody else"],
    )
    .await;
    let migrated = migrate(&place.options(), |step| panic!("{step:?}")).await;
    assert_eq!(kind(migrated), StoreErrorKind::Environment);
    let tables = "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = '{schema}'";
    assert_eq!(place.sql(tables), "invoices");
}

#[tokio::test]
async fn a_store_without_its_header_is_corrupt() {
    let place = Place::new();
    place.open().await.close().await.expect("the store closes");
    place.sql("DELETE FROM {schema}.store");
    refused(
        place.options(),
        StoreErrorKind::Corrupt,
        &["header", "missing"],
    )
    .await;
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    for setting in ["fsync", "full_page_writes"] {
        let place = Place::alone(&[(setting, "off")]);
        refused(place.options(), StoreErrorKind::Environment, &[setting]).await;
        let mut options = place.options();
        options.unsafe_servers = UnsafeServers::Allow;
        let store = place.open_with(options).await;
        apply(&store, Batch::new().put("acme/a", "1")).await;
    }
}

#[tokio::test]
async fn what_cannot_be_reached_or_used_is_told_apart() {
    let place = Place::new();
    let port = place.server().port();
    let at = |url: String| {
        let mut options = Options::from_url(&url).expect("the address is one");
        options.unavailable_time_max = std::time::Duration::ZERO;
        options
    };
    let missing = at(format!("postgres://postgres@127.0.0.1:{port}/missing"));
    refused(
        missing,
        StoreErrorKind::Environment,
        &["database does not exist"],
    )
    .await;
    let nobody = at(format!("postgres://nobody@127.0.0.1:{port}/postgres"));
    refused(nobody, StoreErrorKind::Environment, &["refuses the user"]).await;
    let silent = at("postgres://postgres@127.0.0.1:1/postgres".to_owned());
    refused(silent, StoreErrorKind::Unavailable, &["cannot be reached"]).await;
    let secret = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=require");
    refused(at(secret), StoreErrorKind::Environment, &["configured"]).await;
    let mut injected = place.options();
    injected.schema = "a\"; DROP SCHEMA public; --".to_owned();
    refused(injected, StoreErrorKind::Invalid, &["no name for a schema"]).await;
}

/// The kernel takes the connection, but nobody is there.
#[tokio::test]
async fn a_server_that_never_says_a_word_is_not_waited_for_without_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = silent.local_addr().expect("it is bound").port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?connect_timeout=1");
    let mut options = Options::from_url(&url).expect("the address is one");
    options.unavailable_time_max = std::time::Duration::ZERO;
    let opening = PostgresStore::connect(options);
    let opened = tokio::time::timeout(std::time::Duration::from_secs(20), opening).await;
    let answer = opened.expect("it gives up");
    assert_eq!(kind(answer), StoreErrorKind::Unavailable);
}

/// Making the schema takes a right that using it does not.
#[tokio::test]
async fn a_user_without_rights_makes_nothing_and_uses_what_it_may() {
    let place = Place::alone(&[]);
    place.sql("CREATE ROLE weak LOGIN");
    let as_weak = || {
        let url = place.url().replace("//postgres@", "//weak@");
        Options::from_url(&url).expect("the address is one")
    };
    refused(as_weak(), StoreErrorKind::Environment, &["may not do this"]).await;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'";
    assert_eq!(place.sql(schemas), "0");
    migrate(&place.options(), |_| ())
        .await
        .expect("it migrates");
    place.sql("GRANT USAGE ON SCHEMA {schema} TO weak");
    place.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.entry TO weak");
    place.sql("GRANT SELECT, UPDATE ON {schema}.store TO weak");
    let store = place.open_with(as_weak()).await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    place.sql("REVOKE INSERT, UPDATE, DELETE ON {schema}.entry FROM weak");
    let answer = store.commit(Batch::new().put("acme/a", "2")).await;
    assert_eq!(kind(answer), StoreErrorKind::Environment);
    assert_eq!(value(&store, "acme/a").await, Some("1".into()));
}

#[tokio::test]
async fn an_error_is_told_once_by_each_layer() {
    let place = Place::new();
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/missing",
        place.server().port()
    );
    let options = Options::from_url(&url).expect("the address is one");
    let error = PostgresStore::connect(options)
        .await
        .expect_err("there is no such database");
    let cause = std::error::Error::source(&error).expect("the server said why");
    let told = [error.to_string(), cause.to_string()];
    let expected = [
        "`open` failed: the database does not exist",
        "database \"missing\" does not exist (SQLSTATE 3D000)",
    ];
    assert_eq!(told, expected);
    assert!(cause.source().is_none(), "{cause:?}");
}
