//! The OpenAPI 3.1 document, made from the routes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};
use windlass_client::page::Order;
use windlass_client::problem::Problem;
use windlass_client::queue::WorkState;
use windlass_client::schema::At;
use windlass_client::session::Status;

use crate::codes;
use crate::route::{Access, AnswerSpec, Route};

/// The codes `route` may answer with.
pub(crate) fn codes_of(route: &Route) -> impl Iterator<Item = &'static str> {
    let when = |yes: bool, codes: &'static [&'static str]| if yes { codes } else { &[] };
    let has_name = route.parameters().next().is_some();
    let lists = [
        codes::OF_EVERY_ROUTE,
        when(route.access != Access::Open, codes::OF_CLOSED_ROUTES),
        when(has_name, codes::OF_NAMED_ROUTES),
        when(route.body.is_some(), codes::OF_ROUTES_WITH_BODY),
        when(route.operation, codes::OF_CHANGES),
    ];
    let own = route.fails.clone();
    lists.into_iter().flatten().copied().chain(own)
}

/// The document.
pub(crate) fn document(routes: &[&Route]) -> Vec<u8> {
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Windlass",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Durable session state for AI agent runtimes",
            "description": "Errors are `application/problem+json` with a stable `code`. \
                What a caller may not see answers exactly as what does not exist. \
                Changes take an `Idempotency-Key`: the same key with the same request gives \
                the first answer and takes effect once.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths(routes),
        "components": {
            "schemas": schemas(routes),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, or a token of the configured issuer",
                },
            },
        },
    });
    serde_json::to_vec_pretty(&document).expect("a value has a form in JSON")
}

fn paths(routes: &[&Route]) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        // A parameter that takes the rest of the path is one like others here.
        let path = route.path.replace("{*", "{");
        let methods = paths.entry(path).or_default();
        let method = route.method.as_str().to_ascii_lowercase();
        methods.insert(method, operation(route));
    }
    json!(paths)
}

fn schemas(routes: &[&Route]) -> Value {
    let mut schemas = BTreeMap::new();
    for (name, schema) in routes.iter().flat_map(|route| &route.schemas) {
        schemas.insert(name.clone(), json!(schema));
    }
    let mut below = Vec::new();
    Problem::schemas(&mut below);
    below.push((Problem::name().into_owned(), Problem::schema()));
    // What queries name is not listed with them.
    below.push((Order::name().into_owned(), Order::schema()));
    below.push((Status::name().into_owned(), Status::schema()));
    below.push((WorkState::name().into_owned(), WorkState::schema()));
    below.push((At::name().into_owned(), At::schema()));
    for (name, schema) in below {
        schemas.insert(name, json!(schema));
    }
    json!(schemas)
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    let members = operation.as_object_mut().expect("an object");
    if route.access != Access::Open {
        members.insert("security".to_owned(), json!([{ "bearer": [] }]));
    }
    members.insert("x-access".to_owned(), json!(route.access.as_str()));
    if let Some(verb) = route.access.verb() {
        members.insert("x-verb".to_owned(), json!(verb.as_str()));
    }
    // What of the engine is reached here: tests hold it against the engine.
    members.insert("x-serves".to_owned(), json!(route.serves));
    if let Some(body) = &route.body {
        let content = json!({ body.media: { "schema": body.schema } });
        let body = json!({ "required": !body.optional, "content": content });
        members.insert("requestBody".to_owned(), body);
    }
    operation
}

fn header(name: &str, description: &str, schema: &Value) -> Value {
    json!({
        "name": name, "in": "header", "required": false,
        "description": description, "schema": schema,
    })
}

fn identifier() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 128,
        "pattern": "^[A-Za-z0-9._~:-]+$",
    })
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.parameters().map(|name| {
        let schema = match (name, route.tag) {
            ("call" | "token", _) => json!({ "type": "integer", "format": "int64", "minimum": 1 }),
            ("path" | "file", _) => json!({ "type": "string", "minLength": 1, "maxLength": 512 }),
            ("number", _) => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
            ("read", _) => json!({ "type": "string", "pattern": "^[0-9a-f]{48}$" }),
            ("blob" | "manifest", _) => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
            ("revision", _) => json!({
                "type": "string", "minLength": 1, "maxLength": 132,
                "pattern": "^(head|[0-9]{1,20}|tag:[A-Za-z0-9._~:-]{1,128})$",
            }),
            ("work", _) => json!({
                "type": "string",
                "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
            }),
            ("key", "keys") => json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }),
            ("key", _) => json!({
                "type": "string", "minLength": 1, "maxLength": 256,
                "pattern": "^[A-Za-z0-9_.:-]+$",
            }),
            _ => identifier(),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = route.query.iter().map(|parameter| json!(parameter));
    let mut parameters: Vec<Value> = in_path.chain(in_query).collect();
    let tag = json!({ "type": "string", "pattern": "^\"([0-9]+(-[0-9]+)?|[0-9a-f]{64})\"$" });
    if route.operation {
        let about = "An id for this change, which then takes effect once however often it is \
            asked for; kept for 24 hours";
        parameters.push(header("Idempotency-Key", about, &identifier()));
    }
    if route.preconditions.if_match {
        parameters.push(header("If-Match", "The version that has to be there", &tag));
    }
    if route.preconditions.if_absent {
        let star = json!({ "type": "string", "const": "*" });
        parameters.push(header("If-None-Match", "Only if nothing is there", &star));
    }
    if route.preconditions.if_changed {
        parameters.push(header("If-None-Match", "What is known already", &tag));
    }
    parameters
}

fn responses(route: &Route) -> Value {
    let mut responses = BTreeMap::new();
    for answer in &route.answers {
        responses.insert(answer.status.to_string(), good(answer));
    }
    let mut refusals: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in codes_of(route) {
        let status = codes::status(code).unwrap_or(500);
        refusals.entry(status).or_default().insert(code);
        if code == codes::HEAD_CONFLICT && route.preconditions.if_match {
            let status = codes::PRECONDITION_FAILED;
            refusals.entry(status).or_default().insert(code);
        }
    }
    for (status, code) in &route.also {
        refusals.entry(*status).or_default().insert(code);
    }
    for (status, codes) in refusals {
        responses.insert(status.to_string(), refusal(status, &codes));
    }
    json!(responses)
}

fn good(answer: &AnswerSpec) -> Value {
    let content = answer.content.iter().map(|(media, schema)| {
        let about = schema
            .as_ref()
            .map_or(json!({}), |schema| json!({ "schema": schema }));
        ((*media).to_owned(), about)
    });
    let content: Map<String, Value> = content.collect();
    let mut headers = Map::new();
    let text = json!({ "schema": { "type": "string" } });
    headers.insert("X-Request-Id".to_owned(), text.clone());
    if answer.has_etag {
        headers.insert("ETag".to_owned(), text.clone());
    }
    if answer.has_location {
        headers.insert("Location".to_owned(), text);
    }
    let mut response = json!({ "description": answer.about, "headers": headers });
    if !content.is_empty() {
        response["content"] = Value::Object(content);
    }
    response
}

fn refusal(status: u16, codes: &BTreeSet<&str>) -> Value {
    let title = axum::http::StatusCode::from_u16(status).ok();
    let title = title
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused");
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let schema = json!({ "$ref": format!("#/components/schemas/{}", Problem::name()) });
    json!({
        "description": format!("{title}: {}", listed.join(", ")),
        "content": { "application/problem+json": { "schema": schema } },
        "x-codes": codes,
    })
}
