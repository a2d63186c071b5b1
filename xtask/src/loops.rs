//! How often the long tests repeat themselves: one table, three columns.
//!
//! Each such test reads its number from the environment. When it is not told
//! one, as by a plain `cargo test`, it takes a small one of its own.

/// A test that repeats, and how often it does so in which gate.
#[derive(Debug)]
pub(crate) struct Loop {
    /// The environment variable that the test reads.
    pub(crate) variable: &'static str,
    /// What the number counts.
    pub(crate) unit: &'static str,
    /// For the inner loop.
    pub(crate) quick: u32,
    /// For each push.
    pub(crate) ci: u32,
    /// For the nightly run.
    pub(crate) nightly: u32,
}

/// Every loop there is.
pub(crate) const LOOPS: &[Loop] = &[
    Loop {
        variable: "WINDLASS_STREAM_CURSORS",
        unit: "cursors that are opened and left",
        quick: 2_000,
        ci: 10_000,
        nightly: 100_000,
    },
    Loop {
        variable: "WINDLASS_CACHE_CASES",
        unit: "random histories of a cache of two tiers",
        quick: 20,
        ci: 150,
        nightly: 10_000,
    },
    Loop {
        variable: "WINDLASS_CACHE_REPLACED",
        unit: "puts of one blob in the place of another, on SQLite",
        quick: 100,
        ci: 600,
        nightly: 10_000,
    },
    Loop {
        variable: "WINDLASS_STATE_CASES",
        unit: "random histories of states",
        quick: 20,
        ci: 120,
        nightly: 10_000,
    },
    Loop {
        variable: "WINDLASS_KILL_CYCLES",
        unit: "SIGKILL cycles",
        quick: 10,
        ci: 200,
        nightly: 3_000,
    },
    Loop {
        variable: "WINDLASS_AUDIT_KILL_CYCLES",
        unit: "SIGKILL cycles of two processes that append to one audit",
        quick: 8,
        ci: 40,
        nightly: 500,
    },
    Loop {
        variable: "WINDLASS_CACHE_KILL_CYCLES",
        unit: "SIGKILL cycles of a process that puts into its cache",
        quick: 10,
        ci: 20,
        nightly: 200,
    },
    Loop {
        variable: "WINDLASS_BACKUP_KILLS",
        unit: "SIGKILLs of a process that makes backups, and of one that restores",
        quick: 4,
        ci: 10,
        nightly: 500,
    },
    Loop {
        variable: "WINDLASS_REPLAY_KILLS",
        unit: "SIGKILLs of a replay by workers",
        quick: 4,
        ci: 8,
        nightly: 1_000,
    },
    Loop {
        variable: "WINDLASS_SLED_KILL_CYCLES",
        unit: "SIGKILL cycles, sled",
        quick: 5,
        ci: 40,
        nightly: 600,
    },
    Loop {
        variable: "WINDLASS_SLED_CORRUPTIONS",
        unit: "flipped bits in files of sled",
        quick: 20,
        ci: 120,
        nightly: 5_000,
    },
    Loop {
        variable: "WINDLASS_EXT4_CUTS",
        unit: "power cuts on ext4, sled",
        quick: 5,
        ci: 40,
        nightly: 1_000,
    },
    Loop {
        variable: "WINDLASS_POSTGRES_KILL_CYCLES",
        unit: "SIGKILL cycles, clients of a server",
        quick: 10,
        ci: 20,
        nightly: 300,
    },
    Loop {
        variable: "WINDLASS_SERVER_KILLS",
        unit: "SIGKILLs of a whole server",
        quick: 2,
        ci: 10,
        nightly: 300,
    },
    Loop {
        variable: "WINDLASS_CROSSED_ROUNDS",
        unit: "rounds of crossed batches",
        quick: 50,
        ci: 400,
        nightly: 100_000,
    },
    Loop {
        variable: "WINDLASS_POWER_IMAGES",
        unit: "images after a power cut",
        quick: 500,
        ci: 20_000,
        nightly: 500_000,
    },
    Loop {
        variable: "WINDLASS_IO_FAULTS",
        unit: "I/O faults",
        quick: 30,
        ci: 500,
        nightly: 6_000,
    },
    Loop {
        variable: "WINDLASS_SOAK_SECONDS",
        unit: "seconds of the whole engine with all upkeep",
        quick: 6,
        ci: 12,
        nightly: 600,
    },
    Loop {
        variable: "WINDLASS_WAL_SECONDS",
        unit: "seconds of overlapping readers",
        quick: 2,
        ci: 6,
        nightly: 600,
    },
    Loop {
        variable: "WINDLASS_MODEL_CASES",
        unit: "random histories",
        quick: 50,
        ci: 2_000,
        nightly: 20_000,
    },
    Loop {
        variable: "WINDLASS_QUEUE_CASES",
        unit: "random histories of a queue",
        quick: 20,
        ci: 300,
        nightly: 5_000,
    },
    Loop {
        variable: "WINDLASS_QUEUE_HISTORIES",
        unit: "histories of concurrent workers",
        quick: 5,
        ci: 60,
        nightly: 2_000,
    },
    Loop {
        variable: "WINDLASS_STREAM_TIMINGS",
        unit: "refusals that are timed, of each kind",
        quick: 20,
        ci: 40,
        nightly: 20_000,
    },
    Loop {
        variable: "WINDLASS_STREAM_OPENS",
        unit: "reads of a stream, by each of 16, each way to each end",
        quick: 1,
        ci: 5,
        nightly: 200,
    },
    Loop {
        variable: "WINDLASS_STREAM_KILLS",
        unit: "servers killed while they send",
        quick: 6,
        ci: 20,
        nightly: 200,
    },
    Loop {
        variable: "WINDLASS_STREAM_CUTS",
        unit: "cut lines of streams",
        quick: 60,
        ci: 500,
        nightly: 10_000,
    },
    Loop {
        variable: "WINDLASS_SCHEDULES",
        unit: "schedules of threads",
        quick: 300,
        ci: 4_000,
        nightly: 40_000,
    },
    Loop {
        variable: "WINDLASS_COLLECT_COMMITS",
        unit: "commits beside collections",
        quick: 960,
        ci: 7_200,
        nightly: 200_000,
    },
];

/// Variables that are no loops: settings of the command, seeds, and what a test
/// says to a process of its own.
pub(crate) const OTHERS: &[&str] = &[
    "WINDLASS_CONFIG",
    "WINDLASS_KEY",
    "WINDLASS_KILL_SEED",
    "WINDLASS_TEST_PATH",
    "WINDLASS_TEST_ROLE",
];

/// How the variables of the project's own tests begin. The settings of the
/// command have another underscore after the name.
const VARIABLE_MARK: &str = "\"WINDLASS_";

/// The variables that a line of a source has as string literals.
pub(crate) fn variables_in(line: &str) -> impl Iterator<Item = &str> {
    let hits = line.match_indices(VARIABLE_MARK);
    hits.filter_map(move |(at, _)| {
        let name = &line[at + 1..];
        let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let end = name.find(|c| !letter(c)).unwrap_or(name.len());
        let setting = name.starts_with("WINDLASS__");
        (!setting).then(|| &name[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_literals_of_tests_are_variables() {
        let line = "f(\"WINDLASS_A_1\", WINDLASS_B, \"WINDLASS__C__D\", \"WINDLASS_E=\")";
        let found: Vec<_> = variables_in(line).collect();
        assert_eq!(found, ["WINDLASS_A_1", "WINDLASS_E"]);
    }

    #[test]
    fn every_loop_grows_from_gate_to_gate() {
        for one in LOOPS {
            assert!(0 < one.quick && one.quick < one.ci, "{one:?}");
            assert!(one.ci < one.nightly, "{one:?}");
        }
    }
}
