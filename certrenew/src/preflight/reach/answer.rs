//! An answer of HTTP/1.1 (RFC 9112), read from whatever bytes come.

/// The most of an answer that is read, in bytes, its headers included. Ours has less than two hundred.
pub(super) const LARGEST: usize = 64 << 10;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 200, 404, ….
    pub(super) status: u16,
    /// In their order, names in lower case, bytes that are no text replaced.
    headers: Vec<(String, String)>,
    /// The body, or the beginning of it.
    pub(super) body: Vec<u8>,
}

/// What bytes are so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// An answer from beginning to end.
    Whole(Answer),
    /// The beginning of one.
    Part,
    /// No HTTP.
    Nonsense,
}

/// How the end of a body is known (RFC 9112, 6.3).
enum Length {
    Bytes(usize),
    Chunks,
    Connection,
}

impl Answer {
    /// Reads what has come. At the end of the connection, or of our patience, what is there of the body is the body.
    pub(super) fn parse(mut bytes: &[u8], is_end: bool) -> Parsed {
        let part = if is_end { Parsed::Nonsense } else { Parsed::Part };
        let (mut answer, rest) = loop {
            if !bytes.starts_with(b"HTTP/1.") {
                return if b"HTTP/1.".starts_with(bytes) { part } else { Parsed::Nonsense };
            }
            let Some((head, rest)) = split_head(bytes) else { return part };
            let Some(answer) = Self::of_head(head) else { return Parsed::Nonsense };
            // News on the way, before the answer itself (RFC 9110, 15.2), may come any number of times.
            if !(100..200).contains(&answer.status) {
                break (answer, rest);
            }
            bytes = rest;
        };
        let (body, is_whole) = match answer.length() {
            Length::Bytes(length) => (rest.get(..length).unwrap_or(rest).to_vec(), rest.len() >= length),
            Length::Chunks => unchunked(rest),
            Length::Connection => (rest.to_vec(), false),
        };
        answer.body = body;
        if is_whole || is_end { Parsed::Whole(answer) } else { Parsed::Part }
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.lines();
        let status = lines.next()?.split_ascii_whitespace().nth(1)?;
        let status = status.parse().ok().filter(|_| status.len() == 3)?;
        let named = lines.filter_map(|line| line.split_once(':'));
        let headers = named.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect();
        Some(Self { status, headers, body: Vec::new() })
    }

    fn length(&self) -> Length {
        if matches!(self.status, 204 | 304) {
            return Length::Bytes(0);
        }
        if self.header("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked")) {
            return Length::Chunks;
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map_or(Length::Connection, Length::Bytes)
    }

    /// The first header of this name, which is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Where it sends us, if it does.
    pub(super) fn redirect(&self) -> Option<&str> {
        if matches!(self.status, 301 | 302 | 303 | 307 | 308) { self.header("location") } else { None }
    }
}

/// The lines before the first empty one, and what comes after it.
fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[at..at + length];
        // A line may end without CR (RFC 9112, 2.2).
        if line.is_empty() || line == b"\r" {
            return Some((&bytes[..at], &bytes[at + length + 1..]));
        }
        at += length + 1;
    }
    None
}

/// The body without the lengths of its pieces (RFC 9112, 7.1), and whether its end was there.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]);
        let digits = line.split(';').next().unwrap_or_default().trim();
        // What is no length ends it: there is nothing to be had from what follows.
        let Ok(length) = usize::from_str_radix(digits, 16) else { return (body, true) };
        rest = &rest[end + 1..];
        if length == 0 {
            return (body, true);
        }
        body.extend_from_slice(rest.get(..length).unwrap_or(rest));
        let after = rest.get(length..).unwrap_or_default();
        rest = after.strip_prefix(b"\r").unwrap_or(after);
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Status and body as text, or what else it is.
    fn told(bytes: &str, is_end: bool) -> String {
        match Answer::parse(bytes.as_bytes(), is_end) {
            Parsed::Whole(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Parsed::Part => "part".to_owned(),
            Parsed::Nonsense => "nonsense".to_owned(),
        }
    }

    #[test]
    fn the_end_of_a_body_is_known_by_its_length_its_chunks_or_the_end() {
        assert_eq!(told("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", false), "200 abc");
        assert_eq!(told("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", false), "part");
        assert_eq!(
            told("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n", false),
            "200 abc"
        );
        assert_eq!(told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n", false), "part");
        assert_eq!(told("HTTP/1.0 200 OK\r\n\r\nabc", false), "part");
        assert_eq!(told("HTTP/1.0 200 OK\r\n\r\nabc", true), "200 abc");
        assert_eq!(told("HTTP/1.1 204 No\r\n\r\n", false), "204 ");
    }

    #[test]
    fn what_breaks_off_in_the_head_is_nothing() {
        for (bytes, so_far, at_the_end) in [
            ("", "part", "nonsense"),
            ("HTT", "part", "nonsense"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", "part", "nonsense"),
            ("SSH-2.0-x\r\n", "nonsense", "nonsense"),
            ("HTTP/2 200\r\n\r\n", "nonsense", "nonsense"),
            ("HTTP/1.1 OK\r\n\r\n", "nonsense", "nonsense"),
            ("HTTP/1.1 2000 OK\r\n\r\n", "nonsense", "nonsense"),
        ] {
            assert_eq!((told(bytes, false).as_str(), told(bytes, true).as_str()), (so_far, at_the_end), "{bytes:?}");
        }
    }

    #[test]
    fn news_on_the_way_is_passed_over() {
        let bytes =
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nServer: x\r\nContent-Length: 0\r\n\r\n";
        let Parsed::Whole(answer) = Answer::parse(bytes.as_bytes(), false) else { panic!("no answer") };
        assert_eq!((answer.status, answer.header("server")), (404, Some("x")));
        let endless = "HTTP/1.1 100 x\n\n".repeat(LARGEST / 16);
        assert_eq!(told(&endless, true), "nonsense");
    }

    #[test]
    fn only_a_redirect_leads_elsewhere() {
        let redirect = |status: u16| {
            let bytes = format!("HTTP/1.1 {status} X\r\nLOCATION:  https://a.test/ \r\nContent-Length: 0\r\n\r\n");
            let Parsed::Whole(answer) = Answer::parse(bytes.as_bytes(), false) else { panic!("no answer") };
            answer.redirect().map(str::to_owned)
        };
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(redirect(status).as_deref(), Some("https://a.test/"));
        }
        assert_eq!((redirect(200), redirect(304)), (None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_end: bool) {
            let _ = Answer::parse(&bytes, is_end);
            let _ = Answer::parse(&[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat(), is_end);
            let _ = Answer::parse(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat(), is_end);
        }

        /// However the bytes are cut up on their way, the answer is the same.
        #[test]
        fn an_answer_is_whole_no_sooner_than_all_of_it_is_there(body in "[a-z\r\n]{0,40}", cut in 0..100usize) {
            let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let cut = cut % whole.len();
            prop_assert_eq!(Answer::parse(&whole.as_bytes()[..cut], false), Parsed::Part);
            prop_assert_eq!(told(&whole, false), format!("200 {body}"));
        }
    }
}
