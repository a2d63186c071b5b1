//! Operation ids: the same id gives the first answer and takes effect once.

mod answers;
mod doubt;
mod kept;

use std::fmt::Debug;

use windlass_core::{BoxFuture, Coded};
use windlass_stash::durable::{Execution, Once, Stashes};
use windlass_stash::{Condition, Increment, Operation, Put, StashError};

use super::world::execution;
use crate::support::{HOUR, START, key, sized};

/// An operation id of the usual principal.
fn id(name: &str) -> Once {
    of("runtime", name)
}

fn of(principal: &str, name: &str) -> Once {
    let principal = principal.parse().expect("an identifier");
    Once::new(principal, name.parse().expect("an identifier"))
}

/// An execution of the usual stash whose changes are made under an id.
fn under(stashes: &Stashes, once: Once) -> Execution {
    execution(stashes, None).once(once)
}

/// What an answer says, or the code of the refusal.
fn told<T: Debug, E: Coded>(answer: Result<T, E>) -> String {
    match answer {
        Ok(answer) => format!("ok: {answer:?}"),
        Err(error) => error.code().to_owned(),
    }
}

async fn count(stashes: &Stashes, once: Once) -> Result<i64, StashError> {
    let counted = under(stashes, once).increment(&key("n"), 1, None).await;
    counted.map(|number| number.value)
}

type Change = for<'a> fn(&'a Execution) -> BoxFuture<'a, String>;

fn increment(by: i64) -> Operation {
    Operation::Increment(Increment {
        key: key("n"),
        by,
        ttl_ms: None,
    })
}

/// Every kind of change, none of which would be the same again.
fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("put", |it| {
            Box::pin(async { told(it.put(&key("n"), &1, None).await) })
        }),
        ("put of a long value", |it| {
            let put = Put::new(key("long"), sized(300_000)).ttl_ms(HOUR);
            Box::pin(async { told(it.store(put).await) })
        }),
        ("put if absent", |it| {
            Box::pin(async { told(it.put_if_absent(&key("new"), &1, None).await) })
        }),
        ("compare and swap", |it| {
            let put = Put::new(key("n"), sized(9)).condition(Condition::Version(START + 2));
            Box::pin(async { told(it.store(put).await) })
        }),
        ("delete", |it| {
            Box::pin(async { told(it.delete(&key("n")).await) })
        }),
        ("delete of nothing", |it| {
            Box::pin(async { told(it.delete(&key("late")).await) })
        }),
        ("touch", |it| {
            Box::pin(async { told(it.touch(&key("n"), Some(2 * HOUR)).await) })
        }),
        ("touch of nothing", |it| {
            Box::pin(async { told(it.touch(&key("late"), None).await) })
        }),
        ("increment", |it| {
            Box::pin(async { told(it.increment(&key("n"), 2, None).await) })
        }),
        ("step", |it| {
            let step = [
                Operation::Get(key("n")),
                Operation::Get(key("nothing")),
                increment(3),
                Operation::Delete(key("first")),
                Operation::Touch {
                    key: key("n"),
                    ttl_ms: Some(HOUR),
                },
                Operation::Put(Put::new(key("long"), sized(300_000))),
                Operation::Get(key("n")),
            ];
            Box::pin(async move {
                let answers = it.step(&step).await;
                told(answers.map(|answers| {
                    // Values show only their size.
                    answers.into_iter().map(shown).collect::<Vec<_>>()
                }))
            })
        }),
        ("clear", |it| Box::pin(async { told(it.clear().await) })),
    ]
}

fn shown(answer: windlass_stash::Answer) -> String {
    match answer {
        windlass_stash::Answer::Entry(Some(entry)) => {
            let (json, metadata) = (entry.value.as_json(), entry.metadata);
            format!("{json} {metadata:?} {}", entry.ttl_left_ms)
        }
        other => format!("{other:?}"),
    }
}
