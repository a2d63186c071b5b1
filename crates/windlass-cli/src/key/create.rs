//! The commands that make secrets.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use windlass::access::{AccessError, Grant, Groups, NewKey, Problem, Reach, Rotate, Scope, Verbs};

use super::OneKey;
use super::secret::Place;
use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::id;

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// What you call it
    #[arg(value_name = "LABEL")]
    label: String,
    /// What it may do: a verb such as `session.use`, all about one thing
    /// (`session.*`), or `*`; can be repeated
    #[arg(long = "verb", value_name = "VERB", required = true)]
    verbs: Vec<String>,
    /// A key of whoever runs the service, and not of the tenant and the
    /// principal that `--tenant` and `--principal` name
    #[arg(long, conflicts_with_all = ["reach", "groups", "all_groups"])]
    operator: bool,
    /// Which sessions of the tenant it sees: those of its own principal, or
    /// all
    #[arg(long, value_enum, value_name = "REACH", default_value = "own")]
    reach: ReachWord,
    /// A group it may act as in a stash; can be repeated
    #[arg(long = "group", value_name = "ID", conflicts_with = "all_groups")]
    groups: Vec<String>,
    /// It may act as any group
    #[arg(long)]
    all_groups: bool,
    /// End it after so many milliseconds: 1000 to ten years
    #[arg(long, value_name = "MS")]
    ttl_ms: Option<u64>,
    #[command(flatten)]
    given: Given,
}

#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    key: OneKey,
    /// How long the present secret still works: up to 30 days
    #[arg(long, value_name = "MS", default_value_t = 0)]
    overlap_ms: u64,
    #[command(flatten)]
    given: Given,
}

/// What both have in common.
#[derive(Args, Debug)]
struct Given {
    /// Write the secret to this new file, which only you can read, and not to
    /// standard output
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Your name for this change: repeated under the same one it is done once,
    /// and the secret is not shown again
    #[arg(long, value_name = "ID")]
    operation: Option<String>,
}

/// Which sessions a key sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReachWord {
    Own,
    Tenant,
}

impl CreateArgs {
    fn request(&self, context: &Context) -> Result<NewKey, Failure> {
        let caller = context.caller();
        let scope = if self.operator {
            Scope::Operator
        } else {
            Scope::Tenant {
                tenant: caller.tenant.clone(),
                principal: caller.principal.clone(),
            }
        };
        let grant = Grant {
            scope,
            reach: match self.reach {
                ReachWord::Own => Reach::Own,
                ReachWord::Tenant => Reach::Tenant,
            },
            groups: self.groups()?,
            verbs: verbs(&self.verbs)?,
        };
        let mut request = NewKey::new(self.label.clone(), grant);
        request.ttl_ms = self.ttl_ms;
        request.operation = self.given.operation.as_deref().map(id).transpose()?;
        Ok(request)
    }

    fn groups(&self) -> Result<Groups, Failure> {
        if self.all_groups {
            return Ok(Groups::All);
        }
        if self.groups.is_empty() {
            return Ok(Groups::None);
        }
        let groups = self.groups.iter().map(|group| id(group));
        Ok(Groups::Only(groups.collect::<Result<_, Failure>>()?))
    }
}

fn verbs(texts: &[String]) -> Result<Verbs, AccessError> {
    let known = Verbs::of(texts.iter().map(String::as_str));
    known.map_err(|unknown| AccessError::Invalid {
        field: "verbs",
        problem: Problem::Verb(unknown),
    })
}

/// Makes a key. If its secret cannot be kept, neither is the key.
pub(crate) async fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let request = args.request(context)?;
    let place = Place::new(args.given.secret_file)?;
    let (key, secret) = context
        .with_keeper(async |keeper| {
            let (key, secret) = keeper.create_key(request).await?;
            if let Err(failure) = place.keep(&secret) {
                keeper.revoke_key(&key.id).await?;
                return Err(failure);
            }
            Ok((key, secret))
        })
        .await?;
    place.tell(&key, &secret, context.output())
}

/// Gives a key a new secret.
pub(crate) async fn rotate(args: RotateArgs, context: &Context) -> Result<(), Failure> {
    let key = args.key.id()?;
    let request = Rotate {
        overlap_ms: args.overlap_ms,
        operation: args.given.operation.as_deref().map(id).transpose()?,
    };
    let place = Place::new(args.given.secret_file)?;
    let (key, secret) = context
        .with_keeper(async |keeper| {
            let (key, secret) = keeper.rotate_key(&key, request).await?;
            place.keep(&secret)?;
            Ok((key, secret))
        })
        .await?;
    place.tell(&key, &secret, context.output())
}
