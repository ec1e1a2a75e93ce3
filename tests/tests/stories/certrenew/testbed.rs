//! What the other stories stand on: the test bed's ACME servers, what stands before them, and who looks at what is served.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::acme::{Delays, Pebble, Settings, Version, unpacked};
use crate::harness::{Finished, Host, Intruder, Mischief, On, Prober, served, shell};

/// An account elsewhere, to which accounts here are bound.
const BINDING: (&str, &str) = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

/// Another client, which has nothing to do with ours, asks that directory for a certificate, and listens itself where the
/// authority looks.
fn lego(host: &Host, directory: &str, port: u16, words: &[&str]) -> Finished {
    host.program(unpacked("lego/usr/bin/lego"))
        .with("LEGO_CA_CERTIFICATES", Pebble::root())
        .args(&["--server", directory, "--path", host.path("lego").to_str().unwrap()])
        .args(&["--accept-tos", "--email", "ops@shop.test", "--domains", "shop.test"])
        .args(&["--http", "--http.port", &format!("127.0.0.1:{port}")])
        .args(words)
        .run()
}

/// Checks what lego got with the roots of that server, and returns the leaf in PEM and for how many seconds it is valid.
fn got(host: &Host, pebble: &Pebble) -> (String, i64) {
    fs::write(host.path("root.pem"), &pebble.issuance_roots()[0]).unwrap();
    let file = host.path("lego/certificates/shop.test.crt");
    let verify = "openssl verify -purpose sslserver -verify_hostname shop.test -CAfile";
    let (root, chain) = (host.path("root.pem"), file.display());
    shell(&format!("{verify} '{}' -untrusted '{chain}' '{chain}'", root.display()));
    let leaf = shell(&format!("openssl x509 -in '{chain}'"));
    let (_, pem) = x509_parser::pem::parse_x509_pem(leaf.as_bytes()).unwrap();
    let validity = pem.parse_x509().unwrap().validity().clone();
    // Both seconds are in it (RFC 5280, 4.1.2.5).
    (leaf, validity.not_after.timestamp() - validity.not_before.timestamp() + 1)
}

#[test]
fn the_acme_servers_of_the_test_bed_issue_to_another_client() {
    for version in [Version::Old, Version::New] {
        let settings = Settings {
            version,
            nonce_reject: 15,
            authz_reuse: 100,
            binding: Some(BINDING),
            profiles: vec![("default", Duration::from_secs(600))],
            alternate_roots: 1,
            ..Settings::default()
        };
        let port = settings.http_port;
        let bound = ["--eab", "--kid", BINDING.0, "--hmac", BINDING.1, "run"];
        let mut pebble = Pebble::start(settings);
        let host = Host::new();

        let unbound = lego(&host, &pebble.directory_url(), port, &["run"]);
        assert!(unbound.stderr().contains("requires External Account Binding"), "{version:?}: {unbound}");
        let finished = lego(&host, &pebble.directory_url(), port, &bound);

        assert!(finished.stderr().contains("Server responded with a certificate"), "{version:?}: {finished}");
        assert_eq!(got(&host, &pebble).1, 600, "{version:?}");
        assert_eq!((pebble.orders(), pebble.issued().len()), (1, 1), "{}", pebble.log());
        let before = pebble.issuance_roots();
        assert_eq!(before.len(), 3, "two roots and an intermediate");

        pebble.restart();

        assert_ne!(pebble.issuance_roots()[0], before[0], "another authority");
        let forgotten = lego(&host, &pebble.directory_url(), port, &bound);
        assert_ne!(forgotten.number(), 0, "{version:?}: {forgotten}");
        assert!(pebble.log().contains("accountDoesNotExist") || forgotten.stderr().contains("accountDoesNotExist"));
        assert_eq!(pebble.orders(), 1, "no account, no order");
    }
}

#[test]
fn the_new_server_takes_its_time_and_says_when_to_renew_and_refuses_what_it_is_told_to() {
    let settings = Settings { delays: Delays::Real, blocked: vec!["blocked.test"], ..Settings::default() };
    let port = settings.http_port;
    let pebble = Pebble::start(settings);
    let intruder = Intruder::before(&pebble);
    let host = Host::new();

    assert_ne!(lego(&host, &intruder.directory_url(), port, &["--domains", "blocked.test", "run"]).number(), 0);
    assert_eq!(pebble.orders(), 0, "{}", pebble.log());
    assert_eq!(lego(&host, &intruder.directory_url(), port, &["run"]).number(), 0);
    let (leaf, valid) = got(&host, &pebble);
    assert_eq!(valid, 90 * 24 * 3600);

    // Far from its end, and so not due but for what the authority says.
    let renew = ["renew", "--days", "1", "--no-random-sleep"];
    let window = r#"{"suggestedWindow": {"start": "2001-01-01T00:00:00Z", "end": "2001-01-02T00:00:00Z"}}"#;
    assert_eq!(lego(&host, &intruder.directory_url(), port, &renew).number(), 0);
    assert_eq!(pebble.orders(), 1, "not due");
    pebble.set_renewal_info(&leaf, window);
    intruder.asked();
    assert_eq!(lego(&host, &intruder.directory_url(), port, &renew).number(), 0);
    assert_eq!(pebble.orders(), 2, "due: {}", pebble.log());
    let asked = intruder.asked();
    let orders: Vec<_> = asked.iter().filter(|request| request.path == "/order-plz").collect();
    assert_eq!(orders.len(), 1, "{asked:?}");
    assert!(orders[0].payload.contains("replaces"), "{orders:?}");
    assert!(orders[0].head.contains("User-Agent: "), "{orders:?}");
}

#[test]
fn an_intruder_does_its_mischief_to_the_requests_it_is_about_and_to_no_other() {
    let pebble = Pebble::start(Settings::default());
    let intruder = Intruder::before(&pebble);
    let directory = intruder.directory_url();
    // A signed request whose payload is {"replaces":"x"}; its signature is none, so the server refuses it, but as itself.
    let signed =
        format!("--data '{{\"payload\": \"eyJyZXBsYWNlcyI6IngifQ\"}}' {}", directory.replace("/dir", "/order-plz"));
    let ask = |words: &str| {
        let root = Pebble::root();
        let line = format!("curl -sS -i --max-time 2 --cacert '{}' {words} 2>&1; echo $?", root.display());
        shell(&format!("({line}) || true"))
    };
    let refused_by_the_server = |answer: &str| answer.contains("malformed") && answer.contains("HTTP/1.1 4");

    assert!(ask(&directory).contains(&directory.replace("/dir", "/order-plz")), "every address leads through here");
    assert!(refused_by_the_server(&ask(&signed)), "{}", ask(&signed));
    intruder.asked();

    let limited = Mischief::problem(429, "rateLimited", "too many").with("Retry-After", "86400");
    intruder.add(On::every("POST", "/order-plz").holding("\"replaces\"").nth(2), limited);
    assert!(refused_by_the_server(&ask(&signed)), "the first is not meant");
    let answer = ask(&signed);
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("Retry-After: 86400\r\n"), "{answer}");
    assert!(answer.contains("urn:ietf:params:acme:error:rateLimited"), "{answer}");
    assert!(refused_by_the_server(&ask(&signed)), "nor the third");
    let asked = intruder.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!((&*asked[1].method, &*asked[1].path, &*asked[1].payload), ("POST", "/order-plz", r#"{"replaces":"x"}"#));
    assert!(asked[1].head.contains("User-Agent: curl"), "{asked:?}");

    // What curl ends with (curl(1), exit codes): 18 a part is missing, 28 it took too long, 52 nothing came.
    let cases = [
        (Mischief::page(503), "HTTP/1.1 503", "<h1>503</h1>", "0"),
        (Mischief::Cut, "curl: (52)", "", "52"),
        (Mischief::CutAnswer(400), "curl: (18)", "keyChange", "18"),
        (Mischief::Silence, "curl: (28)", "", "28"),
    ];
    for (mischief, begins, holds, status) in cases {
        intruder.forget();
        intruder.add(On::every("GET", "/dir"), mischief.clone());
        let before = pebble.log().matches("GET /dir").count();
        let answer = ask(&directory);
        assert!(answer.starts_with(begins) && answer.contains(holds), "{mischief:?}: {answer}");
        assert!(answer.trim_end().ends_with(status), "{mischief:?}: {answer}");
        let came = pebble.log().matches("GET /dir").count() - before;
        assert_eq!(came, usize::from(matches!(mischief, Mischief::CutAnswer(_))), "{mischief:?}");
        assert!(refused_by_the_server(&ask(&signed)), "another path is not meant");
    }
    intruder.forget();
    assert!(ask(&directory).contains("newOrder"));
}

#[test]
fn the_names_of_a_story_have_the_addresses_and_policies_that_it_gives_them() {
    for version in [Version::Old, Version::New] {
        let mut pebble = Pebble::start(Settings { version, ..Settings::default() });
        let port = pebble.dns_address().rsplit_once(':').unwrap().1.to_owned();
        let dig = |words: &str| shell(&format!("dig +noall +answer +comments @127.0.0.1 -p {port} {words}"));

        pebble.set_a("shop.test", "127.0.0.9");
        pebble.set_a("shop.test", "127.0.0.2");
        pebble.set_aaaa("shop.test", "::1");
        pebble.set_caa("shop.test", "issue", "ca.example");
        pebble.set_txt("_acme-challenge.shop.test", "proof");
        let told = [
            dig("shop.test A"),
            dig("+tcp shop.test AAAA"),
            dig("shop.test CAA"),
            dig("_acme-challenge.shop.test TXT"),
        ];
        let expected = ["127.0.0.2", "::1", "ca.example", "\"proof\""];
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{version:?}: {told}");
        }
        assert!(!told[0].contains("127.0.0.9"), "{}", told[0]);
        pebble.clear("shop.test");
        pebble.clear("_acme-challenge.shop.test");
        assert!(dig("shop.test A").contains("127.0.0.1"), "as every name");
        for words in ["shop.test AAAA", "shop.test CAA", "_acme-challenge.shop.test TXT"] {
            assert!(dig(words).contains("ANSWER: 0"), "{version:?}: {}", dig(words));
        }

        pebble.set_servfail("broken.test");
        assert!(dig("broken.test A").contains("status: SERVFAIL"));
        pebble.set_no_address();
        assert!(!dig("shop.test A").contains("127.0.0.1"));
        pebble.stop();
        assert!(dig("broken.test A").contains("status: SERVFAIL"), "names go on when the server does not");
        shell(&format!(
            "test \"$(curl -s -o /dev/null -w '%{{http_code}}' {}/nothing)\" = 404",
            pebble.dns_management_url()
        ));
    }
}

#[test]
fn a_prober_sees_every_certificate_that_the_shop_serves_and_every_handshake_that_fails() {
    let settings = Settings::default();
    let port = settings.tls_port;
    let pebble = Pebble::start(settings);
    let shop = pebble.shop();
    let certify = || {
        let folder = shop.app("certs/live/shop.test");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout privkey.pem -out fullchain.pem";
        let made = format!("openssl req -x509 {key} -days 1 -subj /CN=shop.test 2>/dev/null");
        let serial = "openssl x509 -in fullchain.pem -noout -serial | cut -d= -f2";
        let line = format!("mkdir -p '{0}'; cd '{0}'; {made}; {serial}", folder.display());
        shell(&line).trim().to_lowercase()
    };
    let first = certify();
    shop.up();
    while served("shop.test", port).is_err() {
        sleep(Duration::from_millis(20));
    }

    let prober = Prober::start("shop.test", port);
    sleep(Duration::from_millis(300));
    let second = certify();
    shop.inside("httpd", "nginx -t && nginx -s reload");
    while served("shop.test", port).as_ref() != Ok(&second) {
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(300));
    let seen = prober.stop();

    assert!(seen.failures.is_empty(), "{seen:?}");
    assert_eq!(seen.serials.first(), Some(&first), "{seen:?}");
    assert_eq!(seen.serials.last(), Some(&second), "{seen:?}");
    assert!(seen.handshakes >= 20, "{seen:?}");

    let prober = Prober::start("shop.test", port);
    shop.compose("stop");
    sleep(Duration::from_millis(200));
    assert!(!prober.stop().failures.is_empty(), "nobody serves any more");
}
