//! PgBouncer in front of a server, where it is installed.

use std::fs;
use std::path::{Path, PathBuf};

use super::installation::{Installation, path};
use super::place::Place;
use super::process::Process;
use super::server::{Server, free_port};
use super::{ServerError, template};

/// What it says once it can be used.
const READY: &str = "process up";

/// Where Debian puts it, which is not always on PATH.
const DEBIAN: &str = "/usr/sbin";

/// Connections to the server that all clients share; an export under way has
/// one for itself.
const CONNECTIONS: u32 = 8;

/// A pooler that gives each transaction whichever of few connections is free:
/// nothing that a session leaves behind can be relied on.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    /// `None` only while it is dropped.
    process: Option<Process>,
    _place: Place,
}

impl Pooler {
    /// Starts one in front of the database `postgres` of `server`; `None` if
    /// no `pgbouncer` is installed.
    ///
    /// # Errors
    ///
    /// What kept it from starting.
    pub fn start(server: &Server) -> Result<Option<Self>, ServerError> {
        let Some(program) = find() else {
            return Ok(None);
        };
        let installation = Installation::find()?;
        let place = Place::make(&installation)?;
        let port = free_port()?;
        let file = place.directory().join("pgbouncer.ini");
        let settings = settings(server.port(), port);
        let written = fs::write(&file, settings);
        written.map_err(ServerError::system("write the pooler's settings"))?;
        let mut command = installation.mortal_command(program);
        command.arg(file);
        Ok(Some(Self {
            port,
            process: Some(Process::start(command, READY)?),
            _place: place,
        }))
    }

    /// The address of the database behind it, for the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        let user = template::SUPERUSER;
        format!("postgres://{user}@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            // If it cannot be told, it ends with this process.
            let _ = process.stop();
        }
    }
}

fn find() -> Option<PathBuf> {
    let directories = path().into_iter().chain([Path::new(DEBIAN).to_owned()]);
    let programs = directories.map(|directory| directory.join("pgbouncer"));
    programs.into_iter().find(|program| program.is_file())
}

fn settings(server: u16, port: u16) -> String {
    let user = template::SUPERUSER;
    format!(
        "[databases]\n\
         postgres = host=127.0.0.1 port={server} user={user}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         max_client_conn = 500\n\
         default_pool_size = {CONNECTIONS}\n"
    )
}
