//! Fuzz targets of requests that come to our own listener, and of the kernel's table of sockets.

use std::collections::BTreeMap;

use shipshape_fuzzing::fuzz;

use super::{holder, responder};

#[test]
fn a_request_gets_one_answer_and_a_proof_only_at_its_place() {
    let seeds: [&[u8]; 4] = [
        b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"HEAD http://a.test/.well-known/acme-challenge/token HTTP/1.0\r\n\r\n",
        b"POST / HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01",
    ];
    fuzz(&seeds, |bytes| {
        let place = "/.well-known/acme-challenge/token";
        let routes = BTreeMap::from([(place.to_owned(), "the.proof".to_owned())]);
        let request = responder::head(&mut &bytes[..]).unwrap();
        assert!(bytes.starts_with(&request) && request.len() <= (16 << 10) + 1024);
        let said = String::from_utf8(responder::answer(&request, &routes)).unwrap();
        assert!(said.starts_with("HTTP/1.1 ") && said.matches("\r\n\r\n").count() == 1);
        let is_asked = request.windows(place.len()).any(|part| part == place.as_bytes());
        assert!(is_asked || !said.contains("the.proof"));
    });
}

#[test]
fn whoever_listens_is_read_from_the_table() {
    let table = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1\n";
    fuzz(&[table, b"0: :0050 x 0A"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        assert!(holder::listening(&text, 80).len() <= text.lines().count());
        assert!(!holder::shown(&text).contains(|letter: char| letter.is_control()));
    });
}
