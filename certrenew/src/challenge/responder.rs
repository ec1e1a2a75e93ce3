//! http-01 without a web server: a listener of our own that knows one path for each token.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::listener::{Listener, bind};
use super::{ChallengeError, Proof, Shown};
use crate::timed::Timed;

/// Where authorities ask (RFC 8555, 8.3).
const FOLDER: &str = "/.well-known/acme-challenge/";

/// The longest request that is read, in bytes. Those of authorities take 300.
const LONGEST: usize = 8 << 10;

/// Answers for all of them at this address.
pub(super) fn show(address: SocketAddr, proofs: &[Proof]) -> Result<Box<dyn Shown>, ChallengeError> {
    let listener = listen(bind(address)?, proofs).map_err(|source| ChallengeError::Listen { address, source })?;
    Ok(Box::new(listener))
}

/// Whether it could be done; leaves nothing behind.
pub(super) fn try_showing(address: SocketAddr) -> Result<(), ChallengeError> {
    bind(address).map(drop)
}

fn listen(listener: TcpListener, proofs: &[Proof]) -> io::Result<Listener> {
    let route = |proof: &Proof| (format!("{FOLDER}{}", proof.token), proof.key_authorization.clone());
    let routes: BTreeMap<String, String> = proofs.iter().map(route).collect();
    // Who asks and goes away is no concern of ours.
    Listener::start(listener, Arc::new(move |connection| drop(converse(connection, &routes))))
}

/// Reads one request and answers it; the connection ends with it.
fn converse(connection: &mut Timed, routes: &BTreeMap<String, String>) -> io::Result<()> {
    let request = head(connection)?;
    connection.write_all(&answer(&request, routes))?;
    connection.flush()
}

/// What comes until the empty line that ends a request's head, or as much as may come.
pub(super) fn head(connection: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !is_whole(&request) && request.len() <= LONGEST {
        match connection.read(&mut buffer)? {
            0 => break,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(request)
}

fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n")
}

/// The whole answer to a request's head (RFC 9112).
pub(super) fn answer(request: &[u8], routes: &BTreeMap<String, String>) -> Vec<u8> {
    if !is_whole(request) {
        let status = if request.len() > LONGEST { "431 Request Header Fields Too Large" } else { "400 Bad Request" };
        return whole(status, "", "");
    }
    let line = request.split(|&byte| byte == b'\r').next().and_then(|line| str::from_utf8(line).ok());
    let words: Vec<&str> = line.unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return whole("400 Bad Request", "", "") };
    if !version.starts_with("HTTP/1.") {
        return whole("505 HTTP Version Not Supported", "", "");
    }
    let found = routes.get(path(target)).map(String::as_str);
    match (method, found) {
        ("GET", Some(content)) => whole("200 OK", content, content),
        ("HEAD", Some(content)) => whole("200 OK", content, ""),
        ("GET" | "HEAD", None) => whole("404 Not Found", "", ""),
        _ => whole("405 Method Not Allowed", "", ""),
    }
}

/// A target may be a whole URL, as proxies are asked (RFC 9112, 3.2.2).
fn path(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else { return target };
    rest.find('/').map_or("/", |start| &rest[start..])
}

/// An answer that ends the connection. Its length is that of `content`, even where only the head is sent.
fn whole(status: &str, content: &str, body: &str) -> Vec<u8> {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let length = content.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n{allow}\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpStream};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::challenge::tests::proof;

    const PATH: &str = "/.well-known/acme-challenge/";

    fn listening(address: &str, proofs: &[Proof]) -> (Listener, u16) {
        let bound = bind(address.parse().unwrap()).unwrap();
        let port = bound.local_addr().unwrap().port();
        (listen(bound, proofs).unwrap(), port)
    }

    /// All that is said until the other side ends it, which it has to.
    fn told(mut stream: TcpStream) -> String {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        told
    }

    fn routes() -> BTreeMap<String, String> {
        BTreeMap::from([(format!("{PATH}abc"), "abc.thumbprint".to_owned())])
    }

    fn asked(request: &str) -> String {
        String::from_utf8(answer(request.as_bytes(), &routes())).unwrap()
    }

    fn status(request: &str) -> String {
        asked(request)[9..12].to_owned()
    }

    #[test]
    fn each_token_has_its_own_answer_over_either_family() {
        let proofs = [proof("a.example", "token-one"), proof("b.example", "token-two")];
        let (_listener, port) = listening("[::]:0", &proofs);
        for (address, proof) in ["127.0.0.1", "::1"].into_iter().zip(&proofs) {
            let mut stream = TcpStream::connect((address, port)).unwrap();
            write!(stream, "GET {PATH}{} HTTP/1.1\r\nHost: a.example\r\n\r\n", proof.token).unwrap();
            let told = told(stream);
            assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
            assert!(told.ends_with(&format!("\r\n\r\n{}", proof.key_authorization)), "{told}");
        }
    }

    #[test]
    fn only_the_path_of_a_token_is_known() {
        for target in ["/", PATH, &format!("{PATH}ab"), &format!("{PATH}abc/"), &format!("{PATH}../x/abc"), "abc"] {
            assert_eq!(status(&format!("GET {target} HTTP/1.1\r\n\r\n")), "404", "{target}");
        }
        assert_eq!(status(&format!("GET http://a.example{PATH}abc HTTP/1.1\r\n\r\n")), "200");
        assert_eq!(status("GET http://a.example HTTP/1.0\r\n\r\n"), "404");
    }

    #[test]
    fn a_head_is_told_the_length_and_no_body() {
        let told = asked(&format!("HEAD {PATH}abc HTTP/1.1\r\n\r\n"));
        assert!(told.contains("Content-Length: 14\r\n") && told.ends_with("\r\n\r\n"), "{told}");
    }

    #[test]
    fn what_is_no_request_of_ours_is_refused() {
        assert!(asked(&format!("POST {PATH}abc HTTP/1.1\r\n\r\n")).contains("405 Method Not Allowed\r\n"));
        assert_eq!(status(&format!("GET {PATH}abc HTTP/2.0\r\n\r\n")), "505");
        assert_eq!(status("GET\r\n\r\n"), "400");
        assert_eq!(status(&format!("GET {PATH}abc HTTP/1.1\r\n")), "400");
        assert_eq!(status(&"x".repeat(LONGEST + 1)), "431");
    }

    #[test]
    fn no_more_is_read_than_a_request_may_have() {
        let read = head(&mut io::repeat(b'x')).unwrap();
        assert!(read.len() <= LONGEST + 1024, "{}", read.len());
    }

    #[test]
    fn a_request_that_is_cut_is_answered_and_not_waited_for() {
        let (_listener, port) = listening("127.0.0.1:0", &[]);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET / HT").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let told = told(stream);
        assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(request in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(answer(&request, &routes()).starts_with(b"HTTP/1.1 "));
        }

        #[test]
        fn any_request_line_has_an_answer(line in "\\PC{0,80}") {
            let told = asked(&format!("{line}\r\n\r\n"));
            prop_assert!(told.starts_with("HTTP/1.1 "), "{}", told);
        }
    }
}
