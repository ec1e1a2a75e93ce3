//! Fuzz targets of what stands for itself: quantities, names, secrets in texts, URLs.

use std::time::Duration;

use chrono::DateTime;
use shipshape_fuzzing::fuzz;

use crate::{alert, http, moment, name, redact, units};

#[test]
fn quantities_are_read_and_printed_again() {
    fuzz(&[b"500MB", b"2 GiB", b"18446744073709551615", b"90m", b"2w", b"4294967295w", b"2026-11-19 18:00"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(size) = text.parse::<units::ByteSize>() {
            assert_eq!(size.0.to_string().parse(), Ok(size));
            assert!(size.to_string().len() <= 9, "{size}");
        }
        if let Ok(span) = units::span(&text) {
            assert!(span >= Duration::from_secs(60) && !units::spoken(span).is_empty());
        }
        let now = DateTime::UNIX_EPOCH;
        let times = [moment::parse(&text), moment::since(&text, now)];
        for time in times.into_iter().flatten() {
            assert!(!moment::told(time).is_empty());
        }
    });
}

#[test]
fn names_stay_in_their_folder() {
    fuzz(&[b"fleet-2.eu_west", b"..", b".hidden/x", "vps \u{e4}".as_bytes()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let mended = name::mend(&text, "app");
        assert!(name::is_valid(&mended), "{mended:?}");
        if name::is_valid(&text) && text.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            assert_eq!(mended, text);
        }
    });
}

#[test]
fn what_is_redacted_stays_so() {
    let seeds: [&[u8]; 6] = [
        b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nnext",
        b"Authorization: Bearer abcdef123456 jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig_-x!",
        b"postgres://app:p4ss/w0rd@db:5432/fleet DB_PASSWORD=hunter2 --quick",
        b"{\"api_key\": \"abc def\", \"token\": 'x', \"a\": [\"AKIAIOSFODNN7EXAMPLE\"]}",
        b"sk_live_abcdefghijklmnop xoxb-1234567890-abcdefghij ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        b"APP_KEY=base64:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq= AGE-SECRET-KEY-1QQPQY9Z0XWVUTSRNMLKJHGFEDCA234567",
    ];
    fuzz(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let once = redact::redact(&text).into_owned();
        assert_eq!(redact::redact(&once), once);
        if let Ok(mut value) = serde_json::from_slice(bytes) {
            redact::redact_json(&mut value);
            let once = value.clone();
            redact::redact_json(&mut value);
            assert_eq!(value, once);
        }
    });
}

#[test]
fn the_host_of_a_url_is_all_that_is_told_of_it() {
    fuzz(&[b"https://user:pass@example.org:8443/hook?key=1", b"http://[::1]:80/", b"smtp://a"], |bytes| {
        let Ok(host) = http::host_of(&String::from_utf8_lossy(bytes)) else { return };
        assert!(!host.is_empty() && !host.contains(['@', '/', '?', '#']), "{host}");
    });
}

#[test]
fn a_foreign_text_in_a_message_is_one_bounded_line() {
    fuzz(&[b"\x0a500 Internal\r\nError", "\u{2028}caf\u{e9}\u{1f600}".as_bytes()], |bytes| {
        let (longest, text) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
        let line = alert::one_line(&String::from_utf8_lossy(text), longest);
        assert!(!line.contains(['\n', '\r']) && line.chars().count() <= longest.max(1), "{line:?} for {longest}");
    });
}
