//! The messages of a run, which need not be one row: a search goes back and
//! tries something else, and an agent may shorten what it sent before.

use crate::model::Message;

/// Messages as they are added, each behind another one.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    messages: Vec<Message>,
}

impl Conversation {
    /// Adds a message behind the one that was added last, and answers its
    /// place.
    pub(crate) fn push(&mut self, text: String) -> usize {
        let after = self.messages.len().checked_sub(1);
        self.push_after(after, text)
    }

    /// Adds a message behind any other one; with `None` it begins anew.
    pub(crate) fn push_after(&mut self, after: Option<usize>, text: String) -> usize {
        self.messages.push(Message { text, after });
        self.messages.len() - 1
    }

    /// Adds a conversation told from its beginning, and answers the place of
    /// its last message. What it begins with in common with the conversation
    /// that ends with `other` is not added again.
    pub(crate) fn restate(&mut self, other: Option<usize>, texts: Vec<String>) -> Option<usize> {
        let path = self.path(other);
        let shared = path
            .iter()
            .zip(&texts)
            .take_while(|(place, text)| self.messages[**place].text == **text)
            .count();
        let mut last = shared.checked_sub(1).map(|place| path[place]);
        for text in texts.into_iter().skip(shared) {
            last = Some(self.push_after(last, text));
        }
        last
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    /// The places of a conversation's messages from its beginning.
    fn path(&self, last: Option<usize>) -> Vec<usize> {
        let mut path: Vec<usize> =
            std::iter::successors(last, |place| self.messages[*place].after).collect();
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_conversation_told_again_adds_only_what_is_new() {
        let mut conversation = Conversation::default();
        let first = conversation.restate(None, texts(&["a", "b"]));
        let longer = conversation.restate(first, texts(&["a", "b", "c"]));
        let changed = conversation.restate(longer, texts(&["a", "x", "c"]));
        assert_eq!((first, longer, changed), (Some(1), Some(2), Some(4)));
        let told: Vec<_> = conversation
            .into_messages()
            .into_iter()
            .map(|message| (message.text, message.after))
            .collect();
        let expected = [
            ("a", None),
            ("b", Some(0)),
            ("c", Some(1)),
            ("x", Some(0)),
            ("c", Some(3)),
        ];
        assert_eq!(told, expected.map(|(text, after)| (text.to_owned(), after)));
    }

    #[test]
    fn nothing_told_ends_nowhere() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.restate(None, Vec::new()), None);
    }
}
