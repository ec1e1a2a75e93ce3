//! Who takes a certificate where nobody says it: found in the application's description, and never guessed at.

use std::fs;
use std::ops::Deref;

use serde_json::{Value, json};

use super::site::{failed, one, serial_of};
use crate::harness::acme::{Pebble, Settings};
use crate::harness::{Exit, Finished, Launch, Project, served};

/// An engine that is not there.
const NO_ENGINE: &str = "unix:///no/such/engine.sock";

/// The test bed's shop, of which nobody says who serves it: the configuration says only where the authority is at home.
struct Shop {
    project: Project,
    pebble: Pebble,
    settings: Settings,
}

impl Deref for Shop {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl Shop {
    /// Up with a placeholder, as its description becomes by this.
    fn with(change: impl Fn(&str) -> String) -> Self {
        let settings = Settings::default();
        let pebble = Pebble::start(settings.clone());
        let project = pebble.shop();
        let compose = fs::read_to_string(project.app("compose.yaml")).unwrap();
        fs::write(project.app("compose.yaml"), change(&compose)).unwrap();
        fs::copy(project.app("nginx/shop.conf"), project.app("nginx/edge.conf")).unwrap();
        let shop = Self { project, pebble, settings };
        shop.says("");
        shop.certrenew(&["self-signed"]).run().exits_with(Exit::Ok);
        shop.up();
        shop
    }

    /// As it is.
    fn new() -> Self {
        Self::with(str::to_owned)
    }

    /// Its description becomes another one.
    fn changes(&self, change: impl Fn(&str) -> String) {
        let compose = fs::read_to_string(self.app("compose.yaml")).unwrap();
        fs::write(self.app("compose.yaml"), change(&compose)).unwrap();
    }

    fn says(&self, more: &str) {
        let dns = self.pebble.dns_address();
        let text = format!("[certrenew]\nresolver = {dns:?}\nhttp_port = {}\n{more}\n", self.settings.http_port);
        fs::write(self.etc("shipshape.toml"), text).unwrap();
    }

    /// A run in the folder of the compose file, with flags alone.
    fn certrenew(&self, words: &[&str]) -> Launch {
        self.asks("shop.test", words)
    }

    fn asks(&self, name: &str, words: &[&str]) -> Launch {
        let run = self.launch("certrenew").args(words).args(&["--ca", &self.pebble.directory_url(), "--ca-file"]);
        run.args(&[Pebble::root()]).args(&["--domain", name, "--webroot", "webroot", "--folder", "certs"])
    }

    fn served(&self) -> String {
        served("shop.test", self.settings.tls_port).unwrap()
    }

    fn installed(&self) -> String {
        serial_of(&self.app("certs/live/shop.test/cert.pem"))
    }
}

/// Adds a second nginx, whose TLS is at that port.
fn with_a_second(compose: &str, port: u16) -> String {
    format!(
        "{compose}  edge:\n    image: shipshape.test/nginx:1.26\n    volumes:\n      - ./nginx/edge.conf:/etc/nginx/conf.d/shop.conf:ro\n      \
         - ./certs:/etc/nginx/certs:ro\n    ports:\n      - \"127.0.0.1:{port}:443\"\n"
    )
}

fn actions(finished: &Finished) -> (Value, Value, Value) {
    let one = one(finished);
    (one["action"].clone(), one["deploy"]["done"].clone(), one["services"].clone())
}

fn found(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name, "found": true })).collect()
}

#[test]
fn from_flags_alone_the_nginx_that_mounts_the_certificates_is_found_reloaded_and_looked_at() {
    let shop = Shop::new();
    let at = format!("127.0.0.1:{}", shop.settings.tls_port);
    let rehearsed = shop.certrenew(&["--dry-run"]).run().exits_with(Exit::Ok);
    assert_eq!(one(&rehearsed)["services"], found(&["httpd"]), "{rehearsed}");
    let before = shop.certrenew(&["status"]).run().gets_done();
    assert_eq!(one(&before)["services"], found(&["httpd"]), "{before}");
    let check = shop.certrenew(&["check"]).run().exits_with(Exit::Ok).stdout();
    assert!(check.contains("deploy.service") && !check.contains("deploy.nobody"), "{check}");

    let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);

    assert_eq!(actions(&finished), ("renewed".into(), true.into(), found(&["httpd"])), "{finished}");
    assert_eq!(shop.served(), shop.installed());
    let served = &one(&finished)["served"][0];
    assert_eq!((&served["address"], &served["ok"]), (&at.clone().into(), &true.into()), "{finished}");

    // What was found is remembered: nobody asks the engine where nothing is due.
    let next = shop.certrenew(&[]).with("DOCKER_HOST", NO_ENGINE).run().exits_with(Exit::Ok);
    assert_eq!(actions(&next), ("none".into(), true.into(), found(&["httpd"])), "{next}");
    assert_eq!(one(&next)["served"][0]["address"], Value::from(at), "{next}");
    let bare = shop.launch("certrenew").args(&["status", "--folder", "certs"]).run().exits_with(Exit::Ok);
    assert_eq!((&one(&bare)["name"], &one(&bare)["served"][0]["ok"]), (&"shop.test".into(), &true.into()), "{bare}");
    assert!(one(&bare)["reason"].as_str().unwrap().contains("--domain shop.test"), "{bare}");
    // And what is served no more is put to use again, as it is with a service that is named.
    shop.compose("restart httpd");
    shop.certrenew(&[]).run().gets_done();
    assert_eq!((shop.served(), shop.pebble.orders()), (shop.installed(), 1));
}

#[test]
fn of_two_services_that_mount_it_both_are_tried_before_one_is_reloaded() {
    let edge_port = Settings::default().tls_port;
    let shop = Shop::with(|compose| with_a_second(compose, edge_port));
    let conf = fs::read_to_string(shop.app("nginx/shop.conf")).unwrap();
    let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_eq!(actions(&finished).2, found(&["edge", "httpd"]), "{finished}");
    let first = shop.installed();
    assert_eq!((shop.served(), served("shop.test", edge_port).unwrap()), (first.clone(), first.clone()));

    // Written over: a mount of a single file holds on to its inode.
    for name in ["nginx/edge.conf", "nginx/shop.conf"] {
        fs::write(shop.app(name), format!("{conf}\nnonsense;\n")).unwrap();
        let broken = shop.certrenew(&["--force"]).run().exits_with(Exit::Critical);
        failed(&broken, "deploy.broken", "mend");
        fs::write(shop.app(name), &conf).unwrap();
        assert_eq!((shop.served(), served("shop.test", edge_port).unwrap()), (first.clone(), first.clone()));
    }
    shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_ne!(shop.installed(), first);
    assert_eq!((shop.served(), served("shop.test", edge_port).unwrap()), (shop.installed(), shop.installed()));

    // One that does not run reads the pair when it starts, and shows nothing until then.
    shop.compose("stop edge");
    shop.certrenew(&["--force"]).run().exits_with(Exit::Ok);
    assert_eq!(shop.served(), shop.installed());
}

#[test]
fn a_service_of_an_unknown_kind_is_named_and_left_alone() {
    let labelled = |compose: &str| compose.replace("  httpd:\n", "  httpd:\n    labels:\n      shipshape.kind: mail\n");
    let shop = Shop::with(labelled);
    let before = shop.served();
    let finished = shop.certrenew(&[]).run().exits_with(Exit::Warning).warns_of("deploy.unknown_kind");
    assert_eq!(actions(&finished), ("renewed".into(), Value::Null, json!([])), "{finished}");
    assert!(finished.stdout().contains("service = \\\"httpd\\\""), "{finished}");
    assert_eq!(shop.served(), before, "nothing was told to take it");
    let next = shop.certrenew(&[]).run().exits_with(Exit::Warning).warns_of("deploy.unknown_kind");
    assert_eq!(
        actions(&next),
        ("none".into(), Value::Null, json!([])),
        "it is not over because a day has passed: {next}"
    );
    // And so it is told what it is.
    shop.changes(|compose| compose.replace("mail", "nginx"));
    let found_now = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_eq!(actions(&found_now), ("deployed".into(), true.into(), found(&["httpd"])), "{found_now}");
    assert_eq!(shop.served(), shop.installed());
}

#[test]
fn where_no_service_mounts_it_nobody_is_told_and_where_nobody_takes_it_nothing_is_said() {
    let shop = Shop::new();
    let before = shop.served();
    let elsewhere = ["--folder", "elsewhere"];
    let run = || {
        let words: Vec<String> =
            ["--ca", &shop.pebble.directory_url(), "--domain", "shop.test", "--webroot", "webroot"]
                .map(str::to_owned)
                .into();
        shop.launch("certrenew").args(&words).args(&["--ca-file"]).args(&[Pebble::root()]).args(&elsewhere)
    };
    let finished = run().run().exits_with(Exit::Warning).warns_of("deploy.nobody");
    assert_eq!(actions(&finished), ("renewed".into(), Value::Null, json!([])), "{finished}");
    run().run().exits_with(Exit::Warning).warns_of("deploy.nobody");

    shop.says("verify = []");
    let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_eq!(actions(&finished), ("renewed".into(), Value::Null, json!([])), "{finished}");
    assert_eq!(shop.served(), before, "nothing was told to take it");
}

#[test]
fn an_engine_that_does_not_answer_fails_nothing_and_what_was_not_told_is_told_by_the_next_run() {
    let shop = Shop::new();
    let before = shop.served();
    for _ in 0..2 {
        let run = shop.certrenew(&[]).with("DOCKER_HOST", NO_ENGINE).run();
        let finished = run.exits_with(Exit::Warning).warns_of("deploy.nobody");
        assert_eq!(one(&finished)["deploy"]["done"], false, "{finished}");
    }
    assert_eq!((shop.served(), shop.pebble.orders()), (before, 1));
    let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    assert_eq!(actions(&finished), ("deployed".into(), true.into(), found(&["httpd"])), "{finished}");
    assert_eq!((shop.served(), shop.pebble.orders()), (shop.installed(), 1));
}

#[test]
fn a_service_behind_a_proxy_and_a_name_that_it_does_not_serve_are_no_false_alarm() {
    // Whatever stands before it: nothing at port 443 of this machine is this service's.
    let shop = Shop::with(|compose| compose.replace("${HTTPS_PORT:-5001}:443", "${HTTPS_PORT:-5001}:8443"));
    let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);
    let one_of_it = one(&finished);
    assert_eq!((&one_of_it["deploy"]["done"], &one_of_it["served"]), (&true.into(), &json!([])), "{finished}");
    shop.certrenew(&[]).run().exits_with(Exit::Ok);
    // Whoever names it wants to know that it serves.
    let finished = shop.certrenew(&["--service", "httpd"]).run().exits_with(Exit::Critical);
    failed(&finished, "deploy.not_served", "");
    let shop = Shop::new();
    for action in ["renewed", "deployed"] {
        let finished = shop.asks("mail.test", &[]).run().exits_with(Exit::Warning).warns_of("deploy.not_served");
        assert_eq!(
            (&one(&finished)["action"], &one(&finished)["deploy"]["done"]),
            (&action.into(), &false.into()),
            "{finished}"
        );
    }
}

#[test]
fn who_took_it_before_is_not_forgotten_by_a_description_that_lacks_them_or_cannot_be_read() {
    let shop = Shop::new();
    shop.certrenew(&[]).run().exits_with(Exit::Ok);
    let whole = fs::read_to_string(shop.app("compose.yaml")).unwrap();
    let broken = |compose: &str| format!("{compose}  more:\n    image: ${{MORE:?say which}}\n");
    let without = |compose: &str| compose.replace("./certs:", "./others:");
    for change in [&without as &dyn Fn(&str) -> String, &broken] {
        let before = shop.served();
        shop.changes(change);
        for words in [&["--force"][..], &[]] {
            let finished = shop.certrenew(words).run().exits_with(Exit::Warning).warns_of("deploy.nobody");
            let row = one(&finished);
            assert_eq!((&row["deploy"]["done"], &row["services"]), (&false.into(), &found(&["httpd"])), "{finished}");
        }
        assert_eq!(shop.served(), before);
        assert_ne!(shop.installed(), before);

        fs::write(shop.app("compose.yaml"), &whole).unwrap();
        let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);

        assert_eq!(actions(&finished), ("deployed".into(), true.into(), found(&["httpd"])), "{finished}");
        assert_eq!(shop.served(), shop.installed());
    }
}

#[test]
fn a_description_that_cannot_be_read_at_the_first_order_is_read_by_the_next_run() {
    let shop = Shop::new();
    let before = shop.served();
    shop.changes(|compose| format!("{compose}  more:\n    image: ${{MORE:?say which}}\n"));
    let check = shop.certrenew(&["check"]).run().exits_with(Exit::Ok).stdout();
    assert!(check.contains("say which"), "{check}");
    for _ in 0..2 {
        let finished = shop.certrenew(&[]).run().exits_with(Exit::Warning).warns_of("deploy.nobody");
        assert!(finished.stdout().contains("say which"), "{finished}");
    }
    assert_eq!(shop.served(), before);

    shop.changes(|compose| compose.replace("${MORE:?say which}", "shipshape.test/nginx:1.26"));
    let finished = shop.certrenew(&[]).run().exits_with(Exit::Ok);

    assert_eq!(actions(&finished), ("deployed".into(), true.into(), found(&["httpd"])), "{finished}");
    assert_eq!((shop.served(), shop.pebble.orders()), (shop.installed(), 1));
}
