//! A restore of databases under way: written before each step that cannot be told from what the servers have, so that the
//! next run can undo or finish what a killed one has begun.
//!
//! | killed in  | what the next run does |
//! |------------|------------------------|
//! | `Loading`  | removes what was being loaded; nothing live was touched |
//! | `Swapping` | swaps back what was swapped, and keeps what the application may have used since; unless the files, which
//! |            | come after the databases, were all in their place |
//! | `Back`     | goes on swapping back |
//! | `Done`     | removes what is left over: all was swapped |

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Exchange, names};

/// The format of journals.
const FORMAT: u32 = 1;

/// The whole journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// The format version.
    pub(crate) format: u32,
    /// What is restored.
    pub(crate) of: String,
    /// When that began.
    pub(crate) at: DateTime<Utc>,
    /// The folder of the application, and of its stack.
    pub(crate) app_dir: PathBuf,
    /// How far it is.
    pub(crate) phase: Phase,
    /// The databases, in order.
    pub(crate) exchanges: Vec<Exchange>,
    /// Settings of servers as they were, by service.
    pub(crate) limits: BTreeMap<String, BTreeMap<String, String>>,
    /// The files that are swapped after the databases.
    pub(crate) files: Option<Files>,
    /// Whether what comes in is only put beside what is live, under a name of its own.
    pub(crate) beside: bool,
    /// Where what comes in is from.
    pub(crate) source: Source,
}

/// Files that are swapped with the databases, after them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    /// The staging folder that has their journal, as long as they are not all in their place.
    pub(crate) staging: PathBuf,
    /// Where their old sides will be.
    pub(crate) kept: Vec<PathBuf>,
}

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing live was touched.
    Loading,
    /// Databases are swapped, in order, and then files.
    Swapping,
    /// What was swapped is swapped back.
    Back,
    /// All was swapped.
    Done,
}

/// Where the databases that come in are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Loaded from a dump: worth nothing before the swap, and can be loaded again.
    Loaded,
    /// An old side that was kept: it must never be removed for having been in the way.
    Kept,
}

impl Journal {
    /// When what this has brought is put aside again: after it, and before any other.
    pub(crate) fn after(&self) -> DateTime<Utc> {
        self.at + TimeDelta::seconds(1)
    }

    /// The name under which is kept what was live until this was undone by a later run.
    pub(crate) fn name_of_used(&self, exchange: &Exchange) -> String {
        names::before(exchange.engine, &exchange.live, self.after())
    }

    /// An empty one.
    pub(crate) fn new(of: &str, at: DateTime<Utc>, app_dir: PathBuf, source: Source) -> Self {
        Self {
            format: FORMAT,
            of: of.to_owned(),
            at,
            app_dir,
            phase: Phase::Loading,
            exchanges: Vec::new(),
            limits: BTreeMap::new(),
            files: None,
            beside: false,
            source,
        }
    }
}
