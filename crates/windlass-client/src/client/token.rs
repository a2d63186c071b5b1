//! The credential, kept out of everything that is shown.

use std::fmt;

use reqwest::header::HeaderValue;

use super::SettingsError;

/// An API key (`wl_…`) or a signed token, as it is sent in `Authorization`.
///
/// Its `Debug` form shows nothing of it, and the header it becomes is marked
/// as sensitive, so that the HTTP stack does not log it either.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// The token that `text` is, without the spaces and line breaks around it.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Token`] if it is empty, or has a character that such a
    /// token cannot have.
    pub fn new(text: &str) -> Result<Self, SettingsError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SettingsError::Token);
        }
        let header = HeaderValue::from_str(&format!("Bearer {text}"));
        let mut header = header.map_err(|_| SettingsError::Token)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_never_shown() {
        let token = Token::new(" wl_0123_secret\n").unwrap();
        assert_eq!(token.header().to_str().unwrap(), "Bearer wl_0123_secret");
        assert_eq!(
            format!("{token:?} {:?}", token.header()),
            "Token(…) Sensitive"
        );
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_no_token() {
        for text in ["", " \n", "two words", "line\nbreak", "ümlaut", "nul\0"] {
            let refused = Token::new(text).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "the token is empty or no token",
                "{text:?}"
            );
        }
    }
}
