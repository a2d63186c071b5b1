//! A server of a test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::ServerError;
use super::installation::{Installation, run};
use super::place::Place;
use super::process::Process;
use super::template::SUPERUSER;

/// How often a start is tried: the free port may be somebody else's by then.
const STARTS_MAX: usize = 8;

/// What a server says once it can be used.
const READY: &str = "database system is ready to accept";

/// What every server is told: few resources, nothing but loopback.
const SETTINGS: [(&str, &str); 10] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("shared_buffers", "32MB"),
    ("max_connections", "400"),
    ("max_wal_size", "256MB"),
    ("max_parallel_workers_per_gather", "0"),
    // After a death, one call instead of one for each of 900 files.
    ("recovery_init_sync_method", "syncfs"),
    ("log_checkpoints", "off"),
    // Refusals are what many tests are about; saying them costs time.
    ("log_min_messages", "log"),
    ("log_min_error_statement", "panic"),
];

/// The server that the tests of this process share, while one of them has it.
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

/// A private PostgreSQL on a port of 127.0.0.1.
///
/// Dropped, it ends and its files are removed.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    port: u16,
    settings: Vec<(String, String)>,
    /// `None` while it is down.
    process: Mutex<Option<Process>>,
    place: Place,
}

impl Server {
    /// The server of this process, started if no test has it. The last one to
    /// drop it ends it.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn shared() -> Result<Arc<Self>, ServerError> {
        let mut shared = lock(&SHARED);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start(&[])?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Starts a server of its own, with settings beside or instead of the
    /// usual ones: `("fsync", "off")`.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotInstalled`] where there is no PostgreSQL; otherwise
    /// what kept it from starting.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        let installation = Installation::find()?;
        let place = Place::populated(&installation)?;
        Self::start_in(installation, place, settings)
    }

    /// Starts a standby of this server: a copy that follows it. Its name for
    /// `synchronous_standby_names` is `name`.
    ///
    /// # Errors
    ///
    /// As [`Server::start`], and where the copy cannot be made.
    pub fn standby(&self, name: &str, settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        let installation = self.installation.clone();
        let place = Place::make(&installation)?;
        let primary = format!(
            "host=127.0.0.1 port={} user={SUPERUSER} application_name={name}",
            self.port
        );
        let mut copy = installation.command("pg_basebackup");
        copy.args(["--dbname", &primary, "--write-recovery-conf"]);
        copy.args([
            "--checkpoint",
            "fast",
            "--no-sync",
            "--wal-method",
            "stream",
        ]);
        run(copy.arg("--pgdata").arg(place.data()))?;
        Self::start_in(installation, place, settings)
    }

    fn start_in(
        installation: Installation,
        place: Place,
        settings: &[(&str, &str)],
    ) -> Result<Self, ServerError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut server = Self {
            installation,
            port: 0,
            settings: SETTINGS.iter().chain(settings).map(owned).collect(),
            process: Mutex::new(None),
            place,
        };
        for _ in 1..STARTS_MAX {
            server.port = free_port()?;
            match server.start_again() {
                Err(error) if is_port_taken(&error) => {}
                started => return started.map(|()| server),
            }
        }
        server.port = free_port()?;
        server.start_again().map(|()| server)
    }

    /// Its port on 127.0.0.1; stays the same when it is started again.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of its database `postgres`, for its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Where it has its files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.place.data()
    }

    /// The number of its first process; `None` while it is down.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Process::id)
    }

    /// Kills every process of it at one moment with SIGKILL, and waits until
    /// none is left. Nothing happens if it is down.
    ///
    /// # Errors
    ///
    /// Where the operating system does not tell its processes.
    pub fn kill(&self) -> Result<(), ServerError> {
        lock(&self.process).take().map_or(Ok(()), Process::kill)
    }

    /// Ends it at once and in order; nothing happens if it is down.
    ///
    /// # Errors
    ///
    /// Where the operating system does not let it be told.
    pub fn stop(&self) -> Result<(), ServerError> {
        lock(&self.process).take().map_or(Ok(()), Process::stop)
    }

    /// Starts it again on its files and port after [`Server::kill`] or
    /// [`Server::stop`]; waits until recovery is done.
    ///
    /// # Errors
    ///
    /// What it said before it gave up.
    pub fn start_again(&self) -> Result<(), ServerError> {
        let mut process = lock(&self.process);
        if process.is_none() {
            *process = Some(Process::start(self.server_command(), READY)?);
        }
        Ok(())
    }

    /// Makes a standby take writes, and waits until it does.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn promote(&self) -> Result<(), ServerError> {
        let mut promote = self.installation.command("pg_ctl");
        promote.args(["promote", "--wait", "--silent", "--pgdata"]);
        run(promote.arg(self.data())).map(drop)
    }

    /// Runs SQL as the superuser through `psql` and gives what it printed:
    /// a line a row, columns separated by `|`.
    ///
    /// # Errors
    ///
    /// What `psql` said.
    pub fn query(&self, sql: &str) -> Result<String, ServerError> {
        let mut psql = self.installation.command("psql");
        psql.args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet"]);
        psql.args(["--set", "ON_ERROR_STOP=1", "--dbname", &self.url()]);
        let said = run(psql.args(["--command", sql]))?;
        Ok(said.trim_end().to_owned())
    }

    fn server_command(&self) -> Command {
        let mut command = self
            .installation
            .mortal_command(self.installation.program("postgres"));
        command.arg("-D").arg(self.data());
        command.args(["-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it cannot be told, it ends with this process.
        let _ = self.stop();
    }
}

/// Whether somebody else took the port in the meantime.
fn is_port_taken(error: &ServerError) -> bool {
    let said = "could not create any TCP/IP sockets";
    matches!(error, ServerError::Program { output, .. } if output.contains(said))
}

/// A port of loopback that nobody listened on a moment ago.
pub(super) fn free_port() -> Result<u16, ServerError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let address = address.map_err(ServerError::system("find a free port"))?;
    Ok(address.port())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
