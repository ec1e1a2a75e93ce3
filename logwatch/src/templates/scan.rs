//! One pass over a text, in which what differs from message to message becomes `<*>`.
//!
//! What comes out is a function of the bytes alone, and both the mask and the shape are made of it: records of one shape have
//! one mask because there is no second pass that could disagree.

use super::words;

/// What stands for what differs.
pub(super) const WILD: &[u8] = b"<*>";

/// How much of a text is looked at, in bytes: a message that goes on longer is told apart by its beginning.
pub(super) const MOST_BYTES: usize = 4 << 10;

/// How far a quotation may go, in bytes, until its quote is taken for a mere sign.
const LONGEST_QUOTATION: usize = 256;

/// How long the key of an object may be, in bytes.
const LONGEST_KEY: usize = 64;

/// What a byte is to the pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Letters, all of what is not ASCII too.
    Letter,
    Digit,
    /// Holds words together if there is one on both sides: `.`, `-`, `/`.
    Joiner,
    Space,
    Sign,
}

/// The kind of each byte.
const KINDS: [Kind; 256] = kinds();

const fn kinds() -> [Kind; 256] {
    let mut kinds = [Kind::Sign; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255; there is no try_from in a const fn")]
        let this = byte as u8;
        kinds[byte] = match this {
            b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => Kind::Letter,
            b'0'..=b'9' => Kind::Digit,
            b'.' | b'-' | b':' | b'/' | b'@' | b'+' | b'_' | b'~' | b'#' | b'\\' | b'%' | b'$' | b',' => Kind::Joiner,
            0..=b' ' | 0x7f => Kind::Space,
            _ => Kind::Sign,
        };
        byte += 1;
    }
    kinds
}

fn kind(text: &[u8], at: usize) -> Kind {
    text.get(at).map_or(Kind::Space, |byte| KINDS[usize::from(*byte)])
}

fn is_word(text: &[u8], at: usize) -> bool {
    matches!(kind(text, at), Kind::Letter | Kind::Digit)
}

/// Puts the text behind `out`, what differs masked, on one line.
pub(super) fn scan(text: &[u8], out: &mut Vec<u8>) {
    let text = &text[..text.len().min(MOST_BYTES)];
    let mut at = 0;
    while at < text.len() {
        at = match KINDS[usize::from(text[at])] {
            Kind::Letter | Kind::Digit => chunk(text, at, out),
            Kind::Space => {
                if !matches!(out.last(), None | Some(b' ')) {
                    out.push(b' ');
                }
                at + 1
            }
            Kind::Joiner | Kind::Sign => sign(text, at, out),
        };
    }
}

/// `<*>`, one for several that only joiners hold apart.
pub(super) fn push_wild(out: &mut Vec<u8>) {
    let joiners = out.iter().rev().take_while(|byte| b".:-/,_+@#|~%".contains(byte)).count();
    if joiners <= 2 && out[..out.len() - joiners].ends_with(WILD) {
        out.truncate(out.len() - joiners);
    } else {
        out.extend_from_slice(WILD);
    }
}

/// Words that joiners hold together, from `at` on; where they end.
fn chunk(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let mut end = at;
    let (mut has_digit, mut has_letter, mut has_slash, mut has_at) = (false, false, false, false);
    while end < text.len() {
        match KINDS[usize::from(text[end])] {
            Kind::Letter => {
                has_letter = true;
                end += 1;
            }
            Kind::Digit => {
                has_digit = true;
                end += 1;
            }
            Kind::Joiner => {
                let Some(next) = joined(text, end) else { break };
                has_slash |= text[end..next].contains(&b'/');
                has_at |= text[end] == b'@';
                if text[end..next] == *b"://" {
                    return url(text, (at, end), next, out);
                }
                end = next;
            }
            Kind::Space | Kind::Sign => break,
        }
    }
    if !has_letter {
        push_wild(out);
    } else if has_digit || has_at || end - at >= words::LONG {
        words::mask(&text[at..end], out);
    } else {
        out.extend_from_slice(&text[at..end]);
    }
    after_chunk(text, at, end, has_slash, out)
}

/// Behind joiners, where the next word begins; none if there is none, or if they hold nothing together.
fn joined(text: &[u8], at: usize) -> Option<usize> {
    let next = (at + 1..at + 4).find(|next| kind(text, *next) != Kind::Joiner)?;
    let holds = match text[at] {
        // `1,234` is a number, `a,b` is two words.
        b',' => kind(text, at - 1) == Kind::Digit && kind(text, next) == Kind::Digit,
        _ => is_word(text, next),
    };
    holds.then_some(next)
}

/// What belongs to the words before: a percent sign, the query of a path.
fn after_chunk(text: &[u8], start: usize, end: usize, has_slash: bool, out: &mut Vec<u8>) -> usize {
    let is_path = has_slash || start.checked_sub(1).is_some_and(|before| text[before] == b'/');
    match text.get(end) {
        Some(b'%') if out.ends_with(WILD) => end + 1,
        Some(b'?') if is_path && kind(text, end + 1) != Kind::Space => {
            out.extend_from_slice(b"?<*>");
            span(text, end, |byte| byte <= b' ' || b"\"'<>)]}|".contains(&byte))
        }
        _ => end,
    }
}

/// Where the first byte from `at` on is that ends it.
fn span(text: &[u8], at: usize, ends: impl Fn(u8) -> bool) -> usize {
    text[at..].iter().position(|byte| ends(*byte)).map_or(text.len(), |length| at + length)
}

/// A scheme, and who logs in: masked, whatever the name and the password are made of.
fn url(text: &[u8], scheme: (usize, usize), host: usize, out: &mut Vec<u8>) -> usize {
    words::mask(&text[scheme.0..scheme.1], out);
    out.extend_from_slice(b"://");
    let end = span(text, host, |byte| byte <= b' ' || b"/?\"'".contains(&byte));
    match text[host..end].iter().rposition(|byte| *byte == b'@') {
        Some(length) => {
            out.extend_from_slice(b"<*>@");
            host + length + 1
        }
        None => host,
    }
}

/// What is neither word nor space, from `at` on; where it ends.
fn sign(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let byte = text[at];
    let follows_word = at > 0 && is_word(text, at - 1);
    match byte {
        b'<' if text[at..].starts_with(WILD) => {
            push_wild(out);
            let is_percent = text.get(at + 3) == Some(&b'%') && !is_word(text, at + 4);
            return at + WILD.len() + usize::from(is_percent);
        }
        // A sign belongs to its number.
        b'-' | b'+' if !follows_word && kind(text, at + 1) == Kind::Digit => return at + 1,
        b'=' => return value(text, at, out),
        b':' if is_field(text, at) => return field(text, at, out),
        b'"' | b'\'' | b'`' if !follows_word => {
            if let Some(end) = quotation(text, at, out) {
                return end;
            }
        }
        _ => {}
    }
    out.push(byte);
    at + 1
}

/// A few words within quotes that are no sentence are a value; a single word is a name, a sentence is text. None where it is
/// to be looked at like the rest.
fn quotation(text: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let end = closing(text, at)?;
    let content = &text[at + 1..end];
    let spaces = memchr::memchr_iter(b' ', content).count();
    let is_sentence = spaces > 4 || content.first().is_some_and(u8::is_ascii_uppercase);
    if spaces == 0 || is_sentence {
        return None;
    }
    out.push(text[at]);
    out.extend_from_slice(WILD);
    out.push(text[at]);
    Some(end + 1)
}

/// Where a quotation that begins at `at` ends, if it does: the quote behind which no word goes on.
fn closing(text: &[u8], at: usize) -> Option<usize> {
    let window = &text[..text.len().min(at + LONGEST_QUOTATION)];
    let mut from = at + 1;
    loop {
        let end = from + memchr::memchr(text[at], &window[from..])?;
        if window[end - 1] != b'\\' && !is_word(text, end + 1) {
            return Some(end);
        }
        from = end + 1;
    }
}

/// The value of `key=value`: masked, unless it is one of few.
fn value(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    out.push(b'=');
    let next = at + 1;
    let has_key = at > 0 && (is_word(text, at - 1) || matches!(text[at - 1], b']' | b'_'));
    let opens = text.get(next).is_none_or(|byte| *byte <= b' ' || b"=>~{[(<,;)]}&|".contains(byte));
    if !has_key || opens {
        return next;
    }
    let is_text = words::is_text_key(key(text, at));
    if matches!(text[next], b'"' | b'\'') {
        if is_text {
            out.push(text[next]);
            return next + 1;
        }
        let Some(end) = closing(text, next) else { return next };
        out.extend_from_slice(WILD);
        return end + 1;
    }
    let end = span(text, next, |byte| byte <= b' ' || b",;)]}\"'&|<>".contains(&byte));
    if is_text {
        return next;
    }
    if words::is_one_of_few(&text[next..end]) {
        out.extend_from_slice(&text[next..end]);
    } else {
        out.extend_from_slice(WILD);
    }
    end
}

/// Whether a colon stands between the key and the value of an object: `{"key":` or `, 'key':`.
fn is_field(text: &[u8], at: usize) -> bool {
    let Some(quote) = at.checked_sub(1).filter(|quote| matches!(text[*quote], b'"' | b'\'')) else { return false };
    let from = quote.saturating_sub(LONGEST_KEY);
    let open = text[from..quote].iter().rposition(|byte| *byte == text[quote]);
    open.is_some_and(|open| matches!(text[from..from + open].trim_ascii_end().last(), Some(b'{' | b',')))
}

/// The value of `"key": "value"`: masked, unless it is text. What is not within quotes is looked at like the rest.
fn field(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    out.push(b':');
    let open = at + 1 + usize::from(text.get(at + 1) == Some(&b' '));
    let is_text = words::is_text_key(key(text, at - 1));
    let is_quoted = matches!(text.get(open), Some(b'"' | b'\''));
    let Some(end) = is_quoted.then(|| closing(text, open)).flatten().filter(|_| !is_text) else { return at + 1 };
    out.extend_from_slice(WILD);
    end + 1
}

/// The word before `at`.
fn key(text: &[u8], at: usize) -> &[u8] {
    let start =
        text[..at].iter().rposition(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').map_or(0, |at| at + 1);
    &text[start..at]
}
