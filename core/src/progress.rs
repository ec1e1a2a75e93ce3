//! Progress bars: on standard error, only for a person, and only for what takes longer than a moment.

use std::sync::Once;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::Stopwatch;
use crate::output;

/// How long work may take before it is worth a bar.
const MOMENT: Duration = Duration::from_secs(1);

/// How often the bar moves without news, so that a stall shows.
const TICK: Duration = Duration::from_millis(500);

/// How far some work is. Workers share it by reference.
pub struct Progress(Option<Shown>);

/// The bar counts from the start, so that its rate is right from its first appearance; it is drawn once it is due.
struct Shown {
    bar: ProgressBar,
    unit: Unit,
    started: Stopwatch,
    moment: Duration,
    drawn: Once,
}

#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    Count,
}

impl Progress {
    /// For work measured in bytes. Nothing is shown with `quiet`, or when standard error is no terminal.
    pub fn bytes(total: Option<u64>, label: &str, quiet: bool) -> Self {
        Self::new(total, label, Unit::Bytes, !quiet && output::stderr_is_terminal())
    }

    /// For work measured in things.
    pub fn count(total: Option<u64>, label: &str, quiet: bool) -> Self {
        Self::new(total, label, Unit::Count, !quiet && output::stderr_is_terminal())
    }

    fn new(total: Option<u64>, label: &str, unit: Unit, somebody_looks: bool) -> Self {
        Self(somebody_looks.then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_message(label.to_owned());
            set_style(&bar, unit, total.is_some());
            Shown { bar, unit, started: Stopwatch::start(), moment: MOMENT, drawn: Once::new() }
        }))
    }

    /// That much more is done.
    pub fn add(&self, more: u64) {
        if let Some(shown) = &self.0 {
            shown.bar.inc(more);
            shown.draw_if_due();
        }
    }

    /// That much there is in all, as far as is known by now.
    pub fn set_total(&self, total: u64) {
        if let Some(shown) = &self.0 {
            shown.bar.set_length(total);
            set_style(&shown.bar, shown.unit, true);
        }
    }

    /// The work is over: the bar goes.
    pub fn finish(self) {}
}

impl Shown {
    fn draw_if_due(&self) {
        if !self.drawn.is_completed() && self.started.elapsed() >= self.moment {
            self.drawn.call_once(|| {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
                self.bar.enable_steady_tick(TICK);
            });
        }
    }
}

impl Drop for Progress {
    /// Also when work fails, so that the error does not stand behind half a bar.
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            shown.bar.finish_and_clear();
        }
    }
}

/// Without colours: a bar needs none, and so `NO_COLOR` is kept. A template that did not parse would leave the standard bar;
/// a test reads all of them.
fn set_style(bar: &ProgressBar, unit: Unit, total_is_known: bool) {
    if let Ok(style) = ProgressStyle::with_template(template(unit, total_is_known)) {
        bar.set_style(style.progress_chars("=> "));
    }
}

fn template(unit: Unit, total_is_known: bool) -> &'static str {
    match (unit, total_is_known) {
        (Unit::Bytes, true) => {
            "{msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left"
        }
        (Unit::Bytes, false) => "{msg} {spinner} {decimal_bytes}, {decimal_bytes_per_sec}, {elapsed} so far",
        (Unit::Count, true) => "{msg} [{wide_bar}] {human_pos}/{human_len}, {per_sec}, {eta} left",
        (Unit::Count, false) => "{msg} {spinner} {human_pos}, {per_sec}, {elapsed} so far",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that has gone on for longer than a moment.
    fn long_running(total: Option<u64>, somebody_looks: bool) -> Progress {
        let mut progress = Progress::new(total, "packing", Unit::Count, somebody_looks);
        if let Some(shown) = &mut progress.0 {
            shown.moment = Duration::ZERO;
        }
        progress
    }

    fn is_drawn(progress: &Progress) -> bool {
        progress.0.as_ref().is_some_and(|shown| shown.drawn.is_completed())
    }

    #[test]
    fn every_template_is_one() {
        for unit in [Unit::Bytes, Unit::Count] {
            for known in [true, false] {
                assert!(ProgressStyle::with_template(template(unit, known)).is_ok(), "{}", template(unit, known));
            }
        }
    }

    #[test]
    fn nothing_is_drawn_within_the_first_moment() {
        let progress = Progress::new(Some(10), "packing", Unit::Bytes, true);
        progress.add(5);
        assert!(!is_drawn(&progress));
    }

    #[test]
    fn what_several_workers_do_adds_up() {
        let progress = long_running(None, true);
        progress.set_total(300);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..100).for_each(|_| progress.add(1)));
            }
        });
        assert!(is_drawn(&progress));
        let bar = &progress.0.as_ref().unwrap().bar;
        assert_eq!((bar.position(), bar.length()), (300, Some(300)));
    }

    #[test]
    fn nobody_who_looks_means_no_bar() {
        let progress = long_running(Some(10), false);
        progress.add(10);
        assert!(!is_drawn(&progress));
    }
}
