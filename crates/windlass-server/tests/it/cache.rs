//! The cache as operators see it.

use serde_json::{Value, json};
use windlass::access::Verbs;
use windlass::cache::{Put, TieredCache};
use windlass::{Options, Windlass};

use crate::matrix::world::operator;
use crate::support::{Request, Running, get, post};

async fn put(cache: &TieredCache, key: &str, put: Put) {
    let space = "pages".parse().expect("a name");
    let key = key.parse().expect("a key");
    cache.put(&space, &key, put).await.expect("it can be put");
}

/// A server, and the secret of an operator.
async fn server() -> (Running, String) {
    let server = Running::start().await;
    let verbs = Verbs::of(["store.read", "store.manage"]).expect("verbs");
    let key = server.key_of(operator(verbs)).await;
    (server, key)
}

async fn ask(server: &Running, key: &str, request: Request<'_>) -> Value {
    server.ask(request.by(key)).await.expect(200).json()
}

#[tokio::test]
async fn what_the_cache_holds_is_shown_flushed_and_swept() {
    let (server, key) = server().await;
    let cache = server.engine.cache().expect("there is one");
    put(cache, "a", Put::new("first")).await;
    put(cache, "b", Put::new("second")).await;
    let view = ask(&server, &key, get("/v1/cache")).await;
    assert_eq!(view["first"]["entries"], 2);
    assert_eq!(view["second"]["entries"], 2);
    let space = &view["namespaces"][0];
    assert_eq!(
        (&space["namespace"], &space["entries"]),
        (&json!("pages"), &json!(2))
    );
    let flush = post("/v1/cache/flush", r#"{"namespace":"pages"}"#);
    let flushed = ask(&server, &key, flush).await;
    assert!(flushed["after"].as_u64() > flushed["before"].as_u64());
    let again = ask(&server, &key, flush).await;
    assert_eq!(again["after"], again["before"], "nothing was there");
    let sweep = post("/v1/cache/sweep", r#"{"entries":1}"#);
    let swept = ask(&server, &key, sweep).await;
    assert!(swept["next"].is_number(), "work is left: {swept}");
    let body = json!({ "from": swept["next"] }).to_string();
    let rest = ask(&server, &key, post("/v1/cache/sweep", &body)).await;
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(rest["second"]["namespaces"]["pages"]["evicted"], 2);
    let view = ask(&server, &key, get("/v1/cache")).await;
    assert_eq!(view["second"]["bytes"], 0);
    let orphans = ask(&server, &key, post("/v1/cache/reclaim", "{}")).await;
    assert_eq!(
        (&orphans["scanned"], &orphans["chains"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn one_kind_of_invalidation_is_asked_for_at_a_time() {
    let (server, key) = server().await;
    let cache = server.engine.cache().expect("there is one");
    let of = |tag: &str, source: &str| Put {
        tags: vec![tag.parse().expect("a tag")],
        depends_on: vec![source.parse().expect("a key")],
        ..Put::new("four")
    };
    for (name, what) in [
        ("a/1", of("red", "x")),
        ("a/2", of("blue", "y")),
        ("b/1", of("red", "z")),
        ("b/2", of("blue", "y")),
        ("c", of("green", "z")),
    ] {
        put(cache, name, what).await;
    }
    for (what, entries) in [
        (json!({ "key": "a/1" }), 1),
        (json!({ "prefix": "a/" }), 1),
        (json!({ "tags": ["red", "unknown"] }), 1),
        (json!({ "dependents_of": ["y", "z"] }), 2),
    ] {
        let mut body = what.clone();
        body["namespace"] = json!("pages");
        let body = body.to_string();
        let taken = ask(&server, &key, post("/v1/cache/invalidate", &body)).await;
        assert_eq!(
            taken,
            json!({ "entries": entries, "bytes": 4 * entries }),
            "{what}"
        );
    }
    for body in [
        r#"{"namespace":"pages"}"#,
        r#"{"namespace":"pages","key":"a","prefix":"a"}"#,
        r#"{"namespace":"","key":"a"}"#,
        r#"{"namespace":"pages","key":""}"#,
    ] {
        let refused = server.ask(post("/v1/cache/invalidate", body).by(&key));
        assert_eq!(
            refused.await.expect(400).code(),
            "invalid_request",
            "{body}"
        );
    }
    let many = json!({ "namespace": "pages", "tags": vec!["t"; 33] }).to_string();
    let refused = server.ask(post("/v1/cache/invalidate", &many).by(&key));
    assert_eq!(refused.await.expect(400).json()["field"], "tags");
}

#[tokio::test]
async fn bounds_beyond_those_of_one_call_are_refused() {
    let (server, key) = server().await;
    for (path, body, field) in [
        ("/v1/cache/sweep", r#"{"entries":1000001}"#, "entries"),
        ("/v1/cache/sweep", r#"{"millis":10001}"#, "millis"),
        ("/v1/cache/reclaim", r#"{"millis":10001}"#, "millis"),
    ] {
        let refused = server.ask(post(path, body).by(&key)).await.expect(400);
        assert_eq!(refused.json()["field"], field, "{body}");
    }
}

#[tokio::test]
async fn a_server_without_a_cache_says_so() {
    let location = "memory:".parse().expect("a location");
    let engine = Windlass::open(&location, Options::default()).await;
    let server = Running::over(engine.expect("a store"), |_| ()).await;
    let verbs = Verbs::of(["store.read"]).expect("verbs");
    let key = server.key_of(operator(verbs)).await;
    let refused = server.ask(get("/v1/cache").by(&key)).await.expect(404);
    assert_eq!(refused.code(), "no_cache");
}
