//! Fuzz targets of names, of keys, and of what is remembered between runs.

use std::path::Path;

use shipshape_fuzzing::fuzz;

use crate::identifier::Identifier;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::pem;

#[test]
fn a_name_that_is_read_reads_as_itself() {
    let seeds: [&[u8]; 6] = [
        b"*.WWW.example.com.",
        "b\u{fc}cher.example".as_bytes(),
        "a.example\u{3002}".as_bytes(),
        b"[2001:db8::1]",
        b"::ffff:192.0.2.1",
        b"xn--bcher-kva.example",
    ];
    fuzz(&seeds, |bytes| {
        let Ok(name) = Identifier::parse(&String::from_utf8_lossy(bytes)) else { return };
        let text = name.to_string();
        assert_eq!(Identifier::parse(&text).unwrap(), name, "{text}");
        if let Some(host) = name.host() {
            assert!(!host.is_empty() && host.len() <= 253 && host.is_ascii() && !host.ends_with('.'), "{host}");
        }
    });
}

#[test]
fn a_key_that_is_read_is_written_and_read_again() {
    let place = Path::new("k");
    let key = Key::make(shipshape_core::config::KeyKind::EcdsaP256).unwrap();
    let wrapped = pem::armour("EC PRIVATE KEY", &[0x30, 0x03, 0x02, 0x01, 0x01]);
    fuzz(&[key.pem().as_bytes(), wrapped.as_bytes(), b"-----BEGIN RSA PRIVATE KEY-----\nAA==\n"], |bytes| {
        let Ok(key) = Key::read(bytes, place) else { return };
        let again = Key::read(key.pem().as_bytes(), place).unwrap();
        assert_eq!((again.public(), again.kind()), (key.public(), key.kind()));
    });
}

#[test]
fn a_ledger_that_is_read_is_written_and_read_again() {
    let ledger = br#"{"version":1,"certificates":{"a.test":{"order":{"url":null,"ca":"letsencrypt","account":"","names":["a.test","*.a.test"],"profile":null,
        "key":"ecdsa-p256","key_file":"/s/orders/a.key","at":"2026-11-20T02:00:00Z"},"wish":{"of":"01","window":["2026-11-20T02:00:00Z","2026-11-21T02:00:00Z"],
        "selected":null,"ask_again":"2026-11-20T08:00:00Z","explanation":null},"folder":"/live/a"}}}"#;
    fuzz(&[ledger, br#"{"version":2}"#], |bytes| {
        let Ok(ledger) = serde_json::from_slice::<Ledger>(bytes) else { return };
        let text = serde_json::to_vec(&ledger).unwrap();
        let again: Ledger = serde_json::from_slice(&text).unwrap();
        assert_eq!((again.version, again.certificates), (ledger.version, ledger.certificates));
    });
}
