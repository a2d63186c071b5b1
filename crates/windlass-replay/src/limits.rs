//! Every limit of this crate, with its unit in its name.

/// Most bytes of recorded runs in one recording, over all its files,
/// decompressed: 1 GiB. What is read is held in memory, at about twice its
/// size.
pub const INPUT_BYTES_MAX: u64 = 1 << 30;

/// Most files of one recording.
pub const FILES_MAX: usize = 10_000;

/// How deep directories of a recording may nest.
pub const DIRECTORY_DEPTH_MAX: usize = 16;

/// Most tool calls of one run. At [`STEP_MS`] a call, a run of this length
/// takes 14 hours of the replay's own time, so its session does not expire.
pub const STEPS_MAX: usize = 1_000_000;

/// Longest key of a run, in bytes; session and operation ids are made of it.
pub const RUN_KEY_BYTES_MAX: usize = 64;

/// How much of the replay's own time one step takes.
pub const STEP_MS: u64 = 50;

/// Rows of a run's output that one commit stores at most.
pub const CHUNK_ROWS: usize = 256;

/// How long after one row of a recorded output the next one comes, where it is
/// played in real time: no record says.
pub const ROW_MS: u64 = 25;

/// Runs played at a time where nothing else is asked for.
pub const JOBS_DEFAULT: usize = 8;

/// Most runs played at a time.
pub const JOBS_MAX: usize = 256;

/// How long a worker may take for a step where nothing else is said: 10 s.
pub const CLAIM_MS_DEFAULT: u64 = 10_000;

/// The longest: a day.
pub const CLAIM_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
