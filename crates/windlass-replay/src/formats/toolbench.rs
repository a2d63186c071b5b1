//! Reads runs as ToolBench's depth-first search records them.
//!
//! A file is one run. Its tree has a node for every thought, every action and
//! every action's input; the search went down, came back from what failed and
//! tried something else. Each input below an action is a call of the API that
//! the action names, in the order of the tree from the top down, branches
//! that came to nothing included; an action without input is a call that was
//! never answered. `Finish`, which ends a branch, is a call like the others.
//! The budget is `max_query_count`: at most one call comes of a query.
//!
//! The messages are those of the tree: at the top what every attempt began
//! with (the first of `train_messages` up to the user's query, or the query
//! alone where there are none), then each thought, call and observation behind what
//! led to it. So a call's conversation is its own branch, not what happened
//! elsewhere. `train_messages` tells one branch a second time and is not used
//! otherwise. There are no ids of calls, no times and no sub-agents: branches
//! are attempts of one agent.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::{Content, checked_tool, message};
use crate::json;
use crate::model::Step;

/// Reads one object.
pub(crate) fn read(key: String, raw: &RawValue) -> Result<Content, RunError> {
    let answer: Answer<'_> = serde_json::from_str(raw.get())?;
    let mut reader = Reader::default();
    let top = reader.begin(&answer.answer_generation)?;
    reader.children(&answer.tree.tree, top)?;
    Ok(Content {
        calls_budget: answer
            .forward_args
            .and_then(|limits| limits.max_query_count),
        messages: reader.conversation.into_messages(),
        steps: reader.steps,
        ..Content::new(key)
    })
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    tree: Tree<'a>,
    forward_args: Option<Limits>,
    #[serde(borrow)]
    answer_generation: Generation<'a>,
}

#[derive(Deserialize)]
struct Tree<'a> {
    #[serde(borrow)]
    tree: Node<'a>,
}

#[derive(Deserialize)]
struct Limits {
    max_query_count: Option<u64>,
}

#[derive(Deserialize)]
struct Generation<'a> {
    query: Option<String>,
    #[serde(borrow)]
    train_messages: Option<Vec<Vec<&'a RawValue>>>,
}

/// A node and all below it. Trees nested deeper than `serde_json` goes are
/// refused by it; they are far deeper than any search.
#[derive(Deserialize)]
struct Node<'a> {
    node_type: NodeType,
    #[serde(default)]
    description: String,
    #[serde(borrow)]
    observation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    children: Vec<Node<'a>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
enum NodeType {
    Thought,
    Action,
    #[serde(rename = "Action Input")]
    Input,
}

#[derive(Deserialize)]
struct Role {
    role: String,
}

#[derive(Default)]
struct Reader {
    conversation: Conversation,
    steps: Vec<Step>,
}

impl Reader {
    /// What comes before the first node.
    fn begin(&mut self, generation: &Generation<'_>) -> Result<Option<usize>, RunError> {
        let mut texts = Vec::new();
        let told = generation.train_messages.iter().flatten().next();
        for raw in told.into_iter().flatten() {
            let Role { role } = serde_json::from_str(raw.get())?;
            texts.push(json::compact(raw)?);
            // Behind the query comes what was said on the branch that won.
            if role != "system" {
                break;
            }
        }
        if texts.is_empty() {
            texts.extend(generation.query.iter().map(|query| message("user", query)));
        }
        Ok(self.conversation.restate(None, texts))
    }

    /// Reads what is below a node, whose conversation ends with `last`.
    fn children(&mut self, node: &Node<'_>, last: Option<usize>) -> Result<(), RunError> {
        node.children
            .iter()
            .try_for_each(|child| match child.node_type {
                NodeType::Thought => {
                    let text = message("assistant", &child.description);
                    let last = self.conversation.push_after(last, text);
                    self.children(child, Some(last))
                }
                NodeType::Action => self.action(child, last),
                // An input that belongs to no action calls nothing.
                NodeType::Input => self.children(child, last),
            })
    }

    fn action(&mut self, action: &Node<'_>, last: Option<usize>) -> Result<(), RunError> {
        let inputs = action
            .children
            .iter()
            .filter(|child| child.node_type == NodeType::Input);
        let mut called = false;
        for input in inputs {
            called = true;
            let last = self.call(&action.description, Some(input), last)?;
            self.children(input, Some(last))?;
        }
        if !called {
            let last = self.call(&action.description, None, last)?;
            self.children(action, Some(last))?;
        }
        Ok(())
    }

    /// Adds a call and its answer, and answers the place of the last message.
    fn call(
        &mut self,
        tool: &str,
        input: Option<&Node<'_>>,
        last: Option<usize>,
    ) -> Result<usize, RunError> {
        let arguments = input.map_or("", |input| &input.description);
        let output = input.and_then(|input| input.observation);
        let output = output.map(json::text).transpose()?.flatten();
        let made = json!({
            "role": "assistant",
            "content": null,
            "function_call": { "name": tool, "arguments": arguments },
        });
        let mut last_message = self.conversation.push_after(last, made.to_string());
        if let Some(output) = &output {
            let answer = json!({ "role": "function", "name": tool, "content": output });
            last_message = self
                .conversation
                .push_after(Some(last_message), answer.to_string());
        }
        self.steps.push(Step {
            tool: checked_tool(tool.to_owned(), &self.steps)?,
            call: None,
            arguments: arguments.to_owned(),
            output,
            last_message,
            state: None,
        });
        Ok(last_message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tree: &str, generation: &str) -> Result<Content, RunError> {
        let text = format!(
            r#"{{"win": true, "forward_args": {{"max_query_count": 20}}, "tree": {{"tree": {tree}}}, "answer_generation": {generation}}}"#
        );
        read("0".to_owned(), &RawValue::from_string(text).unwrap())
    }

    fn node(kind: &str, description: &str, observation: &str, children: &[String]) -> String {
        format!(
            r#"{{"node_type": "{kind}", "description": "{description}", "observation": {observation}, "children": [{}]}}"#,
            children.join(",")
        )
    }

    fn call(name: &str, observation: &str, children: &[String]) -> String {
        let input = node("Action Input", "{}", observation, children);
        node("Action", name, "null", &[input])
    }

    const QUERY: &str = r#"{"query": "when is high water"}"#;

    /// How many messages lead to the last of each step.
    fn lengths(content: &Content) -> Vec<usize> {
        let before = |place: &usize| content.messages[*place].after;
        let steps = content.steps.iter();
        steps
            .map(|step| std::iter::successors(Some(step.last_message), before).count())
            .collect()
    }

    #[test]
    fn calls_come_from_the_top_down_with_the_conversation_of_their_own_branch() {
        let failed = call(
            "tides_of_harbour",
            "\"no such harbour\"",
            &[call("Finish", "\"\"", &[])],
        );
        let thought = node(
            "Thought",
            "ask for the island",
            "null",
            &[call("tides_of_island", "\"06:12\"", &[])],
        );
        let content = run(&node("Action Input", "", "null", &[failed, thought]), QUERY).unwrap();
        let tools: Vec<_> = content
            .steps
            .iter()
            .map(|step| step.tool.as_str())
            .collect();
        assert_eq!(tools, ["tides_of_harbour", "Finish", "tides_of_island"]);
        assert_eq!(
            lengths(&content),
            [3, 5, 4],
            "the failed branch is not part of the other"
        );
        assert_eq!(content.steps[2].output.as_deref(), Some("06:12"));
        assert_eq!(content.calls_budget, Some(20));
        assert_eq!(
            content.messages[0].text,
            r#"{"role":"user","content":"when is high water"}"#
        );
    }

    #[test]
    fn a_conversation_begins_with_what_the_training_messages_begin_with() {
        let generation = r#"{"query": "q", "train_messages": [[
            {"role": "system", "content": "be brief"}, {"role": "user", "content": "q"},
            {"role": "user", "content": "again"}, {"role": "assistant", "content": null}]]}"#;
        let content = run(
            &node("Action Input", "", "null", &[call("tides", "\"x\"", &[])]),
            generation,
        )
        .unwrap();
        assert_eq!(
            content.messages[0].text,
            r#"{"role":"system","content":"be brief"}"#
        );
        assert_eq!(lengths(&content), [4]);
    }

    #[test]
    fn an_action_without_input_is_a_call_without_answer() {
        let content = run(
            &node(
                "Action Input",
                "",
                "null",
                &[node("Action", "tides", "null", &[])],
            ),
            QUERY,
        )
        .unwrap();
        assert_eq!(content.steps.len(), 1);
        assert_eq!(
            (content.steps[0].output.as_deref(), lengths(&content)),
            (None, vec![2])
        );
    }

    #[test]
    fn a_node_of_another_kind_is_refused() {
        let error = run(&node("Guess", "", "null", &[]), QUERY).unwrap_err();
        assert!(matches!(error, RunError::Form(_)), "{error:?}");
    }

    #[test]
    fn a_tree_without_end_is_refused_not_followed() {
        let deep = (0..300).fold(node("Thought", "end", "null", &[]), |below, _| {
            node("Thought", "on", "null", &[below])
        });
        let error = run(&deep, QUERY).unwrap_err();
        assert!(matches!(error, RunError::Form(_)), "{error:?}");
    }
}
