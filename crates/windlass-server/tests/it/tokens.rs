//! Tokens of another issuer: which are taken, as whom, and which are not.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::SystemEnv;
use windlass::core::Env;
use windlass_server::JwtConfig;

use crate::support::{Connection, Running, get, post};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "windlass";

/// An issuer's key for signatures with Ed25519, made for these tests.
struct Key {
    id: &'static str,
    /// The private half, 32 bytes in hexadecimal digits.
    private: &'static str,
    /// The public half, as a JWK has it.
    public: &'static str,
}

const FIRST: Key = Key {
    id: "first",
    private: "9c7848e2fc95283b101fe8a84c0abf389fea9c3e2270013016c3faca20ab7480",
    public: "zydPbPe7vpQSKwOgpuGiRRYBmF4IWf5XFeEBQHQ0X9U",
};

const SECOND: Key = Key {
    id: "second",
    private: "f6ee1575a9aea6fa6fade903001a8814a9681741e82d2a601f094f33e09adc8f",
    public: "Ej5anmiH_lINzdKa4R6RktxMRMFFp_Fp7jlY0PvZIhw",
};

impl Key {
    /// The private half as PKCS #8 wraps it (RFC 8410, section 7).
    fn signing(&self) -> EncodingKey {
        let digits = format!("302e020100300506032b657004220420{}", self.private);
        let bytes = (0..digits.len() / 2).map(|at| {
            let byte = &digits[2 * at..2 * at + 2];
            u8::from_str_radix(byte, 16).expect("two digits")
        });
        EncodingKey::from_ed_der(&bytes.collect::<Vec<u8>>())
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": self.id, "x": self.public,
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id.to_owned());
        encode(&header, claims, &self.signing()).expect("a token")
    }
}

fn now_s() -> u64 {
    SystemEnv::new().now().get() / 1_000
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "tenant": "acme",
        "exp": now_s() + 600, "groups": ["blue"], "reach": "tenant",
        "scope": "session.read session.create openid profile",
    })
}

/// Good claims but for one.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn lacking(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("claims").remove(name);
    claims
}

struct Issued {
    server: Running,
    file: PathBuf,
    _folder: TempDir,
}

impl Issued {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.json");
        publish(&file, &[&FIRST]);
        let jwt = JwtConfig::new(ISSUER, AUDIENCE, &file);
        let server = Running::with(|config| {
            config.jwt = Some(jwt);
            config.poll_ms = 50;
        });
        Self {
            server: server.await,
            file,
            _folder: folder,
        }
    }
}

fn publish(file: &PathBuf, keys: &[&Key]) {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    std::fs::write(file, json!({ "keys": keys }).to_string()).expect("written");
}

#[tokio::test]
async fn a_good_token_is_whom_it_names_and_may_what_is_known_here() {
    let issued = Issued::start().await;
    let token = FIRST.sign(&claims());
    let answer = issued.server.ask(get("/v1/whoami").by(&token)).await;
    let who = answer.expect(200).json();
    assert_eq!(who["credential"], "jwt");
    assert_eq!(
        (&who["tenant"], &who["principal"]),
        (&json!("acme"), &json!("alice"))
    );
    assert_eq!(who["groups"], json!({ "only": ["blue"] }));
    assert_eq!(who["reach"], "tenant");
    let verbs: BTreeSet<&str> = who["verbs"]
        .as_array()
        .expect("verbs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(verbs, BTreeSet::from(["session.create", "session.read"]));
    let unnamed = FIRST.sign(&lacking("groups"));
    let answer = issued.server.ask(get("/v1/whoami").by(&unnamed)).await;
    assert_eq!(answer.expect(200).json()["groups"], "none");
}

#[tokio::test]
async fn whoever_has_no_good_token_gets_the_same_answer() {
    let issued = Issued::start().await;
    let now = now_s();
    let secret = EncodingKey::from_secret(FIRST.public.as_bytes());
    let mut by_secret = Header::new(Algorithm::HS256);
    by_secret.kid = Some(FIRST.id.to_owned());
    let good = FIRST.sign(&claims());
    let mut pieces = good.split('.');
    let (head, body) = (
        pieces.next().expect("a head"),
        pieces.next().expect("a body"),
    );
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
    let mut renamed = Header::new(Algorithm::EdDSA);
    renamed.kid = Some(FIRST.id.to_owned());
    let forged = encode(&renamed, &claims(), &SECOND.signing()).expect("a token");
    let bad = [
        none,
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{good}x"),
        encode(&by_secret, &claims(), &secret).expect("a token"),
        forged,
        SECOND.sign(&claims()),
        FIRST.sign(&but("iss", json!("https://other.example"))),
        FIRST.sign(&but("aud", json!("other"))),
        FIRST.sign(&but("exp", json!(now - 1))),
        FIRST.sign(&but("exp", json!("never"))),
        FIRST.sign(&but("nbf", json!(now + 60))),
        FIRST.sign(&but("tenant", json!("not a name"))),
        FIRST.sign(&but("tenant", json!("../acme"))),
        FIRST.sign(&but("tenant", json!(["acme"]))),
        FIRST.sign(&but("sub", json!(""))),
        FIRST.sign(&but("groups", json!("blue"))),
        FIRST.sign(&but("groups", json!(["not a name"]))),
        FIRST.sign(&lacking("iss")),
        FIRST.sign(&lacking("aud")),
        FIRST.sign(&lacking("exp")),
        FIRST.sign(&lacking("sub")),
        FIRST.sign(&lacking("tenant")),
        FIRST.sign(&but("more", json!("x".repeat(9_000)))),
    ];
    let mut bodies = BTreeSet::new();
    for (place, token) in bad.iter().enumerate() {
        let answer = issued.server.ask(get("/v1/whoami").by(token)).await;
        assert_eq!(answer.status, 401, "token {place}: {token}");
        bodies.insert(answer.body);
    }
    bodies.insert(issued.server.ask(get("/v1/whoami")).await.expect(401).body);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    issued
        .server
        .ask(get("/v1/whoami").by(&good))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it_and_the_old_one_is_gone() {
    let issued = Issued::start().await;
    let (first, second) = (FIRST.sign(&claims()), SECOND.sign(&claims()));
    issued
        .server
        .ask(get("/v1/whoami").by(&first))
        .await
        .expect(200);
    publish(&issued.file, &[&SECOND]);
    issued
        .server
        .ask(get("/v1/whoami").by(&second))
        .await
        .expect(200);
    let other = FIRST.sign(&but("sub", json!("bob")));
    issued
        .server
        .ask(get("/v1/whoami").by(&other))
        .await
        .expect(401);
}

#[tokio::test]
async fn the_file_is_not_read_for_every_token_that_names_no_key() {
    let issued = Issued::start().await;
    let second = SECOND.sign(&claims());
    issued
        .server
        .ask(get("/v1/whoami").by(&second))
        .await
        .expect(401);
    publish(&issued.file, &[&FIRST, &SECOND]);
    let again = SECOND.sign(&but("sub", json!("bob")));
    issued
        .server
        .ask(get("/v1/whoami").by(&again))
        .await
        .expect(401);
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let issued = Issued::start().await;
    let long = FIRST.sign(&claims());
    let create = r#"{"id":"s","agent":"researcher","intent":"wait"}"#;
    issued
        .server
        .ask(post("/v1/sessions", create).by(&long))
        .await
        .expect(201);
    let short = FIRST.sign(&but("exp", json!(now_s() + 2)));
    let mut stream: Connection = issued.server.connect().await;
    let wants = [("Accept", "text/event-stream")];
    let request = get("/v1/sessions/s/events").with(&wants).by(&short).bytes();
    stream.send(&request).await;
    let all = tokio::time::timeout(Duration::from_secs(20), stream.until("event: end")).await;
    let all = all.expect("it ends");
    assert!(all.contains("\"reason\":\"revoked\""), "{all}");
}

#[tokio::test]
async fn a_token_for_an_erased_tenant_is_for_nobody() {
    let issued = Issued::start().await;
    let token = FIRST.sign(&claims());
    let create = r#"{"agent":"researcher","intent":"go"}"#;
    issued
        .server
        .ask(post("/v1/sessions", create).by(&token))
        .await
        .expect(201);
    let tenants = issued.server.engine.tenants();
    let tenant = "acme".parse().expect("an id");
    tenants.erase(&tenant, &mut |_| ()).await.expect("erased");
    let fresh = FIRST.sign(&but("exp", json!(now_s() + 700)));
    let refused = issued
        .server
        .ask(get("/v1/sessions").by(&fresh))
        .await
        .expect(403);
    assert_eq!(refused.code(), "tenant_not_active");
}
