//! Asks before something live is replaced.

use std::io::{self, BufRead, IsTerminal, Write};

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// There is nobody to ask.
    #[error("a restore in place replaces what is live, and there is no terminal to ask")]
    NeedsYes,
    /// The answer was no.
    #[error("not restored: the answer was no")]
    Declined,
}

impl Explain for AskError {
    fn code(&self) -> &'static str {
        match self {
            Self::NeedsYes => "restore.needs_yes",
            Self::Declined => "restore.declined",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NeedsYes => {
                "nothing was changed; look at it with --dry-run, then add --yes, or restore elsewhere: --into DIR"
                    .to_owned()
            }
            Self::Declined => "nothing was changed; to look at it first: --into DIR".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NeedsYes | Self::Declined => Exit::Unknown,
        }
    }
}

/// Shows what will be done, and asks whether to do it.
pub(crate) fn confirm(preview: &str) -> Result<(), AskError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(AskError::NeedsYes);
    }
    let mut answer = String::new();
    let asked = write!(io::stderr().lock(), "{preview}Go on? [y/N] ");
    // Who closes the terminal has not said yes.
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    if read.is_ok() && is_yes(&answer) { Ok(()) } else { Err(AskError::Declined) }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes("Yes\n"));
        assert!(!is_yes("\n") && !is_yes("") && !is_yes("no\n") && !is_yes("yup\n"));
    }

    #[test]
    fn without_a_terminal_there_is_nobody_to_ask() {
        // Tests run without one.
        if !io::stdin().is_terminal() {
            assert_eq!(confirm("").unwrap_err().code(), "restore.needs_yes");
        }
    }
}
