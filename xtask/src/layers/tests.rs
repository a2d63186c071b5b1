//! Each kind of wrong edge, planted in a small graph and found.

use super::*;

fn edge(to: &str, purpose: Purpose) -> Edge {
    Edge {
        to: to.to_owned(),
        purpose,
        optional: false,
    }
}

fn behind_a_feature(to: &str) -> Edge {
    Edge {
        optional: true,
        ..edge(to, Purpose::Shipped)
    }
}

/// The rows of the real table for the crates of the graph.
fn table_for(graph: &Graph) -> Vec<Row> {
    let rows = TABLE.iter();
    rows.filter(|row| graph.members.contains_key(row.name))
        .cloned()
        .collect()
}

/// What is wrong with a graph in which `name` has these edges.
fn verdict(name: &str, edges: &[Edge]) -> Vec<String> {
    let graph = Graph::default()
        .with_foreign("tokio", vec![])
        .with_foreign("rusqlite", vec![edge("libsqlite3-sys", Purpose::Shipped)])
        .with_foreign("innocent", vec![edge("tokio", Purpose::Shipped)]);
    let ours = edges.iter().filter(|edge| edge.to.starts_with("windlass"));
    let graph = ours.fold(graph, |graph, edge| graph.with_member(&edge.to, vec![]));
    let graph = graph.with_member(name, edges.to_vec());
    let findings = check(&graph, &table_for(&graph));
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn allowed_edges_are_not_reported() {
    let edges = vec![
        edge("windlass-core", Purpose::Shipped),
        edge("windlass-store", Purpose::Shipped),
        edge("windlass-store-memory", Purpose::Tests),
        edge("tokio", Purpose::Tests),
    ];
    assert_eq!(verdict("windlass-session", &edges), [""; 0]);
}

#[test]
fn an_import_from_a_higher_floor_is_reported() {
    let edges = vec![edge("windlass-session", Purpose::Shipped)];
    assert_eq!(
        verdict("windlass-store", &edges),
        ["windlass-store: imports `windlass-session`, which the table does not allow"]
    );
}

#[test]
fn the_trait_may_not_even_import_core() {
    for purpose in [Purpose::Shipped, Purpose::Build, Purpose::Tests] {
        assert_eq!(
            verdict("windlass-store", &[edge("windlass-core", purpose)]),
            ["windlass-store: imports `windlass-core`, which the table does not allow"]
        );
    }
}

#[test]
fn the_suite_may_not_see_a_concrete_store_even_in_its_tests() {
    let edges = vec![edge("windlass-store-memory", Purpose::Tests)];
    assert_eq!(
        verdict("windlass-store-testing", &edges),
        ["windlass-store-testing: imports `windlass-store-memory`, which the table does not allow"]
    );
}

#[test]
fn an_import_meant_for_tests_is_reported_elsewhere() {
    let edges = vec![edge("windlass-store-testing", Purpose::Shipped)];
    assert_eq!(
        verdict("windlass-store-memory", &edges),
        ["windlass-store-memory: imports `windlass-store-testing`, which only its tests may"]
    );
}

#[test]
fn a_store_in_the_facade_needs_a_feature() {
    let with = vec![behind_a_feature("windlass-store-sqlite")];
    assert_eq!(verdict("windlass", &with), [""; 0]);
    let without = vec![edge("windlass-store-sqlite", Purpose::Shipped)];
    assert_eq!(
        verdict("windlass", &without),
        ["windlass: imports `windlass-store-sqlite` without a feature to leave it out"]
    );
}

#[test]
fn an_edge_from_the_command_to_below_the_facade_is_reported() {
    let edges = vec![edge("windlass-session", Purpose::Shipped)];
    assert_eq!(
        verdict("windlass-cli", &edges),
        ["windlass-cli: imports `windlass-session`, which the table does not allow"]
    );
}

#[test]
fn a_driver_outside_its_store_is_reported_even_in_tests() {
    let edges = vec![edge("rusqlite", Purpose::Tests)];
    assert_eq!(
        verdict("windlass-cli", &edges),
        ["windlass-cli: names `rusqlite` (Driver), which its row does not grant"]
    );
}

#[test]
fn a_terminal_crate_outside_the_command_is_reported() {
    let edges = vec![edge("clap", Purpose::Shipped)];
    assert_eq!(
        verdict("windlass-replay", &edges),
        [
            "windlass-replay: names `clap` (Terminal), which its row does not grant",
            "windlass-replay: sees Terminal: windlass-replay > clap",
        ]
    );
}

#[test]
fn a_runtime_is_found_behind_a_crate_of_others() {
    let edges = vec![edge("innocent", Purpose::Shipped)];
    assert_eq!(
        verdict("windlass-core", &edges),
        ["windlass-core: sees Runtime: windlass-core > innocent > tokio"]
    );
}

#[test]
fn a_build_script_counts_as_shipped() {
    let edges = vec![edge("innocent", Purpose::Build)];
    assert_eq!(
        verdict("windlass-core", &edges),
        ["windlass-core: sees Runtime: windlass-core > innocent > tokio"]
    );
}

#[test]
fn an_unknown_crate_and_a_row_without_a_crate_are_reported() {
    let graph = Graph::default().with_member("windlass-oracle", vec![]);
    let findings = check(&graph, &TABLE[..1]);
    let findings: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(
        findings,
        [
            "windlass-oracle: has no row in the table of layers",
            "windlass-core: has a row but is not in the workspace",
        ]
    );
}

#[test]
fn a_published_tool_is_reported() {
    let graph = Graph::default().with_member("xtask", vec![]);
    let findings = check(&graph, &table_for(&graph));
    let findings: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(findings, ["xtask: is a tool and must not be published"]);
}

#[test]
fn no_row_imports_from_its_own_floor_or_above() {
    let floor = |name: &str| TABLE.iter().find(|row| row.name == name).unwrap().floor;
    for row in TABLE {
        for import in [row.imports, row.optional].concat() {
            let below = floor(import) < row.floor;
            // the command is the one edge that stands on another
            let command = row.name == "windlass-cli" && floor(import) == row.floor;
            assert!(below || command, "{} imports {import}", row.name);
        }
    }
}

#[test]
fn the_storeys_name_every_crate() {
    let text = storeys(TABLE);
    for row in TABLE {
        assert!(text.contains(row.name), "{text}");
    }
}
