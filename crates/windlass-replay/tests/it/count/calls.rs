//! The calls of every run, read from plain JSON values.

use std::io;

use serde_json::Value;

/// One run as far as it matters for counting.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) key: String,
    pub(crate) parent: Option<String>,
    pub(crate) calls: Vec<String>,
    pub(crate) budget: Option<usize>,
}

/// Every run of a file.
pub(crate) fn runs(text: &str) -> io::Result<Vec<Counted>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let values: Vec<Value> = values.collect::<Result<_, _>>()?;
    let numbered = values.iter().enumerate();
    Ok(numbered
        .flat_map(|(place, value)| match value {
            Value::Array(elements) => array(elements),
            _ => object(place, value),
        })
        .collect())
}

fn array(elements: &[Value]) -> Vec<Counted> {
    let has = |field: &str| {
        elements
            .first()
            .is_some_and(|first| !first[field].is_null())
    };
    if has("traj") {
        elements.iter().map(chat_run).collect()
    } else if has("is_success") {
        vec![named("0", vec!["write_state".to_owned()])]
    } else if has("mode") {
        recorded_conversations(elements)
    } else {
        log("0", None, elements)
    }
}

fn object(place: usize, value: &Value) -> Vec<Counted> {
    let key = place.to_string();
    if let Some(simulations) = value["simulations"].as_array() {
        let budget = number(&value["info"]["max_steps"]);
        return simulations
            .iter()
            .map(|run| simulation(run, budget))
            .collect();
    }
    if value["tree"].is_object() {
        let mut calls = Vec::new();
        actions(&value["tree"]["tree"], &mut calls);
        let budget = number(&value["forward_args"]["max_query_count"]);
        return vec![Counted {
            budget,
            ..named(&key, calls)
        }];
    }
    if let Some(turns) = value["trajectory"].as_array() {
        return vec![named(&key, first_words(turns))];
    }
    if let Some(history) = value["history"].as_array() {
        if history.iter().any(|entry| entry["role"].is_string()) {
            return vec![named(&key, first_words(history))];
        }
        let budget = number(&value["metadata"]["max_iterations"]);
        let key = value["instance_id"].as_str().map_or(key, str::to_owned);
        return log(&key, budget, history);
    }
    let members = value.as_object().into_iter().flatten();
    members.map(|(key, run)| shell_run(key, run)).collect()
}

fn named(key: &str, calls: Vec<String>) -> Counted {
    Counted {
        key: key.to_owned(),
        calls,
        ..Counted::default()
    }
}

fn number(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// tau-bench: the function of every tool call of every message; no budget.
fn chat_run(run: &Value) -> Counted {
    let calls = list(&run["traj"]).flat_map(|message| list(&message["tool_calls"]));
    let calls = calls.map(|call| text(&call["function"]["name"])).collect();
    named(&format!("{}.{}", run["task_id"], run["trial"]), calls)
}

/// tau2: likewise, but for the calls of the simulated user.
fn simulation(run: &Value, budget: Option<usize>) -> Counted {
    let calls = list(&run["messages"]).flat_map(|message| list(&message["tool_calls"]));
    let calls = calls.filter(|call| call["requestor"] != "user");
    let calls = calls.map(|call| text(&call["name"])).collect();
    Counted {
        budget,
        ..named(run["id"].as_str().unwrap_or_default(), calls)
    }
}

/// InterCode: one call of the environment for every action; `turns_max` of
/// them are allowed.
fn shell_run(key: &str, run: &Value) -> Counted {
    let actions = list(&run["turn_history"]["actions"]).count();
    Counted {
        budget: number(&run["summary"]["turns_max"]),
        ..named(key, vec![text(&run["environment"]); actions])
    }
}

/// SWE-agent: the first word of every action.
fn first_words(entries: &[Value]) -> Vec<String> {
    let actions = entries.iter().map(|entry| text(&entry["action"]));
    let words = actions.filter_map(|action| action.split_whitespace().next().map(str::to_owned));
    words.collect()
}

/// ToolBench: every action of the tree, from the top down.
fn actions(node: &Value, calls: &mut Vec<String>) {
    if node["node_type"] == "Action" {
        calls.push(text(&node["description"]));
    }
    list(&node["children"]).for_each(|child| actions(child, calls));
}

/// AutoGen: a call goes on with the conversation whose last call it repeats,
/// the answer included.
fn recorded_conversations(elements: &[Value]) -> Vec<Counted> {
    let mut talks: Vec<Vec<usize>> = Vec::new();
    for (place, call) in elements.iter().enumerate() {
        let continued = talks
            .iter_mut()
            .rev()
            .find(|talk| goes_on(&elements[talk[talk.len() - 1]], call));
        match continued {
            Some(talk) => talk.push(place),
            None => talks.push(vec![place]),
        }
    }
    let run = |talk: &Vec<usize>| {
        let calls = talk.iter().map(|place| text(&elements[*place]["mode"]));
        named(&talk[0].to_string(), calls.collect())
    };
    talks.iter().map(run).collect()
}

fn goes_on(before: &Value, call: &Value) -> bool {
    let sent: Vec<&Value> = list(&before["messages"]).collect();
    let now: Vec<&Value> = list(&call["messages"]).collect();
    now.len() > sent.len()
        && now[..sent.len()] == sent[..]
        && now[sent.len()]["type"] == "AssistantMessage"
        && now[sent.len()]["content"] == before["response"]["content"]
}

/// OpenHands: what the agent does but speak and keep house. What stands
/// between a delegation and its end is another run.
fn log(key: &str, budget: Option<usize>, events: &[Value]) -> Vec<Counted> {
    let task = Counted {
        budget,
        ..named(key, Vec::new())
    };
    let (mut runs, mut open) = (vec![task], vec![0]);
    for event in events {
        if event["observation"] == "delegate" && open.len() > 1 {
            open.pop();
        }
        let run = open[open.len() - 1];
        let action = text(&event["action"]);
        let speaks = ["", "system", "message", "recall", "null"].contains(&action.as_str());
        let keeps_house = action.starts_with("condensation") || action == "change_agent_state";
        if event["source"] != "agent" || speaks || keeps_house {
            continue;
        }
        let function = &event["tool_call_metadata"]["function_name"];
        let tool = if function.is_string() {
            text(function)
        } else {
            action.clone()
        };
        runs[run].calls.push(tool);
        if action == "delegate" {
            let (parent, step) = (runs[run].key.clone(), runs[run].calls.len());
            open.push(runs.len());
            runs.push(Counted {
                parent: Some(parent.clone()),
                ..named(&format!("{parent}.{step}"), Vec::new())
            });
        }
    }
    runs
}
