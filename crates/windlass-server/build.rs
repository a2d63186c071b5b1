//! Builds again when a file of the console is added or taken away, which the
//! sources alone do not tell.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    // What a build script has to say, it says on its output.
    writeln!(io::stdout(), "cargo::rerun-if-changed=console")
}
