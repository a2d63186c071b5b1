//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::audit::AuditCommand;
use crate::backup::{BackupArgs, RestoreArgs};
use crate::cache::CacheCommand;
use crate::check::CheckArgs;
use crate::checkpoint::CheckpointCommand;
use crate::completions::CompletionsArgs;
use crate::config::ConfigCommand;
use crate::gc::GcArgs;
use crate::key::KeyCommand;
use crate::maintenance::MaintenanceCommand;
use crate::man::ManArgs;
use crate::migrate::MigrateArgs;
use crate::queue::QueueCommand;
use crate::replay::ReplayArgs;
use crate::serve::ServeArgs;
use crate::session::SessionCommand;
use crate::stash::StashCommand;
use crate::store::StoreCommand;
use crate::stream::StreamCommand;
use crate::tenant::TenantCommand;
use crate::transfer::{ExportArgs, ImportArgs};

/// What each exit code means, under a heading.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done                     5  refused (budget, rate, authorisation)
  1  failed                   6  unavailable, busy, or outcome unknown
  2  wrong usage or input     7  stored data is damaged
  3  conflict                 8  the environment must be put right
  4  not found              130  interrupted";

/// Durable session state for AI agents: what an agent may call, how often,
/// for how long, and what is left.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Debug, Default)]
pub(crate) struct Global {
    /// Where the store is: `memory:`, `sqlite:PATH`, `sled:PATH` or
    /// `postgres://USER@HOST/DATABASE` [default:
    /// sqlite:./windlass.db]
    #[arg(
        long,
        global = true,
        value_name = "LOCATION",
        help_heading = "Global options"
    )]
    pub(crate) store: Option<String>,
    /// Work on the server at this address instead of on a store; its
    /// credential comes from `WINDLASS_KEY`, or from `--key-file`
    #[arg(
        long,
        global = true,
        value_name = "URL",
        conflicts_with = "store",
        help_heading = "Global options"
    )]
    pub(crate) server: Option<String>,
    /// The file with the credential for the server, which nobody else may read
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// Whose data it is [default: default]
    #[arg(
        long,
        global = true,
        value_name = "ID",
        help_heading = "Global options"
    )]
    pub(crate) tenant: Option<String>,
    /// Who calls [default: cli]
    #[arg(
        long,
        global = true,
        value_name = "ID",
        help_heading = "Global options"
    )]
    pub(crate) principal: Option<String>,
    /// The configuration file [default: windlass.toml, if there is one]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Speak JSON: one object a line
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// When to use colours [default: auto]
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub(crate) color: Option<ColorWhen>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands, by noun.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Authorised, budgeted task sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Scratch data that the calls of one session share
    #[command(subcommand)]
    Stash(StashCommand),
    /// The states of sessions, and their history
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// The work of sessions, and who does it
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Output of sessions that is read on after any cut
    #[command(subcommand)]
    Stream(StreamCommand),
    /// API keys of a service that many share
    #[command(subcommand)]
    Key(KeyCommand),
    /// The tenants of a store: their quotas, and their end
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Who did what, and whether that record is whole
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Upkeep: how it stands, and having it done now
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// What the cache holds, and its upkeep by hand
    #[command(subcommand)]
    Cache(CacheCommand),
    /// The store itself
    #[command(subcommand)]
    Store(StoreCommand),
    /// Collect contents that no state needs any more
    Gc(GcArgs),
    /// Serve the store over HTTP
    Serve(ServeArgs),
    /// The settings in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Drive the engine with recorded agent runs
    Replay(ReplayArgs),
    /// Bring the schema of a store on PostgreSQL up to date
    Migrate(MigrateArgs),
    /// Check that what is stored fits together
    Check(CheckArgs),
    /// Copy everything in the store into a directory of backups, and look at those
    Backup(BackupArgs),
    /// Bring everything in a backup into a new store
    Restore(RestoreArgs),
    /// Write everything in the store to a file
    Export(ExportArgs),
    /// Bring everything in such a file into a new store
    Import(ImportArgs),
    /// Print what a shell needs to complete the words of this command
    Completions(CompletionsArgs),
    /// Print manual pages, or write them to a directory
    Man(ManArgs),
}
