//! What the name of a file says: whether it is a log, and whether its program still writes to it.

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A log that is written to under this name for ever.
    Live,
    /// A log that was put aside, or that has its day in its name and is followed by another one.
    Kept,
    /// Nothing.
    Other,
}

/// How what was rotated is compressed.
const COMPRESSED: [&str; 6] = [".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z"];

/// How logs are called.
const ENDINGS: [&str; 6] = [".log", "_log", "-log", ".err", ".out", ".jsonl"];

/// Logs of the system that have no ending (rsyslog's and util-linux's usual names).
const SYSTEM: [&str; 12] =
    ["auth", "boot", "btmp", "cron", "debug", "kern", "maillog", "messages", "secure", "spooler", "syslog", "wtmp"];

/// What this name says.
pub(super) fn named(name: &str) -> Named {
    let plain = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    if is_log(plain) {
        // `laravel-2026-11-20.log`: its program begins another one tomorrow.
        let (stem, _) = plain.rsplit_once('.').unwrap_or((plain, ""));
        let is_followed = plain != name || without_date(stem).is_some();
        return if is_followed { Named::Kept } else { Named::Live };
    }
    match without_turn(plain) {
        Some(before) if is_log(before) => Named::Kept,
        _ => Named::Other,
    }
}

fn is_log(name: &str) -> bool {
    SYSTEM.contains(&name) || ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// Without what rotation has put behind the name: `.1`, `-20261120`, `.old`.
fn without_turn(name: &str) -> Option<&str> {
    let counted = || {
        let (before, number) = name.rsplit_once('.')?;
        let is_number = (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(before)
    };
    name.strip_suffix(".old").or_else(counted).or_else(|| without_date(name))
}

/// Without a day at the end: `-20261120`, `.2026-11-20`, each perhaps with the hour.
fn without_date(name: &str) -> Option<&str> {
    let before = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '-' | '_'));
    // The mark before the date was taken off with it, unless it is a dot.
    let date = name.get(before.len()..)?;
    let digits = date.bytes().filter(u8::is_ascii_digit).count();
    let is_marked = date.starts_with(['-', '_']) || before.ends_with('.');
    (digits >= 8 && is_marked).then(|| before.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_live_and_what_was_put_aside() {
        for live in ["laravel.log", "access_log", "syslog", "php.err", "error.log", "app-1.log", "v2.log"] {
            assert_eq!(named(live), Named::Live, "{live}");
        }
        let kept = [
            "laravel.log.1",
            "laravel.log.14.gz",
            "laravel-2026-11-20.log",
            "access_log-20261120",
            "syslog.1",
            "app.log.old",
            "app.log.gz",
            "app.log-20261120.zst",
            "app.log.2026-11-20",
            "btmp.1",
            "app-20261120.log",
            "app.log-2026112013",
        ];
        for kept in kept {
            assert_eq!(named(kept), Named::Kept, "{kept}");
        }
        for other in ["catalog", ".log", "data.json", "dump.sql.gz", "log", "x.1", "20261120", "-", "", ".gz"] {
            assert_eq!(named(other), Named::Other, "{other}");
        }
    }
}
