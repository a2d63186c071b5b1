//! Server-sent events (the WHATWG's HTML standard, section 9.2), as far as a
//! client needs them, without I/O.

use super::limits::MESSAGE_BYTES_MAX;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Its type; empty if the server named none.
    pub(super) event: String,
    pub(super) data: String,
    /// How long to wait before connecting again, where the server says so.
    pub(super) retry_ms: Option<u64>,
}

/// A message is larger than any that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Takes bytes as they come and gives messages as they are whole.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The line that is not ended yet.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, whose line feed may come.
    returned: bool,
    message: Message,
    /// Whether a line of data came, which may have been empty.
    has_data: bool,
}

impl Parser {
    /// Takes bytes, and adds the messages they finish to `messages`.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        messages: &mut impl Extend<Message>,
    ) -> Result<(), TooLarge> {
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => messages.extend(self.end_line()),
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.message.data.len() > MESSAGE_BYTES_MAX {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_message();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.message.event),
            "data" => {
                if self.has_data {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
                self.has_data = true;
            }
            "retry" => self.message.retry_ms = value.parse().ok(),
            // `id` is the number that the data has too; a comment, which has no
            // name, is a sign of life.
            _ => {}
        }
        None
    }

    /// A message of nothing but a wait is given out as well.
    fn end_message(&mut self) -> Option<Message> {
        let message = std::mem::take(&mut self.message);
        let has_data = std::mem::take(&mut self.has_data);
        (has_data || message.retry_ms.is_some()).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, data: &str) -> Message {
        Message {
            event: event.to_owned(),
            data: data.to_owned(),
            retry_ms: None,
        }
    }

    /// All messages of `text`, given out in pieces of `piece` bytes.
    fn parse(text: &str, piece: usize) -> Vec<Message> {
        let (mut parser, mut messages) = (Parser::default(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            parser.take(bytes, &mut messages).unwrap();
        }
        messages
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut_and_whatever_ends_a_line() {
        let text =
            ": alive\n\nid: 7\nevent: event\ndata: {\"a\":\ndata:1}\n\nevent: end\ndata: é\n\n";
        let expected = [message("event", "{\"a\":\n1}"), message("end", "é")];
        for end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', end);
            for piece in 1..text.len() {
                assert_eq!(parse(&text, piece), expected, "{end:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_message_that_is_not_ended_is_not_given_out() {
        assert_eq!(parse("event: event\ndata: 1\n", 3), []);
        assert_eq!(parse("event: event\n\n", 3), []);
        assert_eq!(parse("data\n\n", 3), [message("", "")]);
    }

    #[test]
    fn a_wait_is_told_and_one_that_is_no_number_is_not() {
        assert_eq!(parse("retry: 250\n\n", 4)[0].retry_ms, Some(250));
        assert_eq!(parse("retry: soon\ndata: 1\n\n", 4)[0].retry_ms, None);
    }

    #[test]
    fn a_message_without_end_is_refused() {
        let mut parser = Parser::default();
        let line = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(parser.take(&line, &mut Vec::new()), Err(TooLarge));
    }
}
