//! How templates are kept from run to run.
//!
//! ```text
//! {"algo": 1, "next": 17, "known": [[id, text, level, first, last, count], …], "aliases": [[id, id], …]}
//! ```
//! Times are milliseconds since 1970. What another algorithm made is not comparable with what this one makes: it is left, and only
//! the numbers go on, so that none is ever given twice.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MOST_ALIASES, MOST_TEMPLATES, Template, Templates};
use crate::level::Level;

/// The version of masking and merging: to be raised when messages get other masks than before.
const ALGO: u32 = 1;

/// How long a text may be that is believed to be a template.
const LONGEST: usize = 8 << 10;

/// One template: number, text, level, milliseconds of the first and the last run with it, records.
type Row = (u32, String, Option<Level>, i64, i64, u64);

/// The stored form.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    algo: u32,
    next: u32,
    /// Rows of which each that makes no sense is left out, and not all of them with it.
    known: Vec<Value>,
    aliases: Vec<Value>,
}

impl From<Templates> for Stored {
    fn from(templates: Templates) -> Self {
        let rows = templates.known.into_values().map(|known| {
            let Template { id, text, level, first_seen, last_seen, count } = known;
            (id, text, level, millis(first_seen), millis(last_seen), count)
        });
        Self {
            algo: ALGO,
            next: templates.next,
            known: rows.filter_map(|row| serde_json::to_value(row).ok()).collect(),
            aliases: templates.aliases.into_iter().filter_map(|pair| serde_json::to_value(pair).ok()).collect(),
        }
    }
}

impl From<Stored> for Templates {
    fn from(stored: Stored) -> Self {
        let mut templates = Self { next: stored.next, ..Self::default() };
        if stored.algo != ALGO {
            return templates;
        }
        let rows = stored.known.into_iter().filter_map(|row| serde_json::from_value::<Row>(row).ok());
        for row in rows.take(MOST_TEMPLATES) {
            let Some(template) = template(row) else { continue };
            templates.next = templates.next.max(template.id.saturating_add(1));
            if !templates.known.contains_key(&template.id) {
                templates.insert(template);
            }
        }
        let pairs = stored.aliases.into_iter().filter_map(|pair| serde_json::from_value::<(u32, u32)>(pair).ok());
        let is_sound =
            |(from, to): &(u32, u32)| templates.known.contains_key(to) && !templates.known.contains_key(from);
        templates.aliases = pairs.filter(is_sound).take(MOST_ALIASES).collect();
        templates
    }
}

fn template((id, text, level, first, last, count): Row) -> Option<Template> {
    let (first_seen, last_seen) = (DateTime::from_timestamp_millis(first)?, DateTime::from_timestamp_millis(last)?);
    (text.len() <= LONGEST).then_some(Template { id, text, level, first_seen, last_seen, count })
}

fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}
