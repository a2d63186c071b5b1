//! Several stash operations in one atomic step.

use windlass::access::Verb;
use windlass::stash::{Answer, Condition, Increment, Key, Operation, Put};
use windlass_client::stash as wire;

use super::settled;
use super::stash::{
    NUMBER_BYTES_MAX, OF_CHANGE, VALUE_BYTES_MAX, admitted, entry_of, metadata, number_of, value,
    writer,
};
use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions/{session}/stash/steps", "step", |call| {
            Box::pin(step(call))
        })
        .about(
            "stash",
            "Does several operations in one atomic step, all of them or none",
        )
        .access(Access::Tenant(Verb::StashWrite))
        .serves(&["Execution::step"])
        .query::<wire::GroupQuery>()
        .takes::<wire::Steps>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::Answers>(200, "An answer for each operation, in their order")
        .fails(OF_CHANGE)
        .fails(&[
            "invalid_key",
            "key_too_long",
            "cross_group_access",
            "key_unavailable",
            "group_not_allowed",
            "not_a_number",
            "overflow",
            "operation_limit",
        ]),
    ]
}

async fn step(call: Call) -> Result<Reply, Refused> {
    let group = call.query::<wire::GroupQuery>()?.group;
    let asked: wire::Steps = call.json()?;
    let writing = writer(&call, group.as_deref()).await?;
    let operations = asked.operations.iter().map(operation);
    let operations: Vec<Operation> = operations.collect::<Result<_, _>>()?;
    let bytes = operations.iter().map(bytes).sum::<u64>();
    let admitted = admitted(&call, &writing, bytes).await?;
    let answers = settled(admitted, writing.execution.step(&operations).await)?;
    let answers = operations.iter().zip(&answers);
    let answers = answers.map(|(operation, answer)| said(operation.key(), answer));
    Ok(Reply::json(&wire::Answers {
        answers: answers.collect::<Result<_, _>>()?,
    }))
}

fn operation(asked: &wire::Operation) -> Result<Operation, Refused> {
    let key = |text: &str| -> Result<Key, Refused> { Ok(text.parse()?) };
    Ok(match asked {
        wire::Operation::Get(of) => Operation::Get(key(&of.key)?),
        wire::Operation::Delete(of) => Operation::Delete(key(&of.key)?),
        wire::Operation::Put(step) => {
            let mut put = Put::new(key(&step.key)?, value(&step.value)?);
            put.ttl_ms = step.ttl_ms;
            put.condition = match step.condition {
                None | Some(wire::Condition::Any) => Condition::Any,
                Some(wire::Condition::Absent) => Condition::Absent,
                Some(wire::Condition::Version(version)) => Condition::Version(version),
            };
            Operation::Put(put)
        }
        wire::Operation::Touch(step) => Operation::Touch {
            key: key(&step.key)?,
            ttl_ms: step.ttl_ms,
        },
        wire::Operation::Increment(step) => Operation::Increment(Increment {
            key: key(&step.key)?,
            by: step.by,
            ttl_ms: step.ttl_ms,
        }),
    })
}

fn bytes(operation: &Operation) -> u64 {
    match operation {
        Operation::Put(put) => put.value.size(),
        Operation::Increment(_) => NUMBER_BYTES_MAX,
        _ => 0,
    }
}

fn said(key: &Key, answer: &Answer) -> Result<wire::Answer, Refused> {
    Ok(match answer {
        Answer::Entry(entry) => {
            wire::Answer::Entry(entry.as_ref().map(|entry| entry_of(key, entry)))
        }
        Answer::Stored(stored) => wire::Answer::Stored(metadata(stored)),
        Answer::Deleted(deleted) => wire::Answer::Deleted(*deleted),
        Answer::Touched(touched) => wire::Answer::Touched(touched.as_ref().map(metadata)),
        Answer::Number(number) => wire::Answer::Number(number_of(number)),
        _ => {
            let detail = "the answer has no form here";
            return Err(Box::new(Problem::new(500, "internal", detail)));
        }
    })
}
