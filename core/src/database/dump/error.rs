//! Why a dump is not whole, or may not be loaded.

use crate::error::Explain;
use crate::exit::Exit;

/// What tells that a dump is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// Nothing came.
    #[error("the dump is empty")]
    Empty,
    /// It begins like no dump that we know.
    #[error("this is no dump: it begins with {begins:?}")]
    NotADump {
        /// Its first line, or the beginning of it.
        begins: String,
    },
    /// It begins with the words of a program that failed.
    #[error("this is no dump but a message: {line:?}")]
    Message {
        /// The message.
        line: String,
    },
    /// Its end mark is missing.
    #[error("the dump is cut short: its end mark is missing, and it ends with {ends:?}")]
    Cut {
        /// Its last line, or the end of it.
        ends: String,
    },
    /// Something stands behind its end mark.
    #[error("something stands behind the end mark of the dump: {ends:?}")]
    Trailing {
        /// What stands there: the beginning of it.
        ends: String,
    },
    /// Its own checksum does not match.
    #[error("the checksum of the dump does not match: {found:016x} instead of {stored:016x}")]
    Checksum {
        /// The sum that is written in it.
        stored: u64,
        /// The sum of what came.
        found: u64,
    },
}

impl Explain for NotWhole {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "dump.empty",
            Self::NotADump { .. } => "dump.not_a_dump",
            Self::Message { .. } => "dump.message",
            Self::Cut { .. } => "dump.cut",
            Self::Trailing { .. } => "dump.trailing",
            Self::Checksum { .. } => "dump.checksum",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Empty => "the program that made it has failed: take another dump, and look at that program's messages",
            Self::NotADump { .. } => "expected a dump by mysqldump, mariadb-dump, pg_dump (plain) or redis-cli --rdb",
            Self::Message { .. } => "the program that made it has failed with this message: take another dump",
            Self::Cut { .. } => {
                "take another dump; if it was made with --compact or --skip-comments, make it without them: they leave out the end mark"
            }
            Self::Trailing { .. } => "take another dump: the program that made it has gone on to say something",
            Self::Checksum { .. } => "take another dump: this one was changed after it was written",
        }
        .to_owned()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Empty
            | Self::NotADump { .. }
            | Self::Message { .. }
            | Self::Cut { .. }
            | Self::Trailing { .. }
            | Self::Checksum { .. } => Exit::Critical,
        }
    }
}

/// Why a dump must not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is not whole.
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    /// It would be loaded into more than one database.
    #[error("the dump holds several databases: {}", names.join(", "))]
    Several {
        /// The first two that it names.
        names: Vec<String>,
    },
    /// It tells the client to do something.
    #[error("the dump has an order for the client in it: {line:?}")]
    Order {
        /// The order.
        line: String,
    },
    /// It would change a database that it names itself.
    #[error("the dump names things together with their database: {name}")]
    Elsewhere {
        /// The first of them.
        name: String,
    },
    /// Its events are too big to be set aside.
    #[error("the events of the dump take more than {limit} bytes")]
    Events {
        /// The most that is set aside, in bytes.
        limit: usize,
    },
    /// Nobody has read it to its end, so nothing is known.
    #[error("the dump was not read to its end")]
    Unread,
}

impl Explain for LoadError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotWhole(cause) => cause.code(),
            Self::Several { .. } => "dump.several",
            Self::Order { .. } => "dump.order",
            Self::Elsewhere { .. } => "dump.elsewhere",
            Self::Events { .. } => "dump.events",
            Self::Unread => "dump.unread",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotWhole(cause) => cause.hint(),
            Self::Several { .. } => {
                "take a dump of each database by itself, without --databases or --all-databases".into()
            }
            Self::Order { .. } => "no dump program writes this: look into the dump, and where it comes from".into(),
            Self::Elsewhere { .. } => {
                "it cannot be loaded beside what is live; take a dump with mysqldump or mariadb-dump of the database itself".into()
            }
            Self::Events { .. } => "take a dump without --events, and create the events by hand".into(),
            Self::Unread => "the client has stopped before: its message says why".into(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotWhole(cause) => cause.exit(),
            Self::Several { .. } | Self::Order { .. } | Self::Elsewhere { .. } | Self::Events { .. } | Self::Unread => {
                Exit::Critical
            }
        }
    }
}
