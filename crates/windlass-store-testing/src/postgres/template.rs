//! What `initdb` makes, made once a machine and version, and copied.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ServerError;
use super::installation::{Installation, run};
use super::place::{lock, make_owned};

/// The owner of everything in a test's server.
pub(super) const SUPERUSER: &str = "postgres";

/// Goes up when what `initdb` is told changes.
const EDITION: u32 = 1;

/// The template for a version, made if there is none. Any number of
/// processes may ask at once.
pub(super) fn ensure(installation: &Installation, base: &Path) -> Result<PathBuf, ServerError> {
    let name = format!("template-{EDITION}-{}", installation.version()?);
    let template = base.join(&name);
    let _lock = lock(&base.join("lock")).map_err(ServerError::system("lock the template"))?;
    if !template.exists() {
        make(installation, &template, &base.join(format!("{name}.part")))?;
    }
    Ok(template)
}

/// Makes the template under another name first, so that one half made is
/// never taken for whole.
fn make(installation: &Installation, template: &Path, part: &Path) -> Result<(), ServerError> {
    match fs::remove_dir_all(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ServerError::system("remove half a template")(error));
        }
        _ => {}
    }
    make_owned(part, installation).map_err(ServerError::system("make a template"))?;
    let mut initdb = installation.command("initdb");
    initdb.arg("--pgdata").arg(part);
    initdb.args(["--username", SUPERUSER, "--auth", "trust"]);
    initdb.args(["--encoding", "UTF8", "--locale", "C"]);
    // Small segments: a server's files are copied for every test.
    initdb.args(["--wal-segsize", "1", "--no-sync", "--no-instructions"]);
    run(&mut initdb)?;
    fs::rename(part, template).map_err(ServerError::system("name a template"))
}

/// Copies a template as the user who will own the copy.
pub(super) fn copy(
    installation: &Installation,
    template: &Path,
    data: &Path,
) -> Result<(), ServerError> {
    let mut copy = installation.tool("cp");
    copy.args(["-R", "--preserve=mode", "--reflink=auto", "--"]);
    run(copy.arg(template).arg(data)).map(drop)
}
