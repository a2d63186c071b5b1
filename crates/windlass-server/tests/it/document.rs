//! The OpenAPI document: as it was, whole, and true to itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Running, get};

async fn document() -> Value {
    let server = Running::start().await;
    server.ask(get("/openapi.json")).await.expect(200).json()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut found = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            found.push((format!("{method} {path}"), operation));
        }
    }
    found
}

/// Calls `look` with every value in a document and its place.
fn walk<'a>(value: &'a Value, place: &str, look: &mut dyn FnMut(&str, &'a Value)) {
    look(place, value);
    match value {
        Value::Object(members) => {
            for (name, below) in members {
                walk(below, &format!("{place}/{name}"), look);
            }
        }
        Value::Array(items) => {
            for (number, below) in items.iter().enumerate() {
                walk(below, &format!("{place}/{number}"), look);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_document_changes_only_on_purpose() {
    let mut document = document().await;
    document["info"]["version"] = "of this build".into();
    let text = serde_json::to_string_pretty(&sorted(document)).expect("text");
    insta::assert_snapshot!("openapi", text);
}

/// The same with members in the order of their names: whether an object keeps
/// the order in which it was made depends on what else is built with it.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            let members = members.into_iter();
            Value::Object(members.map(|(name, below)| (name, sorted(below))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_form_is_used() {
    let document = document().await;
    let mut named = BTreeSet::new();
    walk(&document, "", &mut |place, value| {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return;
        };
        let pointer = reference
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("{reference} at {place}"));
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} at {place}"
        );
        named.insert(pointer.to_owned());
    });
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for name in schemas.keys() {
        let pointer = format!("/components/schemas/{name}");
        assert!(named.contains(&pointer), "nothing uses `{name}`");
    }
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let document = document().await;
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for (place, operation) in operations(&document) {
        let name = operation["operationId"].as_str().expect("a name");
        if let Some(other) = names.insert(name, place.clone()) {
            panic!("`{name}` is {other} and {place}");
        }
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{place}");
        let tags = operation["tags"].as_array().expect("tags");
        assert!(
            tags.iter().all(|tag| tag != "" && tag.is_string()),
            "{place}"
        );
    }
}

#[tokio::test]
async fn the_parameters_of_a_path_are_described_and_no_others() {
    let document = document().await;
    for (place, operation) in operations(&document) {
        let pieces = place.split(['/', ' ']);
        let in_path = pieces.filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'));
        let parameters = operation["parameters"].as_array().expect("parameters");
        let mut seen = BTreeSet::new();
        let mut described = BTreeSet::new();
        for parameter in parameters {
            let name = parameter["name"].as_str().expect("a name");
            let (kind, schema) = (
                parameter["in"].as_str().expect("a place"),
                &parameter["schema"],
            );
            assert!(schema.is_object(), "{place}: {name}");
            assert!(seen.insert((kind, name)), "{place}: {kind} {name} twice");
            if kind == "path" {
                assert_eq!(parameter["required"], true, "{place}: {name}");
                described.insert(name);
            }
        }
        assert_eq!(described, in_path.collect::<BTreeSet<_>>(), "{place}");
    }
}

#[tokio::test]
async fn every_answer_says_what_it_is() {
    let document = document().await;
    for (place, operation) in operations(&document) {
        let responses = operation["responses"].as_object().expect("responses");
        let good = responses
            .keys()
            .filter(|status| status.starts_with('2'))
            .count();
        assert!(good > 0, "{place} never succeeds");
        for (status, response) in responses {
            let about = response["description"].as_str().unwrap_or_default();
            assert!(!about.is_empty(), "{place} {status}");
            let is_refusal = status.starts_with(['4', '5']);
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem.is_string(), is_refusal, "{place} {status}");
            let codes = response["x-codes"].as_array().map_or(0, Vec::len);
            assert_eq!(codes > 0, is_refusal, "{place} {status}");
        }
        let wants_credential = operation["x-access"] != "open";
        assert_eq!(
            operation["security"].is_array(),
            wants_credential,
            "{place}"
        );
        assert_eq!(
            responses.contains_key("401"),
            wants_credential || place == "get /metrics",
            "{place}"
        );
    }
}

/// Forms that say the least they take say no more than the most.
#[tokio::test]
async fn bounds_are_in_order_and_what_is_required_is_there() {
    let document = document().await;
    walk(&document["components"], "", &mut |place, value| {
        for (least, most) in [
            ("minimum", "maximum"),
            ("minLength", "maxLength"),
            ("minItems", "maxItems"),
        ] {
            if let (Some(least), Some(most)) = (value[least].as_f64(), value[most].as_f64()) {
                assert!(least <= most, "{place}: {least} to {most}");
            }
        }
        let (Some(required), Some(members)) = (
            value["required"].as_array(),
            value["properties"].as_object(),
        ) else {
            return;
        };
        for name in required {
            let name = name.as_str().expect("a name");
            assert!(members.contains_key(name), "{place} has no `{name}`");
        }
    });
}
