//! The storeys of the house, as data: which crate stands where, what it may
//! import, and what it must not be able to see. `docs/architecture.md` has the
//! same table in prose.

/// Where a crate stands. A lower floor knows nothing of a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Floor {
    Core,
    Trait,
    Suite,
    Store,
    Part,
    Facade,
    Wire,
    Edge,
    /// Unpublished, and free to import anything of ours.
    Tool,
}

impl Floor {
    /// The floor's number in the architecture, and what lives there.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Core => "0  shared by all",
            Self::Trait => "1  the storage trait",
            Self::Suite => "1t its conformance suite",
            Self::Store => "2  stores",
            Self::Part => "3  parts",
            Self::Facade => "4  facade",
            Self::Wire => "5  wire types and client",
            Self::Edge => "6  edges",
            Self::Tool => "-  tools, unpublished",
        }
    }
}

/// Crates of others that mean the same thing to an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Runtime,
    Driver,
    Http,
    Terminal,
    Json,
    Calendar,
}

impl Family {
    /// Every family.
    pub(crate) const ALL: [Self; 6] = [
        Self::Runtime,
        Self::Driver,
        Self::Http,
        Self::Terminal,
        Self::Json,
        Self::Calendar,
    ];

    /// The crates of the family.
    pub(crate) fn crates(self) -> &'static [&'static str] {
        match self {
            Self::Runtime => &["async-std", "smol", "tokio"],
            Self::Driver => &[
                "deadpool-postgres",
                "libsqlite3-sys",
                "postgres",
                "redb",
                "rusqlite",
                "sled",
                "sqlx",
                "tokio-postgres",
            ],
            Self::Http => &["axum", "hyper", "reqwest", "tower-http", "utoipa"],
            Self::Terminal => &[
                "clap",
                "clap_complete",
                "clap_mangen",
                "comfy-table",
                "indicatif",
            ],
            Self::Json => &["serde_json"],
            Self::Calendar => &["chrono", "jiff", "time"],
        }
    }

    /// Whether a crate may name one only if its row says so, for whatever
    /// purpose; the other families are only kept out of what is shipped.
    pub(crate) fn is_granted_by_name(self) -> bool {
        matches!(self, Self::Driver | Self::Http | Self::Terminal)
    }
}

/// What the table says of one crate.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) floor: Floor,
    /// Ours that it may import.
    pub(crate) imports: &'static [&'static str],
    /// Ours that it may import only behind a feature, or in its tests.
    pub(crate) optional: &'static [&'static str],
    /// Ours that only its tests may import.
    pub(crate) in_tests: &'static [&'static str],
    /// Drivers, HTTP and terminal crates that it may name.
    pub(crate) names: &'static [&'static str],
    /// What must not be among its dependencies at any depth, tests apart.
    pub(crate) blind_to: &'static [Family],
}

/// A row that allows nothing, to be widened.
const NOTHING: Row = Row {
    name: "",
    floor: Floor::Core,
    imports: &[],
    optional: &[],
    in_tests: &[],
    names: &[],
    blind_to: &[],
};

use Family::{Calendar, Driver, Http, Json, Runtime, Terminal};

/// Every crate of the workspace, from the ground up.
pub(crate) const TABLE: &[Row] = &[
    Row {
        name: "windlass-core",
        floor: Floor::Core,
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-store",
        floor: Floor::Trait,
        blind_to: &[Runtime, Driver, Http, Terminal, Json, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-store-testing",
        floor: Floor::Suite,
        imports: &["windlass-store"],
        blind_to: &[Driver, Http, Terminal, Json, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-store-memory",
        floor: Floor::Store,
        imports: &["windlass-store"],
        in_tests: &["windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Json, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-store-sqlite",
        floor: Floor::Store,
        imports: &["windlass-store"],
        in_tests: &["windlass-store-testing"],
        names: &["rusqlite"],
        blind_to: &[Http, Terminal, Json, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-store-sled",
        floor: Floor::Store,
        imports: &["windlass-store"],
        in_tests: &["windlass-store-testing"],
        names: &["sled"],
        blind_to: &[Http, Terminal, Json, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-store-postgres",
        floor: Floor::Store,
        imports: &["windlass-store"],
        in_tests: &["windlass-store-testing"],
        names: &["deadpool-postgres", "tokio-postgres"],
        blind_to: &[Http, Terminal, Json, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-session",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-stash",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-cache",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-checkpoint",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-queue",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-stream",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-access",
        floor: Floor::Part,
        imports: &["windlass-core", "windlass-store"],
        in_tests: &["windlass-store-memory", "windlass-store-testing"],
        blind_to: &[Runtime, Driver, Http, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass",
        floor: Floor::Facade,
        imports: &[
            "windlass-access",
            "windlass-cache",
            "windlass-checkpoint",
            "windlass-core",
            "windlass-queue",
            "windlass-store",
            "windlass-session",
            "windlass-stash",
            "windlass-stream",
        ],
        optional: &[
            "windlass-store-memory",
            "windlass-store-postgres",
            "windlass-store-sled",
            "windlass-store-sqlite",
        ],
        in_tests: &["windlass-cache", "windlass-store-testing"],
        blind_to: &[Http, Terminal],
        ..NOTHING
    },
    Row {
        name: "windlass-client",
        floor: Floor::Wire,
        names: &["reqwest", "utoipa"],
        blind_to: &[Driver, Terminal, Calendar],
        ..NOTHING
    },
    Row {
        name: "windlass-replay",
        floor: Floor::Edge,
        imports: &["windlass"],
        in_tests: &["windlass-store-testing"],
        blind_to: &[Http, Terminal],
        ..NOTHING
    },
    Row {
        name: "windlass-server",
        floor: Floor::Edge,
        imports: &["windlass", "windlass-client"],
        names: &["axum", "hyper", "reqwest", "utoipa"],
        blind_to: &[Terminal],
        ..NOTHING
    },
    Row {
        name: "windlass-cli",
        floor: Floor::Edge,
        imports: &[
            "windlass",
            "windlass-client",
            "windlass-replay",
            "windlass-server",
        ],
        names: &[
            "clap",
            "clap_complete",
            "clap_mangen",
            "comfy-table",
            "indicatif",
        ],
        in_tests: &["windlass-store-testing"],
        ..NOTHING
    },
    Row {
        name: "windlass-benches",
        floor: Floor::Tool,
        ..NOTHING
    },
    Row {
        name: "xtask",
        floor: Floor::Tool,
        ..NOTHING
    },
];
