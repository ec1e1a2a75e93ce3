//! Fuzz targets of what comes back for a token, and of where it sends us.

use shipshape_fuzzing::fuzz;

use super::answer::{Answer, Parsed};
use super::url::Url;

#[test]
fn an_answer_is_whole_at_one_point_and_stays_so() {
    let seeds: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproof",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 Moved\nLocation: https://a.test/x\n\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nproof\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
    ];
    fuzz(&seeds, |bytes| {
        let bytes = &bytes[..bytes.len().min(2000)];
        let mut settled = None;
        for end in 0..=bytes.len() {
            let now = Answer::parse(&bytes[..end], false);
            match (&settled, now) {
                (None, Parsed::Part) => {}
                (None, other) => settled = Some(other),
                (Some(before), now) => assert_eq!(now, *before, "after {end} bytes"),
            }
        }
        let at_end = Answer::parse(bytes, true);
        if let Some(settled) = settled {
            assert_eq!(at_end, settled);
        }
        if let Parsed::Whole(answer) = at_end {
            assert!(answer.body.len() <= bytes.len() && !(100..200).contains(&answer.status));
            let _ = answer.redirect();
        }
    });
}

#[test]
fn a_redirect_leads_to_a_host_and_a_path() {
    fuzz(
        &[b"//b.test:8080/x?y", b"/x y", b"HTTPS://[2001:DB8::1]./", b"http://user@c.test", b"ftp://d.test/"],
        |bytes| {
            let from = Url::of_token("a.test", 80, "token");
            let Some(url) = from.join(&String::from_utf8_lossy(bytes)) else { return };
            assert!(!url.host.is_empty() && url.path.starts_with('/'), "{url:?}");
            assert!(
                !url.host.contains(['/', '@', '\r', '\n', ' ']) && !url.path.contains(['\r', '\n', ' ']),
                "{url:?}"
            );
            let text = format!("{}://{}{}", if url.is_tls { "https" } else { "http" }, url.authority(), url.path);
            assert_eq!(from.join(&text), Some(url));
        },
    );
}
