//! What every error says of itself: what failed, why, and what to do about it.
//!
//! Each module has its own enum and matches it without `_`, so that a new variant does not compile before its code, hint
//! and exit are chosen. Tools carry any of them as a [`Failure`].

use std::error::Error;
use std::fmt;

use crate::exit::Exit;
use crate::report::Notice;

/// An error that can be told to a person (message and hint) and to a program (code and exit).
pub trait Explain: Error + Send + Sync + 'static {
    /// A stable dotted word, such as `store.full`. Part of the promise to scripts: never changed, only added to.
    fn code(&self) -> &'static str;

    /// One sentence or command that helps; it can be pasted where it is a command.
    fn hint(&self) -> String;

    /// How severe it is for the run.
    fn exit(&self) -> Exit;
}

/// Any explained error, as tools pass it up with `?`.
#[derive(Debug)]
pub struct Failure(Box<dyn Explain>);

impl Failure {
    /// The stable dotted word.
    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        self.0.hint()
    }

    /// How the run ends because of it.
    pub fn exit(&self) -> Exit {
        self.0.exit()
    }

    /// The message with its causes, each once: `cannot read /etc/ops/key: Permission denied`.
    pub fn message(&self) -> String {
        chain(self.0.as_ref())
    }

    /// The same as a notice of the report.
    pub fn notice(&self) -> Notice {
        Notice::new(self.code(), self.message(), self.hint())
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

/// An error and its sources, joined with colons. A cause that its parent already quotes is not told twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = plain(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let words = plain(cause);
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// The message of one error, without the number that the standard library adds to those of the system.
fn plain(error: &dyn Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the list {path}")]
    struct Unreadable {
        path: String,
        #[source]
        cause: io::Error,
    }

    impl Explain for Unreadable {
        fn code(&self) -> &'static str {
            "list.unreadable"
        }
        fn hint(&self) -> String {
            format!("check that {} is yours", self.path)
        }
        fn exit(&self) -> Exit {
            Exit::Unknown
        }
    }

    #[test]
    fn a_failure_names_the_thing_and_the_cause_once() {
        let cause = io::Error::from_raw_os_error(13);
        let failure = Failure::from(Unreadable { path: "/etc/x".to_owned(), cause });
        assert_eq!(failure.message(), "cannot read the list /etc/x: Permission denied");
        assert_eq!(failure.notice().hint, "check that /etc/x is yours");
    }
}
