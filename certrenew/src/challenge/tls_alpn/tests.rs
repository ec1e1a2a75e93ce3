use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use shipshape_core::error::Explain;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::*;
use crate::challenge::tests::proof;

/// What is shown to whoever asks by this name and offers these protocols.
fn asked(address: SocketAddr, name: &str, offered: &[&[u8]]) -> io::Result<Vec<u8>> {
    // As an authority does it: the certificate is looked at, and nobody is trusted.
    let config = crate::looker::config(offered).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(config, name).unwrap();
    let mut connection = Timed::new(TcpStream::connect(address).unwrap(), Duration::from_secs(5));
    while tls.is_handshaking() {
        tls.complete_io(&mut connection)?;
    }
    assert_eq!(tls.alpn_protocol(), Some(PROTOCOL));
    Ok(tls.peer_certificates().unwrap()[0].to_vec())
}

fn listening(proofs: &[Proof]) -> (Listener, SocketAddr) {
    let bound = bind("[::]:0".parse().unwrap()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, bound.local_addr().unwrap().port()));
    (listen(bound, config(proofs).unwrap()).unwrap(), address)
}

/// The one name of a certificate, and the content of its extension if it is critical.
fn read(der: &[u8]) -> (String, Vec<u8>) {
    let (_, read) = X509Certificate::from_der(der).unwrap();
    let names = &read.subject_alternative_name().unwrap().unwrap().value.general_names;
    let name = match names.as_slice() {
        [GeneralName::DNSName(name)] => (*name).to_owned(),
        [GeneralName::IPAddress(bytes)] => format!("{bytes:?}"),
        other => format!("{other:?}"),
    };
    // id-pe-acmeIdentifier (RFC 8737, 6.1).
    let is_it = |oid: &str| oid == "1.3.6.1.5.5.7.1.31";
    let extension = read.extensions().iter().find(|extension| is_it(&extension.oid.to_id_string())).unwrap();
    assert!(extension.critical);
    (name, extension.value.to_vec())
}

#[test]
fn each_name_has_its_own_certificate_with_the_digest_in_a_critical_extension() {
    let mut proofs = [proof("a.example", "one"), proof("b.example", "two")];
    proofs[1].digest = vec![9; 32];
    let (_listener, address) = listening(&proofs);
    for proof in &proofs {
        let name = proof.identifier.to_string();
        let (shown, extension) = read(&asked(address, &name, &[b"acme-tls/1"]).unwrap());
        // An OCTET STRING of 32 bytes.
        assert_eq!((shown, &extension[..2], &extension[2..]), (name, &[4, 32][..], &proof.digest[..]));
    }
}

#[test]
fn an_address_is_asked_for_by_its_reverse_name_and_stands_as_an_address() {
    let (_listener, address) = listening(&[proof("192.0.2.7", "one"), proof("2001:db8::1", "two")]);
    let (shown, _) = read(&asked(address, "7.2.0.192.in-addr.arpa", &[b"acme-tls/1"]).unwrap());
    assert_eq!(shown, "[192, 0, 2, 7]");
    let name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let (shown, _) = read(&asked(address, name, &[b"acme-tls/1"]).unwrap());
    assert_eq!(shown, "[32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]");
}

#[test]
fn whoever_speaks_something_else_or_asks_for_another_name_is_turned_away() {
    let (_listener, address) = listening(&[proof("a.example", "one")]);
    let refused = |name: &str, offered: &[&[u8]]| asked(address, name, offered).is_err();
    assert!(refused("a.example", &[]), "no protocol");
    assert!(refused("a.example", &[b"h2", b"http/1.1"]), "a browser's protocols");
    assert!(refused("b.example", &[b"acme-tls/1"]), "another name");
    assert!(refused("192.0.2.7", &[b"acme-tls/1"]), "no name at all");
    assert!(!refused("a.example", &[b"h2", b"acme-tls/1"]));
}

#[test]
fn a_digest_of_another_length_is_refused() {
    let mut wrong = proof("a.example", "one");
    wrong.digest.pop();
    let error = config(&[wrong]).unwrap_err();
    assert_eq!(error.code(), "challenge.certificate");
    assert!(error.to_string().contains("`a.example`"), "{error}");
}

#[test]
fn bytes_that_are_no_tls_end_the_connection_alone() {
    let (_listener, address) = listening(&[proof("a.example", "one")]);
    let mut stream = Timed::connect(address, Duration::from_secs(20)).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let mut told = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut told);
    assert!(told.len() < 64, "an alert at the most: {told:?}");
    asked(address, "a.example", &[b"acme-tls/1"]).unwrap();
}
