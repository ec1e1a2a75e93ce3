//! Certificates of certbot, taken over where they lie: renewed by us, and still read by certbot.

use std::fs;

use super::site::{Site, one, serial_of};
use crate::harness::acme::Pebble;
use crate::harness::shell;

/// The real certbot, with everything of its below `home/certbot`.
#[track_caller]
fn certbot(site: &Site, words: &str) -> String {
    let home = site.path("home/certbot");
    shell(&format!(
        "export REQUESTS_CA_BUNDLE='{}'; certbot --config-dir '{1}/etc' --work-dir '{1}/work' --logs-dir '{1}/logs' \
         --server '{2}' --non-interactive {words} 2>&1",
        Pebble::root().display(),
        home.display(),
        site.pebble.directory_url(),
    ))
}

#[test]
fn a_folder_of_the_real_certbot_is_adopted_and_renewed_in_place_and_certbot_still_reads_it() {
    let site = Site::new();
    let port = site.http_port();
    certbot(
        &site,
        &format!(
            "certonly --agree-tos --register-unsafely-without-email --standalone --http-01-address 127.0.0.1 \
             --http-01-port {port} --cert-name shop.test --domain shop.test --domain www.shop.test"
        ),
    );
    let folder = site.path("home/certbot/etc");
    let live = folder.join("live/shop.test");
    let before = serial_of(&live.join("cert.pem"));
    site.asks(&site.pebble.directory_url(), "", "names = [\"other.test\"]\nrenew = false");
    let config = fs::read_to_string(site.etc("shipshape.toml")).unwrap();

    let looked = site.certrenew(&["adopt", "--dry-run"]).args(&[&folder]).run().gets_done();
    assert_eq!(fs::read_to_string(site.etc("shipshape.toml")).unwrap(), config, "{looked}");
    let adopted = site.certrenew(&["adopt"]).args(&[&folder]).run().gets_done();

    let written = fs::read_to_string(site.etc("shipshape.toml")).unwrap();
    assert!(written.starts_with(&config) && written.contains("www.shop.test"), "{adopted}\n{written}");
    // Nothing of it is due, and nothing is ordered.
    let orders = site.pebble.orders();
    let run = site.renews(&["--name", "shop.test"]).gets_done();
    assert_eq!((one(&run)["action"].as_str(), site.pebble.orders()), (Some("none"), orders), "{run}");

    let renewed = site.renews(&["--name", "shop.test", "--force"]).gets_done();

    assert_eq!(one(&renewed)["action"], "renewed", "{renewed}");
    let after = serial_of(&live.join("cert.pem"));
    assert_ne!(after, before);
    let read = certbot(&site, "certificates");
    // certbot prints a serial number as a number, without the zeros at its beginning.
    let serial = format!("Serial Number: {}\n", after.trim_start_matches('0'));
    assert!(read.contains(&serial) && read.contains("shop.test www.shop.test"), "{read}");
    // The key is the new certificate's, and certbot itself goes on from there if it must.
    let config_of_certbot = folder.join("renewal/shop.test.conf");
    assert!(config_of_certbot.exists());
    let left_alone = certbot(&site, "renew");
    assert_eq!(serial_of(&live.join("cert.pem")), after, "{left_alone}");
    site.certrenew(&["adopt"]).args(&[&folder]).run().gets_done();
    assert_eq!(fs::read_to_string(site.etc("shipshape.toml")).unwrap(), written, "adopting twice changes nothing");
}
