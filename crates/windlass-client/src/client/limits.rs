//! What the client allows where nothing else is said.

use std::time::Duration;

/// How long a connection may take to be made.
pub const CONNECT_DEFAULT: Duration = Duration::from_secs(5);
/// How long one attempt may take, from its first byte to the last of its
/// answer.
pub const ATTEMPT_DEFAULT: Duration = Duration::from_secs(30);
/// How long a call may take with all its attempts and the waits between them.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(60);
/// How often a call is tried again.
pub const RETRIES_DEFAULT: u32 = 4;
/// The longest wait that a server can ask for; a call that is told to wait
/// longer fails at once.
pub const RETRY_AFTER_MAX_DEFAULT: Duration = Duration::from_secs(10);
/// Most bytes of one answer: the largest value of a stash as a server has it
/// by default (16 MiB), and 1 MiB beside it.
pub const ANSWER_BYTES_MAX_DEFAULT: usize = 17 * 1_024 * 1_024;
/// The first wait between two attempts is at most so long; each further one may
/// be twice as long as the one before.
pub const BACKOFF_FIRST_DEFAULT: Duration = Duration::from_millis(50);
/// The longest wait that no server asked for.
pub const BACKOFF_MAX_DEFAULT: Duration = Duration::from_secs(5);
/// How long an answer that is streamed may be quiet. Servers send a sign of
/// life more often.
pub const QUIET_DEFAULT: Duration = Duration::from_secs(60);

/// How long an attempt, and a call, may take whose work has no bound.
pub(super) const LONG: Duration = Duration::from_secs(60 * 60);
/// Most bytes of a line of a stream: the longest row, and what is around it.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1_024 * 1_024 + 1_024;
/// Most bytes of a message of a stream of events.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_024 * 1_024;
