//! The level in running text: one of the first few words behind a time, and what may stand between it and the message.

use memchr::memchr;

use super::{Format, Head, Nesting, access, json, keyword, logfmt, near, nested, stamp, word};
use crate::level::Level;

/// Among how many tokens behind a time the level is looked for.
const MOST_TOKENS: usize = 8;

/// The longest thing in brackets that is passed over, in bytes: the name of a thread, an id.
const LONGEST_GROUP: usize = 96;

/// The head of a line that begins with a time.
pub(super) fn dated(line: &[u8], nesting: Nesting) -> Option<Head> {
    let end = stamp::end(line, 0)?;
    after_time(line, end, Format::Text, nesting)
}

/// The head of a line that begins with blanks, or a bracket, and a time: tracing's pretty form, PostgreSQL's old prefix.
pub(super) fn indented(line: &[u8], nesting: Nesting) -> Option<Head> {
    let start = line.iter().take(3).position(|byte| !matches!(byte, b' ' | b'<'))?;
    let end = stamp::end(line, start)?;
    after_time(line, end, Format::Text, nesting)
}

/// The head of a line whose time ends here. None for what goes on with a record though it has a time.
pub(super) fn after_time(line: &[u8], at: usize, format: Format, nesting: Nesting) -> Option<Head> {
    let at = skip_between(line, at);
    let finder = Finder { line, at, start: at, message: at, tokens: 0, words: 0, format, nesting, has_time: true };
    finder.head()
}

/// The head of a line whose level is expected here, though there is no time; none if there is no level.
pub(super) fn without_time(line: &[u8], at: usize) -> Option<Head> {
    let at = skip_between(line, at);
    let (format, nesting) = (Format::Text, Nesting::Inner);
    let finder = Finder { line, at, start: at, message: at, tokens: 0, words: 0, format, nesting, has_time: false };
    finder.head().filter(|head| head.level.is_some())
}

/// Looks for the level, token by token.
struct Finder<'a> {
    line: &'a [u8],
    at: usize,
    /// Where it began to look.
    start: usize,
    /// Where the message begins if there is no level.
    message: usize,
    /// How many tokens were passed over.
    tokens: usize,
    /// How many of them look like words of a sentence: after two of them, whatever follows is a message.
    words: usize,
    format: Format,
    nesting: Nesting,
    has_time: bool,
}

/// What a token says.
enum Step {
    /// Nothing: look at the next.
    On,
    /// All there is to say.
    Is(Option<Head>),
}

impl Finder<'_> {
    fn head(mut self) -> Option<Head> {
        while self.tokens < MOST_TOKENS {
            self.at = skip_between(self.line, self.at);
            let step = match self.line.get(self.at) {
                None => break,
                Some(b'[' | b'(' | b'<') => self.group(),
                Some(b'{') => self.brace(),
                Some(b'"') => Step::Is(access::request(self.line, self.at).or_else(|| Some(self.without_level()))),
                Some(_) => self.word(),
            };
            match step {
                Step::On => self.tokens += 1,
                Step::Is(head) => return head,
            }
        }
        Some(self.without_level())
    }

    /// There is no level.
    fn without_level(&self) -> Head {
        let head = Head::new(Format::Dated, None, self.message);
        access::in_message(self.line, self.message).unwrap_or(head)
    }

    /// There is a level, and it ends here.
    fn found(&self, format: Format, level: Level, end: usize) -> Step {
        let message = message(self.line, end);
        let head = Head::new(format, Some(level), message);
        // uvicorn says of every request that it is informed.
        let is_access = level == Level::Info;
        Step::Is(Some(if is_access { access::in_message(self.line, message).unwrap_or(head) } else { head }))
    }

    /// Something in brackets: the level, or a name.
    fn group(&mut self) -> Step {
        let Some(close) = closing(self.line, self.at) else { return Step::Is(Some(self.without_level())) };
        let inside = &self.line[self.at + 1..close];
        // Apache has the module before the level.
        let module = if self.format == Format::Apache { memchr(b':', inside).map_or(0, |colon| colon + 1) } else { 0 };
        if let Some(level) = word::stated(&inside[module..]) {
            return self.found(self.format_in_brackets(close), level, close + 1);
        }
        self.at = close + 1;
        Step::On
    }

    /// Who writes its level in brackets, behind this kind of time.
    fn format_in_brackets(&self, close: usize) -> Format {
        match self.line {
            _ if self.format != Format::Text => self.format,
            // `2024/04/27 14:35:22 [error] 12#0: …`
            [_, _, _, _, b'/', ..] if self.tokens == 0 && is_nginx(&self.line[close + 1..]) => Format::Nginx,
            // `240501 12:00:00 [ERROR] …`
            [b'0'..=b'9', _, _, _, _, _, b' ', ..] => Format::Mysql,
            // `2024-05-01T12:00:00.123456Z 8 [ERROR] [MY-010] …`
            [b'0'..=b'9', ..] if self.tokens == 1 && self.line[self.start].is_ascii_digit() => Format::Mysql,
            _ => Format::Text,
        }
    }

    /// A brace: JSON behind a time, or a place in the source.
    fn brace(&mut self) -> Step {
        if self.line.get(self.at + 1) == Some(&b'"') {
            let head = json::head(&self.line[self.at..]).map(|head| head.after(self.at));
            return Step::Is(head.or_else(|| Some(self.without_level())));
        }
        match memchr(b'}', &self.line[self.at..]) {
            Some(length) if length < LONGEST_GROUP => {
                self.at += length + 1;
                Step::On
            }
            _ => Step::Is(Some(self.without_level())),
        }
    }

    /// A word, or anything else up to a blank.
    fn word(&mut self) -> Step {
        let start = self.at;
        let length = letters(&self.line[start..]);
        let word = &self.line[start..start + length];
        if let Some(level) = self.level_of(word) {
            return self.found(self.format_of_word(start + length), level, start + length);
        }
        if self.line.get(start + length) == Some(&b':') && goes_on(word) {
            return Step::Is(None);
        }
        let end = token_end(self.line, start);
        let token = &self.line[start..end];
        match token {
            [name @ .., b':'] => self.tag(name, end),
            _ if token.contains(&b'=') => self.pair(start, end),
            _ => self.passed(token, end),
        }
    }

    /// The level of a word, if it is one that stands for itself. Capitals may come behind a name; small letters only at once, as
    /// they may begin a sentence.
    fn level_of(&self, word: &[u8]) -> Option<Level> {
        let level = word::level(word)?;
        let rest = &self.line[self.at + word.len()..];
        let is_meant = if word.iter().all(u8::is_ascii_uppercase) {
            self.words < 2
                && matches!(
                    rest.first(),
                    None | Some(b' ' | b'\t' | b':' | b']' | b'|' | b',' | b'/' | b'[' | b')' | b'>' | b'}')
                )
        } else {
            self.words == 0
                && self.has_time
                && match rest {
                    [b':', b' ' | b'\t', value @ ..] => !keyword::is_nothing(value),
                    // The name of a logger, with the level behind it: `- error - INFO - `.
                    [b' ', b'-', b' ', next @ ..] => !is_level_between(next),
                    [] | [b'\t' | b'|' | b']', ..] | [b' ', b'|' | b' ' | b'-', ..] => true,
                    [b' ', next @ ..] => self.tokens == 0 && begins_plainly(word) && !keyword::is_about(next),
                    _ => false,
                }
        };
        is_meant.then_some(level)
    }

    fn format_of_word(&self, end: usize) -> Format {
        match self.line.get(end..end + 3) {
            // PostgreSQL, and nobody else, puts two blanks behind the colon.
            Some([b':', b' ', b' ']) => Format::Postgres,
            _ => self.format,
        }
    }

    /// What ends with a colon: `production.ERROR:`, `user@db:[77]:ERROR:`, `sshd[123]:`, the name of a logger.
    fn tag(&mut self, name: &[u8], end: usize) -> Step {
        let last = name.iter().rposition(|byte| matches!(byte, b'.' | b':' | b']'));
        if let Some(last) = last {
            let word = &name[last + 1..];
            let is_capital = word.iter().all(u8::is_ascii_uppercase);
            if let Some(level) = word::level(word).filter(|_| is_capital) {
                let format = if name[last] == b'.' { Format::Monolog } else { self.format_of_word(end - 1) };
                return self.found(format, level, end);
            }
            if goes_on(word) {
                return Step::Is(None);
            }
        }
        let is_program = name.ends_with(b"]") || self.tokens == 1 && self.line.get(10) == Some(&b'T');
        if is_program && self.nesting == Nesting::Outer {
            return Step::Is(Some(nested(self.line, skip_blanks(self.line, end), Format::Syslog)));
        }
        (self.at, self.words) = (end, 0);
        Step::On
    }

    /// `key=value`.
    fn pair(&mut self, start: usize, end: usize) -> Step {
        let Some(pair) = logfmt::Pairs::of(self.line, start).next() else {
            self.at = end;
            return Step::On;
        };
        if let Some(level) = logfmt::of_pair(pair.key, pair.value) {
            let rest = logfmt::from(self.line, start);
            return Step::Is(Some(Head { level: Some(level), ..rest }));
        }
        self.at = (pair.at + pair.value.len() + 1).min(self.line.len());
        Step::On
    }

    /// Passes over a token that says nothing.
    fn passed(&mut self, token: &[u8], end: usize) -> Step {
        let is_word = token.iter().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii() || *byte == b'\'');
        let is_name = matches!(self.line[end..], [b' ', b'-' | b'|', b' ', ..] | [b'|', ..]);
        self.words += usize::from(is_word && !is_name);
        self.at = end;
        if self.words > 1 { Step::Is(Some(self.without_level())) } else { Step::On }
    }
}

/// Where the message begins behind a level that ends here: behind threads, ids and the name of the logger.
pub(super) fn message(line: &[u8], end: usize) -> usize {
    let mut at = skip_between(line, end);
    // A thread, a process, another bracket: nobody puts more before the name.
    for _ in 0..4 {
        let behind = match line.get(at) {
            Some(b'[') => closing(line, at)
                // An address of IPv6 with a port is no name.
                .filter(|close| line.get(close + 1) != Some(&b':'))
                .map(|close| skip_between(line, close + 1)),
            Some(b'0'..=b'9') => behind_process(line, at),
            _ => return behind_name(line, at).unwrap_or(at),
        };
        match behind {
            Some(behind) => at = behind,
            None => return at,
        }
    }
    at
}

/// Where it goes on behind the number of a process: `1 --- ` of Spring, `12#0: ` of nginx.
fn behind_process(line: &[u8], at: usize) -> Option<usize> {
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_process = match line.get(at + digits..)? {
        [b' ', b'-', b'-', b'-', ..] => true,
        [b'#', rest @ ..] => memchr(b':', &rest[..rest.len().min(12)]).is_some(),
        _ => false,
    };
    is_process.then(|| skip_between(line, token_end(line, at)))
}

/// Where it goes on behind a name, if one stands here.
fn behind_name(line: &[u8], at: usize) -> Option<usize> {
    let end = token_end(line, at);
    // Spring pads names to one width.
    let next = skip_blanks(line, end);
    let is_name = match (line.get(at..end)?, &line[next..]) {
        ([b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'<' | b'(', ..], [b'-' | b':' | b'|', b' ', ..] | [b'|', ..]) => true,
        // The name of an exception belongs to the message; that of a logger does not.
        ([b'a'..=b'z', name @ .., b':'], _) => is_logger(name),
        _ => false,
    };
    is_name.then(|| skip_between(line, end))
}

/// Whether this may be the name of a logger: `my_app::handlers`, `kafka.server`, `supervisord`.
fn is_logger(name: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-' | b'/' | b'$'))
        && !name.ends_with(b"Error")
        && !name.ends_with(b"Exception")
}

/// PostgreSQL's words for what goes on with the message before it.
fn goes_on(word: &[u8]) -> bool {
    matches!(word, b"DETAIL" | b"HINT" | b"STATEMENT" | b"CONTEXT" | b"QUERY" | b"LOCATION" | b"BACKTRACE")
}

/// ` 12#0: `, as nginx has it behind the level.
fn is_nginx(rest: &[u8]) -> bool {
    let digits = rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest.get(1 + digits) == Some(&b'#')
}

/// Whether a level in capitals stands here between dashes.
fn is_level_between(text: &[u8]) -> bool {
    let word = &text[..letters(text)];
    text[word.len()..].starts_with(b" - ") && word.iter().all(u8::is_ascii_uppercase) && word::level(word).is_some()
}

/// Levels that programs write in small letters before a message; others may be the first word of a sentence.
fn begins_plainly(word: &[u8]) -> bool {
    word[0].is_ascii_lowercase() && matches!(word[0], b'e' | b'w' | b'i' | b'd' | b'n' | b'c' | b't')
        || word == b"fatal"
}

/// How many letters stand here, and not more than any word for a level has.
pub(super) fn letters(text: &[u8]) -> usize {
    text.iter().take(word::LONGEST + 1).take_while(|byte| byte.is_ascii_alphabetic()).count()
}

/// Where a token ends that begins here: at a blank or a bar.
fn token_end(line: &[u8], at: usize) -> usize {
    let rest = &line[at..];
    at + near::first_of(*b" \t|", rest).unwrap_or(rest.len())
}

/// Where the bracket closes that opens here, if it does so soon.
pub(super) fn closing(line: &[u8], at: usize) -> Option<usize> {
    let close = match line.get(at)? {
        b'[' => b']',
        b'(' => b')',
        _ => b'>',
    };
    let rest = &line[at..];
    near::find(close, &rest[..rest.len().min(LONGEST_GROUP)]).map(|length| at + length)
}

/// Behind what programs put between the parts of a head.
pub(super) fn skip_between(line: &[u8], at: usize) -> usize {
    let rest = line.get(at..).unwrap_or_default();
    let is_between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'-' | b'|' | b',' | b':' | b';' | b'>' | b']' | b')');
    at + rest.iter().take_while(|byte| is_between(byte)).count()
}

/// Behind blanks.
pub(super) fn skip_blanks(line: &[u8], at: usize) -> usize {
    at + line.get(at..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
