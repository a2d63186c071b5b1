//! What the operating system interrupts a command with, beside the user.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// While the answer is held, a write beyond the process's file size limit
/// fails with an error, which has a code and leaves the store sound, instead
/// of ending the process.
pub(crate) fn outlive_file_size_limit() -> io::Result<Signal> {
    signal(SignalKind::from_raw(libc::SIGXFSZ))
}
