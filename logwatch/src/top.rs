//! `logwatch top`: templates by count, with their trend and one sample each. It looks, and remembers nothing.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};
use shipshape_core::config::{App, Config};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::{signal, units};

use crate::cli::SourceArgs;
use crate::counted;
use crate::level::Level;
use crate::look;
use crate::report;
use crate::rules::{Counted, SourceCount};
use crate::sources::{SourceError, plan};
use crate::state::{Access, Opened};
use crate::tally::PARTS;
use crate::templates::Templates;
use crate::watch::Terms;

/// How far back it looks, in hours, unless somebody says otherwise.
const HOURS: i64 = 24;

/// What `top` is asked.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    /// How many templates are shown
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Only what is at least so grave; all unless said
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
}

/// Which way a template goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trend {
    Rising,
    Falling,
    Steady,
    /// It is too rare, or its records say no time.
    Unknown,
}

/// Shows what is logged most.
pub(crate) fn top(args: &TopArgs, config: &Config, app: &App, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let mut terms = Terms::new(&args.sources, config, HOURS, run)?;
    terms.criteria.told_apart = args.level;
    terms.criteria.secrets = false;
    terms.criteria.trend = terms.start.since.map(|since| (since, run.started()));
    let opened = Opened::of(run.common(), &app.name, Access::Look)?;
    for notice in opened.notices {
        run.warn(notice);
    }
    let mut known = opened.state.templates;
    known.begin(run.started());
    let (mut sources, mut failed) = (Vec::new(), Vec::new());
    for source in &mut plan::plan(&args.sources, config, app, true)? {
        match look::read(source.as_mut(), None, &terms.start, &terms.criteria, None) {
            Ok(reading) => {
                failed.extend(reading.failure);
                sources.push(reading.count);
            }
            Err(error) => failed.push(error),
        }
        signal::check()?;
    }
    let templates = counted::count(&sources, &mut known);
    told(args, &sources, &templates, &known, failed)
}

fn told(
    args: &TopArgs,
    sources: &[SourceCount],
    templates: &[Counted],
    known: &Templates,
    mut failed: Vec<SourceError>,
) -> Result<Outcome, Failure> {
    if sources.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0).into());
    }
    let shown: Vec<&Counted> = templates.iter().take(args.limit).collect();
    let records: u64 = sources.iter().map(|source| source.tally.records).sum();
    let data = json!({
        "records": records,
        "lines": sources.iter().map(|source| source.tally.lines).sum::<u64>(),
        "templates": shown.iter().map(|counted| for_programs(counted, known)).collect::<Vec<_>>(),
        "more": templates.len() - shown.len(),
    });
    let kinds = units::counted(templates.len() as u64, "template", "templates");
    let summary = format!("{} of {kinds}", units::counted(records, "record", "records"));
    let warnings = failed.into_iter().map(|error| Failure::from(error).notice()).collect::<Vec<Notice>>();
    Ok(Outcome { data, text: text(&shown, known), warnings, ..Outcome::ok(summary) })
}

fn for_programs(counted: &Counted, known: &Templates) -> Value {
    let template = known.get(counted.id);
    json!({
        "id": report::template_id(counted.id),
        "count": counted.count,
        "level": Level::told(template.and_then(|template| template.level)),
        "template": template.map(|template| &template.text),
        "sample": counted.sample,
        "source": counted.source,
        "trend": trend(counted).word(),
        "parts": counted.parts.as_ref().map(|parts| parts.to_vec()),
    })
}

/// A table: count, trend, level, template, and below it the sample.
fn text(shown: &[&Counted], known: &Templates) -> String {
    let mut text = String::new();
    for counted in shown {
        let Some(template) = known.get(counted.id) else { continue };
        let level = Level::told(template.level);
        let drawn = counted.parts.as_ref().map(|parts| drawn(parts)).unwrap_or_default();
        let _ = writeln!(
            text,
            "{:>9}  {drawn:PARTS$}  {level:8}  {}  {}",
            counted.count,
            report::template_id(counted.id),
            template.text
        );
        let _ = writeln!(
            text,
            "{:>9}  {:PARTS$}  {:8}  {}: {}",
            "",
            trend(counted).word(),
            "",
            counted.source,
            counted.sample
        );
    }
    text
}

/// The last quarter of the time beside what came before it: a half more or less is a trend.
fn trend(counted: &Counted) -> Trend {
    let Some(parts) = &counted.parts else { return Trend::Unknown };
    let late: u64 = parts[PARTS - PARTS / 4..].iter().copied().map(u64::from).sum();
    let early: u64 = parts[..PARTS - PARTS / 4].iter().copied().map(u64::from).sum();
    if late + early < PARTS as u64 / 2 {
        return Trend::Unknown;
    }
    // Three quarters of the time against one.
    if late * 3 * 2 > early * 3 {
        Trend::Rising
    } else if late * 3 * 2 < early {
        Trend::Falling
    } else {
        Trend::Steady
    }
}

impl Trend {
    fn word(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Falling => "falling",
            Self::Steady => "steady",
            Self::Unknown => "",
        }
    }
}

/// A bar for each part of the time.
fn drawn(parts: &[u32; PARTS]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = parts.iter().copied().max().unwrap_or_default().max(1);
    let bar = |count: u32| match count {
        0 => ' ',
        _ => BARS[usize::try_from(u64::from(count - 1) * 8 / u64::from(most)).unwrap_or(0).min(7)],
    };
    parts.iter().map(|count| bar(*count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(parts: [u32; PARTS]) -> Counted {
        let count = parts.iter().copied().map(u64::from).sum();
        let parts = Some(Box::new(parts));
        Counted { id: 1, count, is_new: false, source: String::new(), sample: String::new(), rule: "none", parts }
    }

    #[test]
    fn a_trend_compares_the_last_quarter_with_what_came_before() {
        let steady = [10; PARTS];
        let mut rising = [1; PARTS];
        rising[PARTS - 6..].fill(9);
        let mut falling = [9; PARTS];
        falling[PARTS - 6..].fill(1);
        let words = [steady, rising, falling, [0; PARTS]].map(|parts| trend(&counted(parts)).word());
        assert_eq!(words, ["steady", "rising", "falling", ""]);
    }

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest() {
        let mut parts = [0; PARTS];
        (parts[0], parts[1], parts[23]) = (1, 8, 4);
        let drawn = drawn(&parts);
        assert_eq!(
            (drawn.chars().next(), drawn.chars().nth(1), drawn.chars().nth(23)),
            (Some('▁'), Some('█'), Some('▄'))
        );
        assert_eq!(drawn.chars().count(), PARTS);
    }
}
