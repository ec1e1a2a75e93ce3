//! Secrets that were written into logs: found by rule, told by place and count, never by value.
//!
//! Nothing is ever sent anywhere to see whether it still works.

mod accounts;
mod body;
mod buckets;
mod cards;
mod commands;
#[cfg(test)]
mod fuzz;
mod headers;
mod inserts;
mod keys;
mod named;
mod plain;
mod rule;
#[cfg(test)]
mod samples;
mod scan;
mod urls;
mod value;
mod vendors;

use std::borrow::Cow;
use std::ops::Range;

use shipshape_core::alert::Severity;
use shipshape_core::redact;

use rule::{Known, Rule, Unseen};
pub(crate) use scan::telltales;

/// A secret in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The rule that found it: `private-key`, `aws-access-key`.
    pub(crate) rule: &'static str,
    /// Where its value lies in the record, in bytes.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// All rules. What is known by its own form comes before what is known by its place, and that before what is guessed by a
/// name: the first one has the value.
fn rules() -> impl Iterator<Item = &'static Rule> {
    let by_form: [&[Rule]; 2] = [&keys::RULES, &vendors::RULES];
    let by_place: [&[Rule]; 6] =
        [&urls::RULES, &headers::RULES, &commands::RULES, &inserts::RULES, &cards::RULES, &accounts::RULES];
    by_form.into_iter().chain(by_place).chain([&named::RULES[..]]).flatten()
}

/// The secrets in a record, in the order of their places; they do not overlap.
pub(crate) fn find(record: &[u8]) -> Vec<Found> {
    search(record).0.into_values().collect()
}

/// The secrets in a record, and from where on a rule that had too many candidates did not look.
fn search(record: &[u8]) -> (Known, Option<(&'static str, usize)>) {
    let possible = scan::rules_of(record);
    let mut found = Known::new();
    let mut places = Vec::new();
    let (mut rest, mut unseen): (_, Option<(&'static str, usize)>) = (None, None);
    for (_, rule) in rules().enumerate().filter(|(number, _)| possible & 1 << number != 0) {
        let looked_at = &record[..rest.map_or(record.len(), |(_, from)| from)];
        let end = rule.places(looked_at, &found, &mut places);
        for at in &places {
            // Those found so far do not overlap: only the last one that begins before the end can touch it.
            let touching = found.range(..at.end).next_back().is_some_and(|(_, other)| other.end > at.start);
            if !touching {
                found.insert(at.start, Found { rule: rule.id, start: at.start, end: at.end });
            }
        }
        match end {
            Some(Unseen::Suspect(from)) => rest = Some((rule.id, from)),
            Some(Unseen::Unknown(from)) => {
                unseen = unseen.filter(|(_, first)| *first < from).or(Some((rule.id, from)));
            }
            None => {}
        }
    }
    if let Some((rule, from)) = rest {
        hide_rest(&mut found, rule, from..record.len());
    }
    (found, unseen)
}

/// Adds all that lies in a part of the record between the secrets that are known.
fn hide_rest(found: &mut Known, rule: &'static str, part: Range<usize>) {
    let gaps = unknown(found, rule, part);
    found.extend(gaps.into_iter().map(|gap| (gap.start, gap)));
}

/// What lies in a part of the record between the secrets that are known: it was not looked at, and counts as secret.
fn unknown(found: &Known, rule: &'static str, part: Range<usize>) -> Vec<Found> {
    let before = found.range(..part.start).next_back().map_or(0, |(_, other)| other.end);
    let mut start = part.start.max(before);
    let mut gaps = Vec::new();
    for other in found.range(part.start..).map(|(_, other)| other) {
        gaps.push(Found { rule, start, end: other.start });
        start = other.end;
    }
    gaps.push(Found { rule, start, end: part.end });
    gaps.retain(|gap| gap.start < gap.end);
    gaps
}

/// How often a text is gone through at most: what was hidden can bring out what stood behind it.
const MOST_ROUNDS: usize = 8;

/// How many bytes are gone through at most in all rounds but the last two: long texts have few.
const MOST_BYTES: usize = 96 << 10;

/// The record as text, without the values of secrets.
pub(crate) fn redacted(record: &str) -> Cow<'_, str> {
    redacted_within(record, MOST_BYTES)
}

fn redacted_within(record: &str, most: usize) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(record);
    let mut bytes = 0;
    for _ in 0..MOST_ROUNDS {
        let Some(next) = once(&text) else { return text };
        if bytes > most {
            // There is something still. All from there on goes, because looking for its end takes too long.
            let same = text.bytes().zip(next.bytes()).take_while(|(one, other)| one == other).count();
            let same = (0..=same).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            return Cow::Owned(format!("{}{}", &text[..same], redact::REDACTED));
        }
        bytes += text.len();
        text = Cow::Owned(next);
    }
    text
}

/// The text with one round of secrets hidden; nothing where there are none.
fn once(text: &str) -> Option<String> {
    let (mut found, unseen) = search(text.as_bytes());
    if let Some((rule, from)) = unseen {
        hide_rest(&mut found, rule, from..text.len());
    }
    let mut found: Vec<Found> = found.into_values().collect();
    body::hidden(text.as_bytes(), &mut found);
    let hidden = hide(text, &found);
    let safe = redact::redact(hidden.as_deref().unwrap_or(text));
    match (safe, &hidden) {
        (Cow::Owned(safe), _) => (safe != text).then_some(safe),
        (Cow::Borrowed(_), _) => hidden,
    }
}

fn hide(text: &str, found: &[Found]) -> Option<String> {
    let mut safe = String::with_capacity(text.len());
    let mut from = 0;
    for Found { start, end, .. } in found {
        // A value of bytes may begin or end within a character: all of it goes.
        let start = (from..=*start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from);
        let end = (*end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        safe.push_str(&text[from..start]);
        // What follows another secret at once is hidden with it.
        if start > from || from == 0 {
            safe.push_str(redact::REDACTED);
        }
        from = end;
    }
    safe.push_str(&text[from..]);
    (!found.is_empty()).then_some(safe)
}

/// A fingerprint that tells two values apart and says nothing about them: keyed, 16 hexadecimal digits. A value has the same
/// one whether it is quoted, escaped, percent-encoded or wrapped.
pub(crate) fn fingerprint(key: &[u8; 32], value: &[u8]) -> String {
    let hash = blake3::keyed_hash(key, &spelled_plainly(value));
    hash.to_hex().chars().take(16).collect()
}

/// The value without what depends on where it was written.
fn spelled_plainly(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                plain.extend(hex(*high, *low));
                rest = after;
            }
            // Line ends of a key in one line, and what JSON escapes.
            (b'\\', [b'n' | b'r' | b't', after @ ..]) => rest = after,
            (b'\\', _) => {}
            (byte, _) if byte.is_ascii_whitespace() => {}
            (byte, _) => plain.push(*byte),
        }
    }
    let is_number = plain.len() >= 13 && plain.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    plain.retain(|byte| !is_number || *byte != b'-');
    plain
}

/// The byte that two hexadecimal digits say.
fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// How bad it is that a rule found something. A rule of another version is only guessed at.
pub(crate) fn severity(rule: &str) -> Severity {
    known(rule).map_or(Severity::Warning, |rule| rule.severity)
}

/// What is to be done when a rule found something, in one sentence.
pub(crate) fn advice(rule: &str) -> &'static str {
    known(rule).map_or("change the secret, and keep it out of the log", |rule| rule.advice)
}

fn known(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::samples::{HEX, negatives, pem, positives, some};
    use super::*;
    use proptest::prelude::*;

    /// What is found in a text: rules and values.
    fn found(text: &str) -> Vec<(&'static str, &str)> {
        find(text.as_bytes()).iter().map(|found| (found.rule, &text[found.start..found.end])).collect()
    }

    #[test]
    fn every_rule_compiles_and_says_what_to_do() {
        for rule in rules() {
            assert!(rule.compiles(), "{}", rule.id);
            assert!(rule.advice.len() > 20 && !rule.advice.ends_with('.'), "{}: {}", rule.id, rule.advice);
            assert!(!rule.telltales.is_empty(), "{}", rule.id);
        }
    }

    #[test]
    fn every_rule_finds_its_samples_and_tells_nothing_else() {
        let samples = positives();
        // A secret key of AWS is known by the access key beside it, which is told too.
        let told = |text| found(text).into_iter().filter(|(rule, _)| *rule != "aws-access-key" || !text.contains(','));
        let wrong = samples.iter().filter(|(rule, text, value)| !told(text).eq([(*rule, value.as_str())]));
        let wrong: Vec<_> = wrong.map(|(rule, text, _)| (rule, text, found(text))).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        for rule in rules() {
            assert!(positives().iter().any(|(name, ..)| *name == rule.id), "no sample of {}", rule.id);
        }
    }

    #[test]
    fn nothing_is_found_in_what_only_looks_like_a_secret() {
        let texts = negatives();
        let wrong: Vec<_> =
            texts.iter().filter(|text| !found(text).is_empty()).map(|text| (text, found(text))).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn several_secrets_of_a_record_are_told_in_their_order() {
        let (key, hex) = (pem("PRIVATE KEY", "\n"), some(HEX, 32));
        let text = format!("DB_PASSWORD=hunter2\n{key}\nX-Api-Key: {hex} mysql://a:hunter2@h");
        let expected = [
            ("generic-password", "hunter2"),
            ("private-key", key.as_str()),
            ("api-key-header", hex.as_str()),
            ("url-password", "hunter2"),
        ];
        assert_eq!(found(&text), expected);
    }

    #[test]
    fn a_key_whose_lines_are_records_of_their_own_is_told_by_its_first_line() {
        let first = "-----BEGIN RSA PRIVATE KEY-----";
        assert_eq!(found(&format!("loaded {first}\n")), [("private-key", &*format!("{first}\n"))]);
        assert_eq!(found(&format!("expected {first} in the file")), []);
    }

    #[test]
    fn guesses_are_warnings_and_what_is_certain_is_critical() {
        assert_eq!(severity("private-key"), Severity::Critical);
        assert_eq!(severity("url-password"), Severity::Critical);
        assert_eq!(severity("generic-secret"), Severity::Warning);
        assert_eq!(severity("rule-of-the-next-version"), Severity::Warning);
        assert!(advice("github-token").contains("revoke") && !advice("rule-of-the-next-version").is_empty());
    }

    #[test]
    fn a_value_has_one_fingerprint_however_it_is_written() {
        let key = [7; 32];
        let print = |value: &str| fingerprint(&key, value.as_bytes());
        assert_eq!(print("p@ss/word"), print("p%40ss%2Fword"));
        assert_eq!(print("p@ss/word"), print("p@ss\\/word"));
        assert_eq!(print(&pem("PRIVATE KEY", "\n")), print(&pem("PRIVATE KEY", "\\n")));
        assert_eq!(print("4000 0000 0000 0002"), print("4000-0000-0000-0002"));
        assert_ne!(print("hunter2"), print("hunter3"));
        assert_ne!(print("hunter2"), fingerprint(&[8; 32], b"hunter2"), "it is keyed");
        assert_eq!(print("hunter2").len(), 16);
    }

    #[test]
    fn redacting_hides_the_value_and_keeps_what_tells_about_it() {
        assert_eq!(redacted("mysql://app:hunter2@db/shop"), "mysql://app:[redacted]@db/shop");
        assert_eq!(redacted("PGPASSWORD='a b' psql"), "PGPASSWORD=[redacted] psql");
        assert!(matches!(redacted("nothing to hide"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_sample_is_gone_when_it_is_redacted() {
        for (rule, text, value) in positives() {
            let safe = redacted(&text);
            let is_gone = !safe.contains(&value) || value == "guest";
            assert!(is_gone, "{rule} in {safe}");
            assert_eq!(found(&safe), [], "in {safe}");
            assert_eq!(redacted(&safe), safe);
        }
    }

    #[test]
    fn a_hostile_record_takes_bounded_time() {
        const SIZE: usize = 256 << 10;
        let mut hostile: Vec<String> = positives().into_iter().map(|(_, text, _)| format!("{text} ")).collect();
        let parts = [
            "password=",
            "password=\"",
            "token:",
            "@",
            "://a:b@",
            "/@",
            "-----BEGIN PRIVATE KEY-----",
            "eyJ",
            "mysql ",
            "cookie:a=b;",
            "4 ",
            "user ",
            "mysql -px ",
            "mysql\", ",
            "password=ab ",
            "identified by 'ab' ",
            "with password ",
            "user password 'ab",
            "authorization: ",
            "curl -u a:",
            "curl ",
            "bearer aaaaaaaaaaaaaaaa1 ",
            "password%22%3A%22",
            "password: a&",
            "&pw=",
            "api_key ",
            "\"token\":\"",
            "secret=${x} ",
            "[password=",
            "\\\"password\\\":\\\"",
            "-----BEGIN PRIVATE KEY-----\n",
        ];
        hostile.extend(parts.map(str::to_owned));
        for part in hostile {
            let record = part.repeat(SIZE / part.len());
            let watch = shipshape_core::clock::Stopwatch::start();
            let mut into = Vec::new();
            telltales(record.as_bytes(), &mut into);
            find(record.as_bytes());
            redacted(&record);
            assert!(watch.elapsed().as_secs() < 10, "{} of {:?}", part, watch.elapsed());
        }
    }

    #[test]
    fn where_rounds_are_used_up_all_that_is_left_is_hidden() {
        assert_eq!(redacted_within("a password=hunter2 b", 0), "a password=[redacted] b");
        for (rule, text, value) in positives() {
            let safe = redacted_within(&text, 0).into_owned();
            assert!(!safe.contains(&value) || value == "guest", "{rule} in {safe}");
        }
    }

    #[test]
    fn a_name_and_a_value_on_another_line_are_no_pair_and_blanks_of_all_kinds_are_passed_over() {
        for text in ["password\n=IDENTIFIED BY ", "password=\nx8Kq2LmN0q"] {
            assert_eq!(found(text), [], "{text:?}");
        }
        let mut into = Vec::new();
        telltales(b"db_password\t=\tx8Kq2LmN0q", &mut into);
        assert!(!into.is_empty());
        assert_eq!(found("db_password\t=\tx8Kq2LmN0q"), [("generic-password", "x8Kq2LmN0q")]);
    }

    #[test]
    fn a_line_of_nothing_but_names_is_hidden_in_a_few_steps() {
        for (part, count) in [("password=\"", 6500), (r#""password":"\"#, 5000), ("identified by '", 4000)] {
            let line = format!("first {}", part.repeat(count));
            let found = find(line.as_bytes());
            assert!(found.len() <= 4 * 64 && found.last().is_some_and(|last| last.end > line.len() - 32), "{part}");
            let watch = shipshape_core::clock::Stopwatch::start();
            let safe = redacted(&line).into_owned();
            assert!(watch.elapsed().as_secs() < 5, "{part} of {:?}", watch.elapsed());
            assert!(safe.starts_with("first ") && safe.len() < 8 << 10, "{part}: {} bytes", safe.len());
        }
    }

    const HARMLESS: &str = "iban DE89370400440532013000; ";

    #[test]
    fn many_harmless_values_are_no_secret_and_hide_none() {
        let harmless = HARMLESS.repeat(200);
        assert_eq!(found(&harmless), []);
        assert_eq!(redacted(&harmless), harmless);
        let (rule, text, value) = positives().into_iter().find(|(rule, ..)| *rule == "iban").unwrap();
        assert_eq!(found(&format!("{harmless}{text}")), [(rule, value.as_str())]);
    }

    #[test]
    fn of_too_many_harmless_values_the_rest_is_neither_told_nor_shown() {
        let (_, text, value) = positives().into_iter().find(|(rule, ..)| *rule == "iban").unwrap();
        let text = format!("{}{text} mysql://a:hunter3@h", HARMLESS.repeat(2000));
        assert_eq!(found(&text), [("url-password", "hunter3")], "other rules see all of it");
        let safe = redacted(&text).into_owned();
        assert!(safe.starts_with(HARMLESS) && !safe.contains("hunter") && !safe.contains(&value), "{safe}");
    }

    #[test]
    fn what_is_known_in_the_part_that_is_not_looked_at_keeps_its_name() {
        let key = pem("PRIVATE KEY", "\n");
        let text = format!("{}\n{key}\nend", "password='h4nter2' ".repeat(100));
        let found = found(&text);
        assert!(found.contains(&("private-key", key.as_str())), "{found:?}");
        assert_eq!(found.last(), Some(&("generic-password", "\nend")));
        assert!(redacted(&text).ends_with("'[redacted]"), "{}", redacted(&text));
    }

    proptest! {
        #[test]
        fn every_sample_is_told_and_found_wherever_it_stands(
            before in "([a-z0-9=:@/\"'. \n-]{0,60}\n|.{0,300}\n|)",
            after in "(\n[a-z0-9=:@/\"'. \n-]{0,60}|\n.{0,300}|)",
            number in any::<prop::sample::Index>(),
        ) {
            let samples = positives();
            let (rule, text, value) = &samples[number.index(samples.len())];
            let record = format!("{before}{text}{after}");
            let mut into = Vec::new();
            telltales(record.as_bytes(), &mut into);
            let its_own = before.len()..before.len() + text.len();
            prop_assert!(into.iter().any(|at| its_own.contains(at)), "{} {}", rule, record);
            let values = found(&record);
            prop_assert!(values.iter().any(|(_, found)| found.contains(value.as_str())), "{} {}: {:?}", rule, record, values);
            prop_assert!(find(redacted(&record).as_bytes()).is_empty());
        }

        #[test]
        fn redacting_twice_changes_nothing_more(text in HOSTILE) {
            let once = redacted(&text).into_owned();
            prop_assert_eq!(found(&once), []);
            redacted_within(&text, 0);
            prop_assert_eq!(redacted(&once).into_owned(), once.clone());
        }

        #[test]
        fn any_bytes_are_searched(record in proptest::collection::vec(any::<u8>(), 0..400)) {
            let found = find(&record);
            let is_in_order = found.windows(2).all(|pair| pair[0].end <= pair[1].start);
            prop_assert!(is_in_order && found.iter().all(|found| found.start < found.end && found.end <= record.len()));
            fingerprint(&[0; 32], &record);
            redacted(&String::from_utf8_lossy(&record));
        }

        #[test]
        fn any_mixture_of_what_rules_look_for_is_searched(text in HOSTILE) {
            let found = find(text.as_bytes());
            prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
            let mut into = Vec::new();
            telltales(text.as_bytes(), &mut into);
            prop_assert!(found.is_empty() || !into.is_empty(), "{:?} in {}", found, text);
        }
    }

    /// Pieces of what rules look for.
    const HOSTILE: &str = "(password|token|api_key|secret|=|: |\"|'|\\\\|://|@|\\[redacted\\]|-----BEGIN PRIVATE KEY-----|eyJ|Bearer \
        |Authorization: |Cookie: |sid=|mysql -p|--|IDENTIFIED BY |card|4[0-9]{15}|[a-zA-Z0-9+/]{1,40}| |;|,|&|\\?|é|\n){0,14}";
}
