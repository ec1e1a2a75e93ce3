//! Fuzz target of certificates and chains.

use shipshape_fuzzing::fuzz;

use super::*;

#[test]
fn a_chain_that_is_read_is_written_and_read_again() {
    let key = key();
    let chain = Authority::new("E7").chain(&key, &["a.test", "192.0.2.1"]);
    let (full, leaf) = (chain.full_pem(), chain.certificates[0].clone());
    fuzz(&[full.as_bytes(), &leaf, b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"], |bytes| {
        let wrapped = pem::armour(LABEL, bytes);
        for pem in [bytes, wrapped.as_bytes()] {
            let Ok(read) = Chain::read(pem, "x") else { continue };
            assert_eq!(Chain::read(read.full_pem().as_bytes(), "x").unwrap(), read);
            let facts = &read.facts;
            assert!(
                !facts.issuer.chars().any(char::is_control)
                    && facts.serial.bytes().all(|byte| byte.is_ascii_hexdigit())
            );
            let _ = (facts.lifetime(), facts.days_left(now()), read.is_by("E7"), read.issuers_pem().len());
            let is_taken = read.check(&key, &identifiers(&["a.test"]), now()).is_ok();
            assert!(!is_taken || facts.public_key == key.public());
        }
        assert!(Facts::of(bytes).is_none_or(|facts| {
            facts.names.iter().all(|name| Identifier::parse(&name.to_string()).as_ref().ok() == Some(name))
        }));
    });
}
