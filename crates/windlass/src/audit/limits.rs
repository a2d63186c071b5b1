//! Every limit of the audit.

use std::time::Duration;

/// Bytes of a text in an event; what is longer is cut, with a mark.
pub const TEXT_BYTES_MAX: usize = 200;
/// Things that an event may be about.
pub const SUBJECTS_MAX: usize = 6;
/// Figures that an event may have.
pub const FIGURES_MAX: usize = 6;
/// Bytes of an event's text, whatever its texts are: each byte of a text takes
/// two at most.
pub const EVENT_BYTES_MAX: usize = 4_096;
/// Bytes of a line of an export, without its line feed: an event with its hash.
pub const LINE_BYTES_MAX: usize = EVENT_BYTES_MAX + 128;
/// Events that one commit appends.
pub const GROUP_EVENTS_MAX: usize = 256;
/// Events that one commit trims.
pub const TRIM_EVENTS_MAX: u64 = 500;
/// Rows that are read for it: one more says when the next is due.
pub(super) const TRIM_ROWS_READ: usize = 501;
/// Chains of which lost events are counted each by itself; those of others
/// count as the system's.
pub const LOST_CHAINS_MAX: usize = 1_024;
/// Events of a page.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Races and unknown outcomes of one group before it is put off.
pub(super) const ROUNDS_MAX: u32 = 24;
/// Attempts at a group that a sink cannot take at the moment, before its events
/// count as lost.
pub(super) const ATTEMPTS_MAX: u32 = 8;
/// The wait before the second of them, doubled before each further one.
pub(super) const RETRY_WAIT: Duration = Duration::from_millis(50);
/// How long a close waits for what has not been written yet.
pub(super) const FLUSH_WAIT_MAX: Duration = Duration::from_secs(5);
