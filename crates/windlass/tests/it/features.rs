//! What a build has, it opens; what was left out, it names.

use windlass::core::{Coded, ErrorKind};
use windlass::{Options, StoreLocation, Windlass};
use windlass_store_testing::postgres::Server;

#[tokio::test]
async fn a_store_is_opened_if_it_was_built_in_and_named_if_it_was_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let server = Server::shared().unwrap();
    let table = [
        (StoreLocation::Memory, cfg!(feature = "memory")),
        (
            StoreLocation::Sqlite(path.clone()),
            cfg!(feature = "sqlite"),
        ),
        (
            StoreLocation::Sled(directory.path().join("store.sled")),
            cfg!(feature = "sled"),
        ),
        (server.url().parse().unwrap(), cfg!(feature = "postgres")),
    ];
    for (location, built) in table {
        match Windlass::open(&location, Options::default()).await {
            Ok(windlass) => {
                assert!(built, "{location} was left out");
                windlass.close().await.unwrap();
            }
            Err(error) => {
                assert!(!built, "{location}: {error:?}");
                assert_eq!(
                    (error.code(), error.kind()),
                    ("store_not_built", ErrorKind::Invalid)
                );
                assert!(error.to_string().contains(location.scheme()), "{error}");
            }
        }
    }
    assert_eq!(path.exists(), cfg!(feature = "sqlite"));
}
