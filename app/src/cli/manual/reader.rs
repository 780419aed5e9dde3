//! Puts a letter together from lines.

use farwheel_proto::call::letter::{self, Letter, LetterError, Wanted};

use crate::session::unix_seconds;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    text: String,
    error: Option<LetterError>,
}

impl Reader {
    /// Takes a line: gives the letter with its text once it is whole, or what is wrong with it, after which another one
    /// begins.
    pub(super) fn handle_line(
        &mut self,
        line: &str,
        wanted: Wanted,
    ) -> Option<Result<(Letter, String), LetterError>> {
        self.text.push_str(line);
        self.text.push('\n');
        match letter::read(&self.text, wanted, unix_seconds()) {
            Ok(letter) => Some(Ok((letter, std::mem::take(self).text))),
            // The rest may follow; more than that is none.
            Err(incomplete) if incomplete.is_incomplete() && self.text.len() < letter::TEXT_BYTES_MAX => {
                self.error = Some(incomplete);
                None
            }
            Err(wrong) => {
                *self = Self::default();
                Some(Err(wrong))
            }
        }
    }

    /// Nothing more comes: what is missing of a letter that has begun.
    pub(super) fn end(self) -> Option<LetterError> {
        self.error
    }
}
