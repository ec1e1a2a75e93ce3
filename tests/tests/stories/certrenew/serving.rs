//! What is served: the whole way through a real nginx under Compose, without a moment's downtime.

use std::fs;
use std::ops::Deref;
use std::time::Duration;

use serde_json::Value;

use super::site::{failed, one, serial_of};
use crate::harness::acme::{Pebble, Settings, Version};
use crate::harness::{Exit, Fault, Finished, Launch, Point, Prober, Project, Smtp, served};

/// The test bed's shop, whose certificates come from a real authority through its own nginx.
pub(super) struct Shop {
    project: Project,
    pebble: Pebble,
    tls_port: u16,
    http_port: u16,
}

impl Deref for Shop {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl Shop {
    /// Described, and not up yet.
    fn down(settings: Settings) -> Self {
        let (tls_port, http_port) = (settings.tls_port, settings.http_port);
        let pebble = Pebble::start(settings);
        let project = pebble.shop();
        let shop = Self { project, pebble, tls_port, http_port };
        shop.says("");
        shop
    }

    fn says(&self, more: &str) {
        let http_port = self.http_port;
        self.configure(
            "",
            &format!(
                "[certrenew]\nca = {:?}\nca_file = {:?}\nfolder = {:?}\nwebroot = {:?}\nresolver = {:?}\nhttp_port = {http_port}\n\
                 service = \"httpd\"\nverify = [\"127.0.0.1:{}\"]\n\n[[certrenew.certificate]]\nnames = [\"shop.test\"]\n{more}\n",
                self.pebble.directory_url(),
                Pebble::root().display().to_string(),
                self.app("certs").display().to_string(),
                self.app("webroot").display().to_string(),
                self.pebble.dns_address(),
                self.tls_port,
            ),
        );
    }

    /// Up, with a certificate of the authority.
    pub(super) fn open() -> Self {
        let shop = Self::down(Settings::default());
        shop.certrenew(&["self-signed"]).run().exits_with(Exit::Ok);
        shop.up();
        shop.certrenew(&[]).run().exits_with(Exit::Ok);
        shop
    }

    /// Where its nginx answers with TLS.
    pub(super) fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The root that its certificates come from.
    pub(super) fn issuance_root(&self) -> String {
        self.pebble.issuance_roots().remove(0)
    }

    fn certrenew(&self, words: &[&str]) -> Launch {
        self.launch("certrenew").args(words)
    }

    fn served(&self) -> String {
        served("shop.test", self.tls_port).unwrap()
    }

    fn installed(&self) -> String {
        serial_of(&self.app("certs/live/shop.test/cert.pem"))
    }
}

fn action(finished: &Finished) -> String {
    one(finished)["action"].as_str().unwrap().to_owned()
}

#[test]
fn from_nothing_to_a_served_certificate_and_renewed_without_a_moment_s_downtime() {
    let shop = Shop::down(Settings::default());
    shop.certrenew(&["self-signed"]).run().exits_with(Exit::Ok);
    let placeholder = shop.installed();
    shop.up();
    assert_eq!(shop.served(), placeholder);

    let first = shop.certrenew(&[]).run().exits_with(Exit::Ok);

    assert_eq!(action(&first), "renewed", "{first}");
    assert_eq!(shop.pebble.issued(), [shop.installed()]);
    assert_eq!(shop.served(), shop.installed());
    let row = &one(&first)["served"][0];
    assert_eq!((&row["ok"], &row["serial"]), (&Value::Bool(true), &shop.installed().into()), "{first}");

    let prober = Prober::start("shop.test", shop.tls_port);
    for _ in 0..3 {
        shop.certrenew(&["--force"]).run().exits_with(Exit::Ok);
    }
    let met = prober.stop();
    assert!(met.failures.is_empty(), "{} of {}: {:?}", met.failures.len(), met.handshakes, met.failures);
    assert!(met.serials.len() >= 4, "{:?}", met.serials);
    assert!(met.handshakes > 50, "{}", met.handshakes);

    let status = shop.certrenew(&["status"]).run().exits_with(Exit::Ok);
    assert_eq!(one(&status)["served"][0]["ok"], true, "{status}");
}

#[test]
fn ten_cron_runs_renew_when_due_and_only_then_and_each_is_served() {
    // The old authority has no wishes: those of the new one for certificates of minutes are days wide.
    let profiles = vec![("default", Duration::from_secs(40))];
    let shop = Shop::down(Settings { version: Version::Old, profiles, ..Settings::default() });
    shop.certrenew(&["self-signed"]).run().exits_with(Exit::Ok);
    shop.up();
    let mut actions = Vec::new();
    for _ in 0..10 {
        actions.push(action(&shop.certrenew(&[]).run().exits_with(Exit::Ok)));
        assert_eq!(shop.served(), shop.installed(), "{actions:?}");
        std::thread::sleep(Duration::from_secs(6));
    }
    let renewed = actions.iter().filter(|action| *action == "renewed").count();
    assert!((3..=4).contains(&renewed), "every twenty seconds of some sixty: {actions:?}");
    assert_eq!(shop.pebble.orders(), renewed);
}

#[test]
fn a_configuration_that_the_server_refuses_leaves_the_old_certificate_and_is_tried_again() {
    let shop = Shop::open();
    let before = shop.installed();
    let good = fs::read_to_string(shop.app("nginx/shop.conf")).unwrap();
    // A mount of a single file holds on to its inode, as it does for certificates: it is written over, not replaced.
    fs::write(shop.app("nginx/shop.conf"), format!("{good}\nnonsense;\n")).unwrap();

    let broken = shop.certrenew(&["--force"]).run().exits_with(Exit::Critical);

    failed(&broken, "deploy.broken", "mend");
    assert!(one(&broken)["error"]["message"].as_str().unwrap().contains("nonsense"), "{broken}");
    assert_eq!((shop.installed(), shop.served()), (before.clone(), before.clone()));
    assert_eq!(shop.pebble.orders(), 2);
    // Still broken: no further order.
    failed(&shop.certrenew(&[]).run().exits_with(Exit::Critical), "deploy.broken", "mend");
    assert_eq!(shop.pebble.orders(), 2);

    fs::write(shop.app("nginx/shop.conf"), good).unwrap();
    let mended = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_eq!(action(&mended), "deployed", "{mended}");
    assert_ne!(shop.installed(), before);
    assert_eq!((shop.served(), shop.pebble.orders()), (shop.installed(), 2));
}

#[test]
fn a_certificate_that_is_not_served_is_told_and_tried_again_and_its_end_told_once() {
    let shop = Shop::open();
    let smtp = Smtp::new();
    let port = shop.tls_port;
    // Nothing makes nginx read it.
    shop.says(&format!("reload = [\"true\"]\n\n{}", smtp.section("plain")));

    let unserved = shop.certrenew(&["--force"]).run().exits_with(Exit::Critical);

    failed(&unserved, "deploy.not_served", "reload");
    assert_eq!(smtp.subjects().len(), 1);
    assert_ne!(served("shop.test", port).unwrap(), shop.installed());
    let again = shop.certrenew(&[]).run().exits_with(Exit::Critical);
    failed(&again, "deploy.not_served", "reload");
    assert_eq!((smtp.subjects().len(), shop.pebble.orders()), (0, 2));

    shop.says(&smtp.section("plain"));
    let mended = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_eq!(action(&mended), "deployed", "{mended}");
    assert_eq!((shop.served(), smtp.subjects().len()), (shop.installed(), 1));
}

#[test]
fn a_service_that_does_not_run_gets_its_certificate_when_it_starts() {
    let shop = Shop::open();
    shop.compose("stop httpd");
    // With the server down nothing answers at the webroot; the tool answers itself.
    shop.says(&format!("challenge = \"standalone\"\nhttp_listen = \"127.0.0.1:{}\"", shop.http_port));
    let finished = shop.certrenew(&["--force"]).run().exits_with(Exit::Warning).warns_of("deploy.not_running");
    assert_eq!(action(&finished), "renewed", "{finished}");
    shop.compose("start httpd");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(shop.served(), shop.installed());
}

#[test]
fn single_files_are_told_and_written_in_place_where_it_is_wanted() {
    let shop = Shop::down(Settings::default());
    let compose = fs::read_to_string(shop.app("compose.yaml")).unwrap();
    let single = compose.replace(
        "      - ./certs:/etc/nginx/certs:ro\n",
        "      - ./certs/live/shop.test/fullchain.pem:/etc/nginx/certs/live/shop.test/fullchain.pem:ro\n      \
         - ./certs/live/shop.test/privkey.pem:/etc/nginx/certs/live/shop.test/privkey.pem:ro\n",
    );
    assert_ne!(compose, single);
    fs::write(shop.app("compose.yaml"), single).unwrap();
    shop.says("install = \"in-place\"");
    shop.certrenew(&["self-signed"]).run().exits_with(Exit::Ok);
    shop.up();
    for _ in 0..2 {
        shop.certrenew(&["--force"]).run().exits_with(Exit::Ok);
        assert_eq!(shop.served(), shop.installed());
    }
    // The other way of installing cannot reach such a mount: it is told why.
    shop.says("");
    let finished = shop.certrenew(&["--force"]).run().warns_of("deploy.pinned");
    assert!(finished.number() <= 2, "{finished}");
}

#[test]
fn a_command_of_this_machine_takes_the_certificate_too() {
    let shop = Shop::open();
    let log = shop.path("home/reloaded");
    shop.says(&format!("command = [\"/usr/bin/touch\", {:?}]", log.display().to_string()));
    shop.certrenew(&["--force"]).run().exits_with(Exit::Ok);
    assert!(log.exists());
    shop.says("command = [\"/bin/false\"]");
    let finished = shop.certrenew(&["--force"]).run().exits_with(Exit::Critical);
    assert!(
        one(&finished)["error"]["code"].as_str().unwrap().starts_with("deploy.")
            || one(&finished)["error"]["code"] == "child.failed",
        "{finished}"
    );
}

/// The calls by which versions are laid, turned and noted: those of the engine's own client are not ours to kill.
fn is_a_turn(point: &Point) -> bool {
    let point = point.to_string();
    ["rename", "symlink", "unlink"].iter().any(|call| point.starts_with(call))
}

#[test]
fn a_renewal_that_is_killed_anywhere_is_served_after_one_more_run() {
    let shop = Shop::open();
    let points: Vec<Point> = shop.certrenew(&["--force"]).points().into_iter().filter(is_a_turn).collect();
    assert!(points.len() > 5, "{points:?}");
    for point in &points {
        let orders = shop.pebble.orders();
        shop.certrenew(&["--force"]).meeting(Fault::Kill, point);
        // What is served meanwhile is whole, whichever it is.
        shop.served();
        let next = shop.certrenew(&[]).run().gets_done();
        assert_eq!(shop.served(), shop.installed(), "after {point}: {next}");
        assert!(shop.pebble.orders() <= orders + 2, "after {point}: {next}");
        let status = shop.certrenew(&["status"]).run().exits_with(Exit::Ok);
        assert_eq!(one(&status)["served"][0]["ok"], true, "after {point}: {status}");
    }
}
