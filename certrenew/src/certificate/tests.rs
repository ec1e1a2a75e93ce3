mod fuzz;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, SerialNumber};
use shipshape_core::config::KeyKind;

use super::*;
use crate::key;

/// An authority of our own: a root, an issuer that it signed, and what they issue.
struct Authority {
    root: Issuer<'static, KeyPair>,
    issuer: Issuer<'static, KeyPair>,
    issuer_der: Vec<u8>,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-11-20T02:00:00Z")
}

fn identifiers(names: &[&str]) -> Vec<Identifier> {
    names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let root = Issuer::new(authority_params("Root of tests"), KeyPair::generate().unwrap());
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name);
        let issuer_der = params.signed_by(&key, &root).unwrap().der().to_vec();
        Self { root, issuer: Issuer::new(params, key), issuer_der }
    }

    fn params(names: &[&str], from: &str, until: &str) -> CertificateParams {
        let mut params = key::params(&identifiers(names)).unwrap();
        let moment = |text| {
            rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(at(text).timestamp().try_into().unwrap())
        };
        (params.not_before, params.not_after) = (moment(from), moment(until));
        params.use_authority_key_identifier_extension = true;
        params
    }

    fn issue(&self, key: &Key, params: &CertificateParams) -> Vec<u8> {
        params.signed_by(key.pair(), &self.issuer).unwrap().der().to_vec()
    }

    /// A chain as authorities send it.
    fn chain(&self, key: &Key, names: &[&str]) -> Chain {
        let leaf = self.issue(key, &Self::params(names, "2026-11-20T01:00:00Z", "2027-02-18T01:00:00Z"));
        Chain { facts: Facts::of(&leaf).unwrap(), certificates: vec![leaf, self.issuer_der.clone()] }
    }
}

fn key() -> Key {
    Key::make(KeyKind::EcdsaP256).unwrap()
}

/// Why it may not be installed.
fn refused(chain: &Chain, key: &Key, names: &[&str], now: DateTime<Utc>) -> String {
    chain.check(key, &identifiers(names), now).unwrap_err().to_string()
}

#[test]
fn what_was_ordered_is_taken_and_reads_the_same_from_its_files() {
    let (key, names) = (key(), ["a.test", "*.a.test", "192.0.2.7", "2001:db8::7"]);
    let chain = Authority::new("Pebble Intermediate CA 1f2e3d").chain(&key, &names);
    chain.check(&key, &identifiers(&names), now()).unwrap();
    assert_eq!(chain.facts.names, identifiers(&names).into_iter().collect());
    let read = Chain::read(chain.full_pem().as_bytes(), "fullchain.pem").unwrap();
    assert_eq!(read, chain);
    assert_eq!(chain.leaf_pem() + &chain.issuers_pem(), chain.full_pem());
    assert_eq!((chain.facts.issuer.as_str(), chain.facts.is_staging), ("Pebble Intermediate CA 1f2e3d", false));
    assert!(!chain.facts.is_self_signed);
    assert_eq!((chain.facts.lifetime().num_days(), chain.facts.days_left(now())), (90, 89));
}

#[test]
fn a_chain_that_was_not_ordered_is_refused_and_told_why() {
    let key = key();
    let authority = Authority::new("E7");
    let chain = authority.chain(&key, &["a.test"]);
    assert!(refused(&chain, &self::key(), &["a.test"], now()).ends_with("another key"));
    assert!(refused(&chain, &key, &["a.test", "b.test"], now()).ends_with("it is not for b.test"));
    assert!(refused(&chain, &key, &["*.a.test"], now()).ends_with("it is not for *.a.test"));
    assert!(refused(&chain, &key, &["a.test"], at("2026-11-19T23:59:59Z")).contains("not yet"));
    assert!(refused(&chain, &key, &["a.test"], at("2027-02-18T01:00:00Z")).contains("over"));
    chain.check(&key, &identifiers(&["A.Test"]), at("2026-11-20T00:00:00Z")).unwrap();
}

#[test]
fn a_chain_in_the_wrong_order_is_refused() {
    let key = key();
    let authority = Authority::new("E7");
    let good = authority.chain(&key, &["a.test"]);
    let root = authority.root.key();
    let root = authority_params("Root of tests").self_signed(root).unwrap().der().to_vec();
    let longer = Chain { certificates: [good.certificates.clone(), vec![root.clone()]].concat(), ..good.clone() };
    longer.check(&key, &identifiers(&["a.test"]), now()).unwrap();
    let leaf = good.certificates[0].clone();
    let mixed = Chain { certificates: vec![leaf.clone(), root, authority.issuer_der.clone()], ..good.clone() };
    assert!(refused(&mixed, &key, &["a.test"], now()).ends_with("number 1 of its chain is not signed by number 2"));
    // The same name, and another key: only the signature tells them apart.
    let twin = Authority::new("E7").issuer_der;
    let mixed = Chain { certificates: vec![leaf, twin], ..good };
    assert!(refused(&mixed, &key, &["a.test"], now()).ends_with("number 1 of its chain is not signed by number 2"));
}

/// The example of RFC 9773, 4.1, as Let's Encrypt published it too.
#[test]
fn the_identifier_for_renewal_information_keeps_the_leading_zero_of_the_serial_number() {
    const KEY_ID: [u8; 20] = [
        0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01,
        0xc8, 0xd4,
    ];
    let mut authority = authority_params("E7");
    authority.key_identifier_method = KeyIdMethod::PreSpecified(KEY_ID.to_vec());
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    let mut params = Authority::params(&["a.test"], "2026-11-20T01:00:00Z", "2027-02-18T01:00:00Z");
    params.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
    let facts = Facts::of(params.signed_by(key().pair(), &issuer).unwrap().der()).unwrap();
    assert_eq!(facts.renewal_id.as_deref(), Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
    assert_eq!(facts.serial, "87654321");
}

#[test]
fn a_certificate_that_does_not_name_its_issuers_key_has_no_such_identifier() {
    let mut params = Authority::params(&["a.test"], "2026-11-20T01:00:00Z", "2027-02-18T01:00:00Z");
    params.use_authority_key_identifier_extension = false;
    let der = Authority::new("E7").issue(&key(), &params);
    assert_eq!(Facts::of(&der).unwrap().renewal_id, None);
}

#[test]
fn a_placeholder_is_told_from_what_somebody_issued() {
    let key = key();
    let own = key::params(&identifiers(&["a.test"])).unwrap().self_signed(key.pair()).unwrap();
    assert!(Facts::of(own.der()).unwrap().is_self_signed);
    // An issuer of the same empty name, and another key.
    let mut other = CertificateParams::default();
    other.distinguished_name = rcgen::DistinguishedName::new();
    let other = Issuer::new(other, KeyPair::generate().unwrap());
    let issued = key::params(&identifiers(&["a.test"])).unwrap().signed_by(key.pair(), &other).unwrap();
    assert!(!Facts::of(issued.der()).unwrap().is_self_signed);
}

#[test]
fn a_certificate_of_a_rehearsal_is_known_by_its_issuer() {
    let chain = Authority::new("(STAGING) Puzzling Parsnip E7").chain(&key(), &["a.test"]);
    assert!(chain.facts.is_staging);
    assert!(chain.is_by("(STAGING) Puzzling Parsnip E7"));
    assert!(chain.is_by("Root of tests"), "the issuer of the last one counts");
    assert!(!chain.is_by("E7"));
}

#[test]
fn an_issuers_name_cannot_write_on_the_terminal() {
    let name = format!("\u{1b}[31mE7\r\n{}", "x".repeat(500));
    let facts = Authority::new(&name).chain(&key(), &["a.test"]).facts;
    assert!(facts.issuer.starts_with("?[31mE7??xxx"), "{}", facts.issuer);
    assert_eq!(facts.issuer.chars().count(), MOST_OF_A_NAME);
}

#[test]
fn a_name_that_looks_like_an_address_is_none() {
    let mut params = key::params(&[]).unwrap();
    params.subject_alt_names = vec![rcgen::SanType::DnsName("192.0.2.7".try_into().unwrap())];
    let der = Authority::new("E7").issue(&key(), &params);
    assert_eq!(Facts::of(&der).unwrap().names, BTreeSet::new());
}

#[test]
fn text_around_the_certificates_is_passed_over_and_other_sections_too() {
    let key = key();
    let chain = Authority::new("E7").chain(&key, &["a.test"]);
    let text =
        format!("Bag Attributes\r\n{}\nsubject=\n{}{}", key.pem().as_str(), chain.leaf_pem(), chain.issuers_pem());
    assert_eq!(Chain::read(text.replace('\n', "\r\n").as_bytes(), "x").unwrap(), chain);
}

#[test]
fn what_is_no_chain_is_told_with_its_place() {
    let chain = Authority::new("E7").chain(&key(), &["a.test"]);
    let good = chain.full_pem();
    let damaged = good.clone() + &pem::armour(LABEL, &chain.certificates[1][..200]);
    let trailing = pem::armour(LABEL, &[chain.certificates[0].clone(), vec![0]].concat());
    let cases = [
        (String::new(), "there is none in it"),
        ("junk".to_owned(), "there is none in it"),
        (key().pem().to_string(), "there is none in it"),
        (damaged, "number 3 in it is damaged"),
        (trailing, "number 1 in it is damaged"),
        (chain.leaf_pem().repeat(LONGEST + 1), "too many"),
        ("x".repeat(LARGEST + 1), "too large"),
        (good[..good.len() - 30].to_owned(), "section end"),
    ];
    for (text, why) in cases {
        let refused = Chain::read(text.as_bytes(), "live/a.test/fullchain.pem").unwrap_err();
        assert_eq!(refused.code(), "certificate.unreadable");
        let told = refused.to_string();
        assert!(told.starts_with("live/a.test/fullchain.pem holds no") && told.contains(why), "{why}: {told}");
        assert_eq!(refused.hint(), "see what it is: openssl x509 -noout -text -in live/a.test/fullchain.pem");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Facts::of(&bytes).is_none());
        prop_assert!(Chain::read(&bytes, "x").is_err());
        prop_assert!(Chain::read(pem::armour(LABEL, &bytes).as_bytes(), "x").is_err());
    }

    #[test]
    fn a_certificate_with_wrong_bytes_never_passes_for_the_right_one(
        at in any::<prop::sample::Index>(),
        wrong in proptest::collection::vec(any::<u8>(), 1..5),
    ) {
        let key = key();
        let mut chain = Authority::new("E7").chain(&key, &["a.test"]);
        let leaf = &mut chain.certificates[0];
        let at = at.index(leaf.len());
        let end = (at + wrong.len()).min(leaf.len());
        let before = leaf[at..end].to_vec();
        leaf[at..end].copy_from_slice(&wrong[..end - at]);
        let is_changed = leaf[at..end] != before[..];
        let read = Chain::read(chain.full_pem().as_bytes(), "x");
        let is_taken = read.is_ok_and(|read| read.check(&key, &identifiers(&["a.test"]), now()).is_ok());
        // Bytes of the signature's own packaging may be written in more ways than one; what they say stays the same.
        prop_assert!(!is_changed || !is_taken || Facts::of(&chain.certificates[0]) == Some(chain.facts.clone()));
    }
}
