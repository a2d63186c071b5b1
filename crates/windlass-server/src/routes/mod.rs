//! What can be asked of the server. Each part of the engine has its module;
//! the list they make is everything the server answers.

mod agents;
mod audit;
mod cache;
mod console;
mod create;
mod durable;
mod keys;
mod maintenance;
mod open;
mod queue;
mod sessions;
mod stash;
mod state;
mod steps;
mod store;
mod stream;
mod subscription;
mod tenants;

use windlass::Admission;
use windlass::core::{Coded, ErrorKind};

use crate::call::Call;
use crate::problem::Refused;
use crate::route::Route;

/// Entries of a page where nothing is said.
const LIMIT_DEFAULT: u64 = 100;

/// Every route, in the order of the document.
pub(crate) fn all() -> Vec<Route> {
    let parts = [
        sessions::routes(),
        agents::routes(),
        stash::routes(),
        steps::routes(),
        state::routes(),
        queue::routes(),
        subscription::routes(),
        durable::routes(),
        stream::routes(),
        keys::routes(),
        tenants::routes(),
        audit::routes(),
        cache::routes(),
        store::routes(),
        maintenance::routes(),
        console::routes(),
        open::routes(),
    ];
    parts.into_iter().flatten().collect()
}

/// Says what became of what was admitted: given back only where it is known
/// that nothing was stored.
fn settled<T, E: Coded>(admitted: Option<Admission>, done: Result<T, E>) -> Result<T, E> {
    let was_refused = done.as_ref().is_err_and(|error| {
        let kind = error.kind();
        !matches!(kind, ErrorKind::Indeterminate | ErrorKind::Closed)
    });
    match admitted {
        Some(admitted) if was_refused => admitted.give_back(),
        Some(admitted) => admitted.keep(),
        None => {}
    }
    done
}

/// A limit as the parts take it; they refuse what is out of range.
fn limit(asked: Option<u64>) -> usize {
    usize::try_from(asked.unwrap_or(LIMIT_DEFAULT)).unwrap_or(usize::MAX)
}

/// Where a listing goes on, by the cursor that was handed back.
fn position<T: std::str::FromStr>(
    call: &Call,
    listing: &[&str],
    cursor: Option<&str>,
) -> Result<Option<T>, Refused> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let position = call.app.seal.open(listing, cursor)?;
    // What was sealed was a position.
    Ok(position.parse().ok())
}
