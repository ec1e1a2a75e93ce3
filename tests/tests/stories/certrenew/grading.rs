//! What graders say of the configuration that the manual proposes.

use std::fs;

use super::serving::Shop;
use crate::harness::{acme::unpacked, goes_without, shell};

#[test]
fn the_proposed_nginx_configuration_is_graded_a_plus_by_testssl() {
    let shop = Shop::open();
    let root = shop.path("home/root.pem");
    fs::write(&root, shop.issuance_root()).unwrap();
    let told = shell(&format!(
        "export TESTSSL_INSTALL_DIR='{0}/etc/testssl' TERM=dumb; bash '{0}/usr/bin/testssl' --quiet --color 0 --warnings off \
         --nodns none --ip 127.0.0.1 --add-ca '{1}' shop.test:{2} || true",
        unpacked("testssl").display(),
        root.display(),
        shop.tls_port(),
    ));
    let grade =
        told.lines().find(|line| line.contains("Overall Grade")).unwrap_or_else(|| panic!("no grade in {told}"));
    assert!(grade.trim_end().ends_with("A+"), "{told}");
}

#[test]
fn the_proposed_nginx_configuration_is_mozilla_s_intermediate_to_sslyze() {
    if goes_without("sslyze") {
        return; // `scripts/test` counts it as not run.
    }
    let shop = Shop::open();
    let root = shop.path("home/root.pem");
    fs::write(&root, shop.issuance_root()).unwrap();
    let sslyze = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/sslyze");
    let told = shell(&format!(
        "'{sslyze}' --certinfo_ca_file '{}' --mozilla_config=intermediate 'shop.test:{}{{127.0.0.1}}' 2>/dev/null || true",
        root.display(),
        shop.tls_port()
    ));
    assert!(told.contains("OK - Compliant"), "{told}");
}
