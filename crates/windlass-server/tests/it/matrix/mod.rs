//! Who may do what, for every route there is: the routes are read from the
//! OpenAPI document of a running server, and each is asked by each kind of
//! credential, with names that are there and names that are not.
//!
//! What holds of every cell: a refusal changes nothing, its code is in the
//! document, and neither it nor what a stranger is shown has a word of the
//! tenant's data in it.

mod samples;
pub(crate) mod world;

use std::collections::BTreeSet;

use serde_json::Value;
use windlass::access::{Groups, Reach, Verbs};

use crate::support::{Answer, Request, Running, get};
use samples::Names;
use world::{CANARY, CANARY_OF_OTHERS, UNKNOWN, World, grant, operator, without};

/// An operation, as the document describes it.
#[derive(Debug)]
struct Operation {
    method: String,
    path: String,
    id: String,
    access: String,
    verb: Option<String>,
    responses: Value,
    takes_group: bool,
}

impl Operation {
    fn read(path: &str, method: &str, about: &Value) -> Self {
        let text = |name: &str| about[name].as_str().map(str::to_owned);
        let id = text("operationId").expect("a name");
        // The counters are for everybody if it is configured so; here they
        // are not.
        let is_metrics = id == "metrics";
        let parameters = about["parameters"].as_array().expect("parameters");
        Self {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            access: match is_metrics {
                true => "metrics".to_owned(),
                false => text("x-access").expect("who may ask"),
            },
            verb: match is_metrics {
                true => Some("store.read".to_owned()),
                false => text("x-verb"),
            },
            id,
            responses: about["responses"].clone(),
            takes_group: parameters.iter().any(|one| one["name"] == "group"),
        }
    }

    fn is_for_tenants(&self) -> bool {
        matches!(self.access.as_str(), "tenant" | "either" | "anyone")
    }

    fn is_for_operators(&self) -> bool {
        matches!(
            self.access.as_str(),
            "operator" | "either" | "anyone" | "metrics"
        )
    }

    /// Panics unless the document has this answer.
    fn check_documented(&self, answer: &Answer) {
        let about = &self.responses[answer.status.to_string()];
        assert!(about.is_object(), "{} {}", self.id, answer.head);
        if answer.status >= 400 {
            let code = answer.code();
            let codes = about["x-codes"].as_array().expect("codes");
            assert!(
                codes.iter().any(|known| *known == code),
                "{}: {code}",
                self.id
            );
        }
    }
}

async fn operations() -> Vec<Operation> {
    let server = Running::start().await;
    let document = server.ask(get("/openapi.json")).await.expect(200).json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut operations = Vec::new();
    for (path, methods) in &paths {
        for (method, about) in methods.as_object().expect("methods") {
            // What is refused has no body to look at; `durable.rs` asks those.
            if method == "head" {
                continue;
            }
            operations.push(Operation::read(path, method, about));
        }
    }
    assert!(operations.len() > 40, "{} operations", operations.len());
    operations
}

async fn ask(
    world: &World,
    operation: &Operation,
    token: Option<&str>,
    names: Names,
    query: &str,
) -> Answer {
    let path = samples::path(world, &operation.id, &operation.path, names);
    let path = format!("{path}{query}");
    let body = samples::body(world, &operation.id);
    let request = Request {
        method: &operation.method,
        token,
        headers: samples::headers(&operation.id),
        body: body.as_deref(),
        ..get(&path)
    };
    let answer = world.server.ask(request).await;
    operation.check_documented(&answer);
    answer
}

/// The same answer to what is there and to what is not, nothing of the tenant
/// in it, and nothing changed. Gives the answer.
async fn check_blind(world: &World, operation: &Operation, token: Option<&str>) -> Answer {
    let before = world.dump().await;
    let answer = ask(world, operation, token, Names::Known, "").await;
    let known = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!known.contains(CANARY), "{} says {known}", operation.id);
    if operation.path.contains('{') {
        let unknown = ask(world, operation, token, Names::Unknown, "").await;
        // An answer may repeat the name that was asked for.
        let repeated = String::from_utf8_lossy(&unknown.body).replace("nobodyxxx", "researcher");
        assert_eq!(
            (answer.status, known),
            (unknown.status, repeated),
            "{}",
            operation.id
        );
    }
    let is_own_business = !operation.path.contains('{') && answer.status < 400;
    let after = world.dump().await;
    assert!(
        is_own_business || before == after,
        "{} changed something: {}",
        operation.id,
        answer.head
    );
    answer
}

/// Everything that is no good credential gets one and the same answer.
async fn check_unauthenticated(world: &World, operation: &Operation) -> usize {
    let tokens = &world.tokens;
    let bad = [
        None,
        Some(UNKNOWN),
        Some("nonsense"),
        Some(tokens.revoked.as_str()),
        Some(tokens.expired.as_str()),
        Some(tokens.erased.as_str()),
    ];
    let mut bodies = BTreeSet::new();
    for token in bad {
        let answer = check_blind(world, operation, token).await.expect(401);
        assert_eq!(answer.code(), "unauthenticated");
        assert!(
            answer.header("www-authenticate").is_some(),
            "{}",
            answer.head
        );
        bodies.insert(answer.body);
    }
    assert_eq!(bodies.len(), 1, "{}", operation.id);
    bad.len()
}

/// Strangers see nothing: another tenant, and another principal of the same.
async fn check_strangers(world: &World, operation: &Operation) -> usize {
    // A path is of who asks: what a stranger makes there is the stranger's.
    if ["put_durable_stream", "put_subscription"].contains(&operation.id.as_str()) {
        return 0;
    }
    let tokens = &world.tokens;
    for token in [&tokens.foreign, &tokens.colleague] {
        let answer = check_blind(world, operation, Some(token)).await;
        let names_something = operation.path.contains('{') && !operation.path.contains("{agent}");
        assert!(
            !names_something || answer.status == 404,
            "{}: {}",
            operation.id,
            answer.head
        );
    }
    2
}

/// Whoever is of the wrong kind is told so, whatever they ask for.
async fn check_wrong_scope(world: &World, operation: &Operation) -> usize {
    let token = match operation.access.as_str() {
        "tenant" => &world.tokens.operator,
        "operator" | "metrics" => &world.tokens.owner,
        _ => return 0,
    };
    let answer = check_blind(world, operation, Some(token)).await.expect(403);
    let code = match operation.access.as_str() {
        "metrics" => "verb_missing",
        _ => "scope_not_allowed",
    };
    assert_eq!(answer.code(), code, "{}", operation.id);
    1
}

async fn check_missing_verb(world: &World, operation: &Operation) -> usize {
    let Some(verb) = &operation.verb else {
        return 0;
    };
    let mut narrow = Vec::new();
    if operation.is_for_tenants() {
        let all = grant("acme", "alice", Reach::Tenant, Verbs::all());
        narrow.push(without(verb, all));
    }
    if operation.is_for_operators() {
        narrow.push(without(verb, operator(Verbs::all())));
    }
    let cells = narrow.len();
    for grant in narrow {
        let token = world.server.key_of(grant).await;
        let answer = check_blind(world, operation, Some(&token))
            .await
            .expect(403);
        let said = answer.json();
        assert_eq!(
            (said["code"].as_str(), said["verb"].as_str()),
            (Some("verb_missing"), Some(verb.as_str())),
            "{}",
            operation.id
        );
    }
    cells
}

/// A group that is not the credential's cannot be named, and what a group put
/// is not for another one.
async fn check_wrong_group(world: &World, operation: &Operation) -> usize {
    if !operation.takes_group {
        return 0;
    }
    for groups in [Groups::None, only("green")] {
        let mut narrow = grant("acme", "alice", Reach::Tenant, Verbs::all());
        narrow.groups = groups;
        let token = world.server.key_of(narrow).await;
        let before = world.dump().await;
        for names in [Names::Known, Names::Unknown] {
            let answer = ask(world, operation, Some(&token), names, "?group=blue").await;
            assert_eq!(
                answer.expect(403).code(),
                "group_not_allowed",
                "{}",
                operation.id
            );
        }
        assert!(before == world.dump().await, "{}", operation.id);
    }
    2
}

/// What a group put is not for another group, and of its value nothing is
/// said.
async fn check_entry_of_others(world: &World, operation: &Operation) -> usize {
    if !operation.path.contains("/entries/{key}") {
        return 0;
    }
    let mut narrow = grant("acme", "alice", Reach::Tenant, Verbs::all());
    narrow.groups = only("green");
    let token = world.server.key_of(narrow).await;
    let path = operation.path.replace("{session}", "s-acme");
    let path = path.replace("{key}", "secret");
    let body = samples::body(world, &operation.id);
    let request = Request {
        method: &operation.method,
        body: body.as_deref(),
        ..get(&path)
    };
    let before = world.dump().await;
    let answer = world.server.ask(request.by(&token)).await.expect(403);
    operation.check_documented(&answer);
    assert_eq!(answer.code(), "cross_group_access", "{}", operation.id);
    assert!(
        !String::from_utf8_lossy(&answer.body).contains(CANARY),
        "{}",
        operation.id
    );
    assert!(before == world.dump().await, "{}", operation.id);
    1
}

fn only(group: &str) -> Groups {
    Groups::Only([group.parse().expect("an id")].into())
}

/// Without this everything above could be refused for another reason.
async fn check_right_ones(operation: &Operation) -> usize {
    let mut cells = 0;
    for is_tenant in [true, false] {
        let allowed = match is_tenant {
            true => operation.is_for_tenants(),
            false => operation.is_for_operators(),
        };
        if !allowed {
            continue;
        }
        let world = World::new().await;
        let token = match is_tenant {
            true if samples::REACHING.contains(&operation.id.as_str()) => &world.tokens.reaching,
            true => &world.tokens.owner,
            false => &world.tokens.operator,
        };
        let answer = ask(&world, operation, Some(token), Names::Known, "").await;
        let said = String::from_utf8_lossy(&answer.body);
        assert!(
            answer.status < 300,
            "{}: {} {said}",
            operation.id,
            answer.head
        );
        assert!(
            !is_tenant || !said.contains(CANARY_OF_OTHERS),
            "{}",
            operation.id
        );
        cells += 1;
    }
    cells
}

async fn check_open(world: &World, operation: &Operation) -> usize {
    for token in [None, Some(UNKNOWN), Some(world.tokens.revoked.as_str())] {
        check_blind(world, operation, token).await.expect(200);
    }
    3
}

#[tokio::test]
async fn each_route_answers_each_credential_as_it_should_and_nobody_else() {
    let mut cells = 0;
    let operations = operations().await;
    for operation in &operations {
        let world = World::new().await;
        if operation.access == "open" {
            cells += check_open(&world, operation).await;
            continue;
        }
        cells += check_unauthenticated(&world, operation).await;
        cells += check_wrong_scope(&world, operation).await;
        cells += check_missing_verb(&world, operation).await;
        cells += check_wrong_group(&world, operation).await;
        cells += check_entry_of_others(&world, operation).await;
        if operation.is_for_tenants() {
            cells += check_strangers(&world, operation).await;
        }
        cells += check_right_ones(operation).await;
    }
    assert!(cells > 9 * operations.len(), "only {cells} cells");
}

#[tokio::test]
async fn every_sample_is_of_an_operation() {
    let operations = operations().await;
    for name in samples::names() {
        let is_one = operations.iter().any(|operation| operation.id == name);
        assert!(is_one, "`{name}` is no operation");
    }
}
