//! Every operation of the engine is reached by a route: the sources of its
//! public surface are read and held against what the routes say they serve.
//!
//! What counts is each public method of the types below, synchronous ones
//! included; whatever needs no route is named here with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{ImplItem, Item, Type, Visibility};

use crate::support::{Running, get};

/// The types through which the engine is reached, and where they are
/// implemented, relative to the folder of all crates.
const SURFACE: &[(&str, &[&str])] = &[
    ("windlass/src", &["Windlass", "Turn", "Sources"]),
    ("windlass-cache/src/tiered", &["TieredCache"]),
    ("windlass/src/audit", &["AuditLog"]),
    ("windlass/src/maintenance", &["Maintenance"]),
    ("windlass-session/src", &["Sessions"]),
    (
        "windlass-stash/src/durable",
        &["Stashes", "Stash", "Execution"],
    ),
    ("windlass-checkpoint/src", &["Checkpoints"]),
    ("windlass-queue/src", &["Queue"]),
    ("windlass-stream/src", &["Streams", "DurableStreams"]),
    ("windlass-stream/src/subscription", &["Subscriptions"]),
    ("windlass-access/src", &["Keys", "Tenants"]),
];

/// What has no route, by the reason.
const EXEMPT: &[(&str, &[&str])] = &[
    (
        "a process opens and closes its own engine",
        &[
            "Windlass::open",
            "Windlass::with_env",
            "Windlass::over",
            "Windlass::with_cache",
            "Windlass::close",
            "Maintenance::accept_clock",
            "TieredCache::open",
            "TieredCache::close",
            "Sessions::new",
            "Stashes::new",
            "Stashes::with_audit",
            "Checkpoints::new",
            "Queue::new",
            "Streams::new",
            "Streams::with_audit",
            "Keys::new",
            "Tenants::new",
        ],
    ),
    (
        "a way to a part, or what a value of this process was made with",
        &[
            "Windlass::sessions",
            "Windlass::stashes",
            "Windlass::checkpoints",
            "Windlass::queue",
            "Windlass::streams",
            "Windlass::sources",
            "Streams::durable",
            "Streams::subscriptions",
            "Windlass::keys",
            "Windlass::tenants",
            "Windlass::activity",
            "Windlass::audit",
            "Windlass::maintenance",
            "Windlass::store",
            "Stashes::stash",
            "Stash::execution",
            "Execution::group",
            "Sessions::cap",
            "Stashes::config",
            "TieredCache::options",
            "TieredCache::store",
            "TieredCache::settle_copy",
            "Stashes::cached_value_bytes",
        ],
    ),
    (
        "what is in the cache is for the process that has it open",
        &[
            "TieredCache::get",
            "TieredCache::get_many",
            "TieredCache::exists",
            "TieredCache::remaining",
            "TieredCache::put",
            "TieredCache::put_many",
            "TieredCache::compare_and_set",
            "TieredCache::touch",
            "TieredCache::enumerate",
        ],
    ),
    (
        "what this process tells, and what became of that",
        &[
            "AuditLog::is_on",
            "AuditLog::tell",
            "AuditLog::flush",
            "AuditLog::figures",
            "AuditLog::sink_figures",
            "Maintenance::counts",
        ],
    ),
    (
        "the server runs upkeep itself",
        &["Maintenance::run", "Maintenance::keeper"],
    ),
    (
        "who hears of changes is set where the process starts",
        &[
            "Sessions::heard_by",
            "Checkpoints::heard_by",
            "Queue::heard_by",
            "Streams::heard_by",
            "Keys::heard_by",
            "Tenants::heard_by",
        ],
    ),
    (
        "the limits of stashes and streams are the operator's, set where the process starts",
        &["Stashes::configure", "Streams::configure"],
    ),
    (
        "without a cap only for who embeds the engine and counts by itself",
        &["Sessions::create", "Sessions::delegate"],
    ),
    (
        "the server asks this itself, of every request",
        &[
            "Keys::authenticate",
            "Keys::any",
            "Keys::sealing_key",
            "Windlass::admit_session",
            "Windlass::admit_bytes",
            "Keys::changes",
            "Streams::under",
            "Sources::under",
            "Streams::end_leases",
            "Tenants::status",
            "Tenants::changes",
        ],
    ),
    (
        "the server looks after subscriptions itself, and notes what became of a delivery",
        &[
            "Subscriptions::list",
            "Subscriptions::due",
            "Subscriptions::resting",
            "Subscriptions::look",
            "Subscriptions::arrived",
            "Subscriptions::failed",
        ],
    ),
    (
        "for whoever joins commits of several parts within one process",
        &[
            "Checkpoints::plan",
            "Checkpoints::forget",
            "Checkpoints::repeated",
            "Queue::plan",
            "Queue::forget",
            "Streams::plan",
            "Sessions::plan",
            "Sessions::forget",
            "Sessions::happened",
            "Sessions::store",
        ],
    ),
    (
        "backups and checks are for who has the store itself; over HTTP there is the export",
        &[
            "Windlass::back_up",
            "Windlass::restore_from",
            "Windlass::restore_cache_from",
            "Windlass::check",
        ],
    ),
    (
        "the steps of a collection are of the process that takes them",
        &["Checkpoints::collection"],
    ),
    (
        "an option of a change, which the header `Idempotency-Key` sets",
        &["Execution::once"],
    ),
    (
        "a part of what `Windlass::usage` counts",
        &["Sessions::stored", "Stashes::tenant_usage", "Queue::stored"],
    ),
    (
        "it renews as long as it is polled, in the process of who holds the lease or the claim",
        &["Queue::keep_lease", "Queue::keep", "Queue::hold"],
    ),
    (
        "an auditor reads the chain in the process that opens the store",
        &["Sources::scan_audit", "Sources::resume_audit"],
    ),
    (
        "it refuses: no request can read from inside a turn",
        &["Turn::open"],
    ),
    (
        "it fills an empty store before anybody serves it",
        &["Windlass::import_from"],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// The name of a type, if it has a plain one.
fn name_of(kind: &Type) -> Option<String> {
    let Type::Path(path) = kind else { return None };
    Some(path.path.segments.last()?.ident.to_string())
}

/// The public methods in one file, as `Type::method`.
fn methods(file: &Path, types: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a source file");
    let parsed =
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut found = Vec::new();
    for item in parsed.items {
        let Item::Impl(block) = item else { continue };
        let name = name_of(&block.self_ty);
        let Some(name) = name.filter(|name| types.contains(&name.as_str())) else {
            continue;
        };
        if block.trait_.is_some() {
            continue;
        }
        for item in block.items {
            match item {
                ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => {
                    found.push(format!("{name}::{}", method.sig.ident));
                }
                _ => {}
            }
        }
    }
    found
}

fn surface() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = BTreeSet::new();
    for (folder, types) in SURFACE {
        let files = sources(&crates.join(folder));
        let found: Vec<String> = files.iter().flat_map(|file| methods(file, types)).collect();
        for name in *types {
            let start = format!("{name}::");
            assert!(
                found.iter().any(|method| method.starts_with(&start)),
                "`{name}` has no methods in {folder}"
            );
        }
        all.extend(found);
    }
    all
}

/// What the routes say they serve, each with one route that says so.
async fn served() -> BTreeMap<String, String> {
    let server = Running::start().await;
    let document = server.ask(get("/openapi.json")).await.expect(200).json();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.values().flat_map(|methods| {
        let methods = methods.as_object().expect("methods");
        methods.values()
    });
    let mut served = BTreeMap::new();
    for operation in operations {
        let id = operation["operationId"].as_str().expect("a name");
        for method in operation["x-serves"].as_array().expect("a list") {
            let method = method.as_str().expect("a name");
            served.insert(method.to_owned(), id.to_owned());
        }
    }
    served
}

#[tokio::test]
async fn every_operation_of_the_engine_has_a_route_or_a_reason() {
    let (surface, served) = (surface(), served().await);
    let exempt = EXEMPT.iter().flat_map(|(_, methods)| *methods);
    let exempt: BTreeSet<String> = exempt.map(|method| (*method).to_owned()).collect();
    let missing: Vec<_> = surface
        .iter()
        .filter(|method| !served.contains_key(*method) && !exempt.contains(*method))
        .collect();
    assert!(missing.is_empty(), "no route serves {missing:?}");
    let both: Vec<_> = exempt
        .iter()
        .filter(|method| served.contains_key(*method))
        .collect();
    assert!(both.is_empty(), "exempt, though there are routes: {both:?}");
}

#[tokio::test]
async fn no_route_and_no_exemption_names_what_does_not_exist() {
    let surface = surface();
    for (method, route) in served().await {
        assert!(
            surface.contains(&method),
            "`{route}` says it serves `{method}`, which does not exist"
        );
    }
    let mut seen = BTreeSet::new();
    for method in EXEMPT.iter().flat_map(|(_, methods)| *methods) {
        assert!(surface.contains(*method), "`{method}` does not exist");
        assert!(seen.insert(*method), "`{method}` is exempt twice");
    }
}
