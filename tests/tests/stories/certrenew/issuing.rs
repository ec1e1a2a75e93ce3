//! What is issued: by every challenge, for every kind of key, and only when it is due.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::site::{Site, failed, one};
use crate::harness::acme::{Settings, Version};
use crate::harness::{Exit, Random, shell};

#[test]
fn the_first_run_issues_and_the_second_has_nothing_to_do() {
    for version in [Version::Old, Version::New] {
        let site = Site::with(Settings { version, ..Settings::default() });

        let first = site.renews(&[]).exits_with(Exit::Ok);

        let told = one(&first);
        assert_eq!((&told["action"], &told["name"]), (&"renewed".into(), &"shop.test".into()), "{first}");
        assert_eq!(told["serial"], site.serial().as_str());
        assert_eq!(told["days_left"], 89, "{first}");
        site.has_a_pair_for(&["shop.test"]);

        let second = site.renews(&[]).exits_with(Exit::Ok);
        assert_eq!(one(&second)["action"], "none");
        assert!(one(&second)["next_attempt"].is_string(), "{second}");
        assert_eq!(site.pebble.orders(), 1);
    }
}

#[test]
fn keys_are_private_from_birth_and_links_are_relative() {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&site.live("privkey.pem")), 0o600);
    assert_eq!(mode(&site.live("fullchain.pem")), 0o644);
    let link = fs::read_link(site.path("certs/live/shop.test")).unwrap();
    assert!(link.is_relative(), "{link:?}");
    let exposed = shell(&format!(
        "grep -rlE 'PRIVATE|key_pkcs8|\"key\"' '{0}' | xargs -r ls -l | grep -v '^-rw-------' || true",
        site.path("state").display()
    ));
    assert_eq!(exposed, "", "what holds keys is private");
    let orders = shell(&format!("find '{}/orders' -type f 2>/dev/null || true", site.path("state").display()));
    assert_eq!(orders, "", "the key of an order that is done lies with its certificate alone");
}

#[test]
fn a_certificate_of_minutes_is_renewed_when_due_and_only_then() {
    let life = Duration::from_secs(20);
    // The old one has no wishes: those of the new one for certificates of minutes are days wide.
    let site = Site::with(Settings { version: Version::Old, profiles: vec![("default", life)], ..Settings::default() });
    let mut actions = Vec::new();
    for _ in 0..10 {
        let run = site.renews(&[]);
        actions.push(one(&run)["action"].as_str().unwrap().to_owned());
        std::thread::sleep(Duration::from_secs(3));
    }
    let renewed = actions.iter().filter(|action| *action == "renewed").count();
    assert_eq!(actions[0], "renewed");
    assert!((3..=4).contains(&renewed), "every ten seconds of some thirty: {actions:?}");
    assert_eq!(site.pebble.orders(), renewed);
    site.has_a_pair_for(&["shop.test"]);
}

#[test]
fn every_kind_of_key_is_issued_for_and_a_change_of_names_is_renewed_at_once() {
    let site = Site::new();
    let kinds = [
        ("ecdsa-p256", "prime256v1"),
        ("ecdsa-p384", "secp384r1"),
        ("rsa-2048", "2048 bit"),
        ("rsa-3072", "3072 bit"),
        ("rsa-4096", "4096 bit"),
    ];
    for (kind, told) in kinds {
        site.says("", &format!("names = [\"shop.test\", \"www.shop.test\"]\nkey = {kind:?}"));
        site.renews(&["--force"]).exits_with(Exit::Ok);
        let text = shell(&format!("openssl pkey -noout -text -in '{}'", site.live("privkey.pem").display()));
        assert!(text.contains(told), "{kind}: {text}");
        site.has_a_pair_for(&["shop.test", "www.shop.test"]);
    }
    let orders = site.pebble.orders();
    site.says("", "names = [\"shop.test\", \"127.0.0.1\"]");
    let changed = site.renews(&[]).exits_with(Exit::Ok);
    assert!(one(&changed)["reason"].as_str().unwrap().contains("it lacks 127.0.0.1"), "{changed}");
    site.has_a_pair_for(&["shop.test", "127.0.0.1"]);
    assert_eq!(site.pebble.orders(), orders + 1);
}

#[test]
fn tls_alpn_proves_names_and_addresses() {
    let site = Site::new();
    site.says(
        "challenge = \"tls-alpn-01\"\npreflight = \"off\"",
        "names = [\"shop.test\", \"api.shop.test\", \"127.0.0.1\"]\nname = \"shop.test\"",
    );
    site.renews(&[]).exits_with(Exit::Ok);
    site.has_a_pair_for(&["shop.test", "api.shop.test", "127.0.0.1"]);
}

/// A hook that tells the story's DNS, with what curl can do.
fn hook(site: &Site) {
    let script = format!(
        "#!/bin/sh\nset -eu\ncase $1 in\npresent) curl -sf -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" {0}/set-txt ;;\n\
         cleanup) curl -sf -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" {0}/clear-txt ;;\nesac\necho \"$1 $2\" >>'{1}'\n",
        site.pebble.dns_management_url(),
        site.path("home/hook.log").display(),
    );
    fs::write(site.path("etc/hook"), script).unwrap();
    site.chmod("etc/hook", 0o755);
}

#[test]
fn a_hook_proves_a_wildcard_and_its_domain_and_cleans_up_after_itself() {
    let site = Site::new();
    hook(&site);
    let hook = site.etc("hook").display().to_string();
    site.says(
        &format!("challenge = \"dns-01\"\nhook = {hook:?}\nhook_wait_s = 10"),
        "names = [\"*.shop.test\", \"shop.test\"]",
    );
    site.renews(&[]).exits_with(Exit::Ok);
    site.has_a_pair_for(&["*.shop.test", "shop.test"]);
    let log = fs::read_to_string(site.path("home/hook.log")).unwrap();
    let count = |word: &str| log.lines().filter(|line| *line == format!("{word} _acme-challenge.shop.test")).count();
    assert_eq!((count("present"), count("cleanup")), (2, 2), "{log}");
}

#[test]
fn a_wildcard_without_a_hook_is_refused_before_anybody_is_asked() {
    let site = Site::new();
    site.says("", "names = [\"*.shop.test\"]");
    site.renews(&[]).exits_with(Exit::Unknown).fails_with("certificate.challenge").hints("dns-01");
    assert_eq!(site.pebble.orders(), 0);
}

#[test]
fn the_profile_is_checked_against_the_directory_and_kept_on_renewal() {
    let profiles = vec![("classic", Duration::from_hours(24 * 90)), ("shortlived", Duration::from_hours(24 * 6))];
    let site = Site::with(Settings { profiles, ..Settings::default() });
    site.says("", "names = [\"shop.test\"]\nprofile = \"tlsserver\"");
    failed(&site.renews(&[]).exits_with(Exit::Critical), "acme.profile", "classic");
    assert_eq!(site.pebble.orders(), 0);

    site.says("", "names = [\"shop.test\"]\nprofile = \"shortlived\"");
    assert_eq!(one(&site.renews(&[]).exits_with(Exit::Ok))["days_left"], 5);
    // Nobody says it again: it is what this certificate came with.
    site.says("", "names = [\"shop.test\"]");
    for _ in 0..3 {
        assert_eq!(one(&site.renews(&["--force"]).exits_with(Exit::Ok))["days_left"], 5);
    }
}

#[test]
fn an_account_is_bound_where_the_authority_wants_it() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let site = Site::with(Settings { binding: Some(("kid-1", key)), ..Settings::default() });
    failed(&site.renews(&[]).exits_with(Exit::Critical), "acme.binding", "eab_kid");

    fs::write(site.etc("eab"), format!("{key}\n")).unwrap();
    site.chmod("etc/eab", 0o600);
    site.says(
        &format!("eab_kid = \"kid-1\"\neab_hmac_file = {:?}", site.etc("eab").display().to_string()),
        "names = [\"shop.test\"]",
    );
    let bound = site.renews(&[]).exits_with(Exit::Ok);
    assert_eq!(one(&bound)["action"], "renewed");
    assert!(!bound.stdout().contains(key) && !bound.stderr().contains(key));
    // The account is known from then on.
    site.renews(&["--force"]).exits_with(Exit::Ok);
}

#[test]
fn another_chain_is_taken_where_it_is_wanted() {
    let site = Site::with(Settings { alternate_roots: 2, ..Settings::default() });
    let roots = site.pebble.issuance_roots();
    fs::write(site.path("home/other.pem"), &roots[2]).unwrap();
    let subject = shell(&format!(
        "openssl x509 -noout -subject -nameopt multiline -in '{}'",
        site.path("home/other.pem").display()
    ));
    let name = subject
        .lines()
        .find_map(|line| line.trim().strip_prefix("commonName"))
        .unwrap()
        .trim_start_matches([' ', '='])
        .to_owned();

    site.says("", &format!("names = [\"shop.test\"]\nchain = {name:?}"));
    site.renews(&[]).exits_with(Exit::Ok);
    shell(&format!(
        "cd '{}'; openssl verify -CAfile '{}' -untrusted chain.pem cert.pem",
        site.live("").display(),
        site.path("home/other.pem").display()
    ));

    site.says("", "names = [\"shop.test\"]\nchain = \"Nobody's Root\"");
    site.renews(&["--force"]).exits_with(Exit::Warning).warns_of("acme.chain");
}

#[test]
fn flags_alone_are_enough() {
    let site = Site::new();
    fs::remove_file(site.etc("shipshape.toml")).unwrap();
    let webroot = site.path("www");
    fs::create_dir(&webroot).unwrap();
    let folder = site.path("certs");
    let finished = site.sh(&format!(
        "unset SHIPSHAPE_CONFIG; certrenew --domain shop.test --webroot '{}' --ca '{}' --ca-file '{}' --folder '{}' --dry-run",
        webroot.display(),
        site.pebble.directory_url(),
        crate::harness::acme::Pebble::root().display(),
        folder.display(),
    ));
    // No web server serves that folder: found out before anything was ordered.
    assert_eq!(site.pebble.orders(), 0, "{finished}");
    assert_eq!(one(&finished)["name"], "shop.test", "{finished}");
    assert!(!folder.exists());
}

#[test]
fn a_rehearsal_orders_from_the_staging_and_installs_nothing() {
    let site = Site::new();
    let staging = crate::harness::acme::Pebble::start(Settings { http_port: site.http_port(), ..Settings::default() });
    site.says(&format!("staging = {:?}", staging.directory_url()), "names = [\"shop.test\"]");
    let rehearsed = site.renews(&["--dry-run"]).exits_with(Exit::Ok);
    assert!(one(&rehearsed)["reason"].as_str().unwrap().contains("rehearsed"), "{rehearsed}");
    assert_eq!((site.pebble.orders(), staging.orders()), (0, 1));
    assert!(!site.path("certs/live").exists());
    site.renews(&[]).exits_with(Exit::Ok);
    let serial = site.serial();
    site.renews(&["--dry-run"]).exits_with(Exit::Ok);
    assert_eq!((site.serial(), site.pebble.orders(), staging.orders()), (serial, 1, 2));
}

#[test]
fn a_revoked_certificate_is_replaced_by_the_next_run() {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    let serial = site.serial();
    site.renews(&["revoke", "shop.test", "--reason", "key-compromise"]).exits_with(Exit::Warning);
    let next = site.renews(&[]).exits_with(Exit::Ok);
    assert_eq!(one(&next)["action"], "renewed", "{next}");
    assert_ne!(site.serial(), serial);
    site.renews(&["revoke", "nothing.test", "--reason", "superseded"])
        .exits_with(Exit::Unknown)
        .fails_with("certificate.unknown");
}

#[test]
fn nonces_that_are_refused_and_authorizations_that_are_reused_change_nothing() {
    for (nonce_reject, authz_reuse) in [(15, 100), (50, 0), (50, 100)] {
        let site = Site::with(Settings { nonce_reject, authz_reuse, ..Settings::default() });
        let mut random = Random::new(u64::from(nonce_reject));
        for round in 0..4 {
            let names = ["shop.test", "a.test", "b.test"];
            let some = &names[..usize::try_from(random.between(1, 3)).unwrap()];
            site.says("", &format!("names = {some:?}"));
            let finished = site.renews(&["--force"]).exits_with(Exit::Ok);
            assert_eq!(one(&finished)["action"], "renewed", "round {round}, {nonce_reject} % refused: {finished}");
            site.has_a_pair_for(some);
        }
        assert_eq!(site.pebble.orders(), 4, "no order too many");
    }
}

#[test]
fn an_authority_that_takes_its_time_is_waited_for() {
    let site = Site::with(Settings { delays: crate::harness::acme::Delays::Real, ..Settings::default() });
    site.renews(&[]).exits_with(Exit::Ok);
    site.has_a_pair_for(&["shop.test"]);
    assert_eq!(site.pebble.orders(), 1);
}
