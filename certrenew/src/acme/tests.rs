mod accounts;

use serde_json::{Value, json};
use shipshape_core::error::Explain;

use super::fake::{Asked, Fake, Said, authorization, challenge, directory, order};
use super::*;
use crate::wanted::Method;

const PATIENCE: Duration = Duration::from_secs(20);
const CERTIFICATE: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

fn names() -> Vec<Identifier> {
    vec![Identifier::parse("a.test").unwrap()]
}

fn request(names: &[Identifier]) -> Request<'_> {
    Request { names, profile: None, replaces: None }
}

fn opened(fake: &Fake) -> Session {
    Session::open(&fake.authority, &fake.accounts()).unwrap()
}

fn ordered(fake: &Fake) -> Result<(), AcmeError> {
    opened(fake).order(&request(&names())).map(drop)
}

fn webroot() -> Method {
    Method::Webroot("/var/www".into())
}

/// From an order to the word that its certificate is there.
fn proved(session: &Session) -> Result<Stage, AcmeError> {
    proved_within(PATIENCE, session)
}

fn proved_within(patience: Duration, session: &Session) -> Result<Stage, AcmeError> {
    let names = names();
    let mut order = session.order(&request(&names))?;
    let proofs = order.proofs(&webroot())?;
    order.prove(&proofs, patience)?;
    order.finalize(b"a signing request")?;
    match order.certificate(None, patience) {
        Ok(_) | Err(AcmeError::Refused { .. }) => Ok(order.stage()),
        Err(error) => Err(error),
    }
}

#[test]
fn a_certificate_takes_no_question_more_than_it_needs() {
    let fake = Fake::start();
    assert_eq!(proved(&opened(&fake)).unwrap(), Stage::Valid);
    let asked: Vec<String> = fake.asked().into_iter().map(|asked| asked.line).collect();
    let needed = [
        "GET /dir",
        "HEAD /nonce",
        "POST /account",
        "POST /order",
        "POST /authz/1",
        "POST /challenge/1",
        "POST /order/1",
        "POST /finalize",
        "POST /order/1",
        "POST /certificate",
    ];
    assert_eq!(asked, needed);
}

/// How many nonces were used, and how many of them for the first time.
fn nonces(fake: &Fake) -> (usize, usize) {
    let used: Vec<String> = fake.asked().iter().map(|asked| asked.protected["nonce"].to_string()).collect();
    let used: Vec<&String> = used.iter().filter(|nonce| *nonce != "null").collect();
    (used.len(), used.iter().collect::<std::collections::BTreeSet<_>>().len())
}

#[test]
fn each_nonce_is_used_once() {
    let fake = Fake::start();
    proved(&opened(&fake)).unwrap();
    assert_eq!(nonces(&fake), (8, 8));
}

#[test]
fn refused_nonces_are_no_failure_however_many() {
    // Nine of ten, in a fixed order: no luck is needed.
    let refusing = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::with_whim(move |asked, _| {
        let number = refusing.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let refuse = asked.line.starts_with("POST") && !number.is_multiple_of(10);
        refuse.then(|| Said::problem(400, "badNonce", "stale"))
    });
    assert_eq!(proved(&opened(&fake)).unwrap(), Stage::Valid);
}

#[test]
fn an_authority_that_takes_no_nonce_is_given_up() {
    let fake =
        Fake::with_whim(|asked, _| (asked.line == "POST /order").then(|| Said::problem(400, "badNonce", "stale")));
    let error = ordered(&fake).unwrap_err();
    assert_eq!((error.code(), fake.count("POST /order")), ("acme.refused", 36));
}

#[test]
fn a_profile_that_is_not_offered_is_refused_before_anything_is_asked_for() {
    let fake = Fake::start();
    let (session, names) = (opened(&fake), names());
    let error = session.order(&Request { profile: Some("shortlived"), ..request(&names) }).err().unwrap();
    assert_eq!((error.code(), error.hint().as_str()), ("acme.profile", "it has these: classic"));
    assert_eq!(fake.count("POST /order"), 0);
    session.order(&Request { profile: Some("classic"), ..request(&names) }).unwrap();
    assert_eq!(fake.once("POST /order").payload["profile"], "classic");
}

/// How often an order was asked for, and whether it came to something, when the one that replaces is answered so.
fn replacing(said: impl Fn(&Asked) -> Option<Said> + Send + 'static) -> (Vec<Value>, Result<String, AcmeError>) {
    let fake = Fake::with_whim(move |asked, _| {
        let is_it = asked.line == "POST /order" && !asked.payload["replaces"].is_null();
        if is_it { said(asked) } else { None }
    });
    let (session, names) = (opened(&fake), names());
    let order = session.order(&Request { replaces: Some(CERTIFICATE), ..request(&names) });
    let order = order.map(|order| order.url().replace(&fake.base, ""));
    let asked = fake.asked().into_iter().filter(|one| one.line == "POST /order");
    (asked.map(|one| one.payload["replaces"].clone()).collect(), order)
}

#[test]
fn what_is_replaced_is_named() {
    let (asked, order) = replacing(|_| None);
    assert_eq!((asked, order.unwrap()), (vec![json!(CERTIFICATE)], "/order/1".to_owned()));
}

#[test]
fn an_order_that_may_not_replace_is_asked_for_once_more_without() {
    for (status, kind) in [(409, "alreadyReplaced"), (403, "unauthorized"), (500, "serverInternal"), (400, "malformed")]
    {
        let (asked, order) = replacing(move |_| Some(Said::problem(status, kind, "no")));
        assert_eq!(asked, [json!(CERTIFICATE), Value::Null], "{status}");
        assert!(order.is_ok());
    }
}

#[test]
fn a_limit_or_a_cut_connection_is_no_reason_to_order_twice() {
    let (asked, order) = replacing(|_| Some(Said::problem(429, "rateLimited", "slow")));
    assert_eq!((asked.len(), order.unwrap_err().code()), (1, "acme.later"));
    let (asked, order) = replacing(|_| Some(Said::default()));
    assert_eq!((asked.len(), order.unwrap_err().code()), (1, "http.connection"));
    let (asked, order) = replacing(|_| Some(Said::problem(503, "serverInternal", "busy")));
    assert_eq!((asked.len(), order.unwrap_err().code()), (1, "acme.later"));
}

#[test]
fn an_order_that_does_not_say_back_what_it_replaces_is_taken_and_not_made_twice() {
    let (asked, order) = replacing(|asked| {
        Some(Said::json(201, &order("pending", &asked.base)).with("Location", &format!("{}/order/1", asked.base)))
    });
    assert_eq!((asked.len(), order.unwrap().as_str()), (1, "/order/1"));
}

#[test]
fn nothing_is_said_of_replacing_to_an_authority_without_renewal_information() {
    let fake = Fake::with_whim(|asked, _| {
        let mut found = directory(&asked.base);
        found.as_object_mut().unwrap().remove("renewalInfo");
        (asked.line == "GET /dir").then(|| Said::json(200, &found))
    });
    let (session, names) = (opened(&fake), names());
    session.order(&Request { replaces: Some(CERTIFICATE), ..request(&names) }).unwrap();
    assert_eq!(fake.once("POST /order").payload["replaces"], Value::Null);
    assert_eq!(session.window(CERTIFICATE), None);
}

#[test]
fn a_directory_is_asked_for_again_unless_it_says_when_to_come_back() {
    let broken = Fake::with_whim(|asked, before| {
        (asked.line == "GET /dir" && before < 2).then(|| Said { status: 502, ..Said::default() })
    });
    about(&broken.authority).unwrap();
    assert_eq!(broken.count("GET /dir"), 3);
    let busy = Fake::with_whim(|_, _| {
        Some(Said { status: 503, body: "<h1>Busy</h1>".to_owned(), ..Said::default() }.with("Retry-After", "60"))
    });
    let error = about(&busy.authority).unwrap_err();
    assert_eq!((error.code(), busy.count("GET /dir")), ("acme.later", 1));
    assert!(error.retry_at().is_some() && error.to_string().ends_with(": Busy"), "{error}");
}

#[test]
fn what_is_no_directory_is_told_as_such() {
    for (said, told) in [
        (
            Said { status: 404, body: "<p>Not here</p>".to_owned(), ..Said::default() },
            "no ACME directory: Not here (status 404)",
        ),
        (Said { status: 200, body: "<html>".to_owned(), ..Said::default() }, "no ACME directory"),
        (
            Said { status: 301, ..Said::default() }.with("Location", "http://127.0.0.1:1/x"),
            "points elsewhere (status 301)",
        ),
        (Said { status: 200, body: "x".repeat(2 << 20), ..Said::default() }, "longer than 1024 KiB"),
    ] {
        let fake = Fake::with_whim(move |_, _| Some(said.clone()));
        let error = about(&fake.authority).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn an_address_that_is_none_or_of_another_scheme_is_never_asked() {
    for address in ["file:///etc/passwd", "https://127.0.0.1:1/nonce", "http://", "nonce", "http://a b/", ""] {
        let fake = Fake::with_whim(move |asked, _| {
            let mut found = directory(&asked.base);
            found["newNonce"] = json!(address);
            (asked.line == "GET /dir").then(|| Said::json(200, &found))
        });
        let error = Session::open(&fake.authority, &fake.accounts()).err().unwrap();
        assert!(error.to_string().contains(format!("it names the address {address}").trim_end()), "{error}");
    }
    let fake = Fake::start();
    assert_eq!(opened(&fake).resume("ftp://127.0.0.1/order/1").err().unwrap().code(), "acme.protocol");
}

#[test]
fn names_that_are_proved_already_need_nothing() {
    let fake = Fake::with_whim(|asked, _| {
        let at = format!("{}/order/1", asked.base);
        (asked.line == "POST /order").then(|| Said::json(201, &order("ready", &asked.base)).with("Location", &at))
    });
    assert_eq!(proved(&opened(&fake)).unwrap(), Stage::Valid);
    assert_eq!((fake.count("POST /authz/1"), fake.count("POST /challenge/1")), (0, 0));
}

#[test]
fn a_proof_is_that_of_the_chosen_challenge() {
    let fake = Fake::start();
    let (session, names) = (opened(&fake), names());
    let hook = Method::Hook { program: "/bin/hook".into(), wait: Duration::ZERO };
    for (method, path) in [
        (webroot(), "/challenge/1"),
        (hook, "/challenge/2"),
        (Method::TlsAlpn(([0, 0, 0, 0], 443).into()), "/challenge/3"),
    ] {
        let mut order = session.order(&request(&names)).unwrap();
        let proofs = order.proofs(&method).unwrap();
        let [proof] = proofs.as_slice() else { panic!("{proofs:?}") };
        assert_eq!((&proof.url, &proof.identifier), (&format!("{}{path}", fake.base), &names[0]));
        let (token, thumbprint) = proof.key_authorization.split_once('.').unwrap();
        assert_eq!((token, thumbprint.len(), proof.digest.len(), proof.dns_value.len()), ("token-1", 43, 32, 43));
    }
}

#[test]
fn a_hostile_token_never_becomes_the_name_of_a_file() {
    for token in ["../../etc/cron.d/x", "", "a/b", "a\0", &"x".repeat(300)] {
        let token = token.to_owned();
        let fake = Fake::with_whim(move |asked, _| {
            let mut found = authorization("a.test", "pending", &asked.base);
            found["challenges"][0]["token"] = json!(token);
            (asked.line == "POST /authz/1").then(|| Said::json(200, &found))
        });
        let (session, names) = (opened(&fake), names());
        let error = session.order(&request(&names)).unwrap().proofs(&webroot()).unwrap_err();
        assert!(error.to_string().contains("a token that is none"), "{error}");
    }
}

#[test]
fn a_challenge_that_is_not_offered_is_told_by_its_name() {
    let fake = Fake::with_whim(|asked, _| {
        let mut found = authorization("a.test", "pending", &asked.base);
        let unheard_of = json!({ "type": "new-02", "url": "u", "status": "pending" });
        found["challenges"] = json!([challenge("dns-01", "pending", &asked.base), unheard_of]);
        found["wildcard"] = json!(true);
        (asked.line == "POST /authz/1").then(|| Said::json(200, &found))
    });
    let (session, names) = (opened(&fake), names());
    let error = session.order(&request(&names)).unwrap().proofs(&webroot()).unwrap_err();
    assert!(error.to_string().ends_with("does not offer http-01 for *.a.test"), "{error}");
}

#[test]
fn each_name_that_could_not_be_proved_is_told_with_its_reason() {
    let fake = Fake::with_whim(|asked, before| {
        let mut failed = authorization("a.test", "invalid", &asked.base);
        failed["challenges"][0]["error"] =
            json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": "got\n404", "status": 403 });
        match (asked.line.as_str(), before) {
            ("POST /order/1", _) => Some(Said::json(200, &order("invalid", &asked.base))),
            ("POST /authz/1", 1..) => Some(Said::json(200, &failed)),
            _ => None,
        }
    });
    let error = proved(&opened(&fake)).unwrap_err();
    assert!(error.to_string().ends_with("refused a.test: got 404 (unauthorized)"), "{error}");
    assert!(error.hint().contains("/.well-known/acme-challenge/"));
}

/// An authority that answers so when it is asked about the order, as often as that, and says to come back in an hour.
fn in_an_hour(status: &'static str, times: usize) -> Fake {
    Fake::with_whim(move |asked, before| {
        let said = match status {
            "busy" => Said::problem(503, "serverInternal", "busy"),
            _ => Said::json(200, &order(status, &asked.base)),
        };
        (asked.line == "POST /order/1" && before < times).then(|| said.with("Retry-After", "3600"))
    })
}

#[test]
fn proofs_stay_for_as_long_as_our_patience_whatever_the_authority_says() {
    for status in ["pending", "busy"] {
        let fake = in_an_hour(status, 1);
        assert_eq!(proved_within(Duration::from_millis(400), &opened(&fake)).unwrap(), Stage::Valid, "{status}");
        assert_eq!(fake.count("POST /order/1"), 3);
    }
}

#[test]
fn an_authority_that_asks_for_more_patience_than_there_is_gets_the_next_run_at_its_time() {
    let hour = shipshape_core::clock::now() + chrono::TimeDelta::minutes(59);
    for (status, code) in [("pending", "acme.pending"), ("processing", "acme.pending"), ("busy", "acme.later")] {
        let error = proved_within(Duration::ZERO, &opened(&in_an_hour(status, usize::MAX))).unwrap_err();
        assert_eq!(error.code(), code, "{status}");
        assert!(error.retry_at().is_some_and(|at| at > hour), "{error:?}");
    }
}

#[test]
fn a_signing_request_whose_answer_was_lost_is_not_sent_again_but_asked_after() {
    let fake = Fake::with_whim(|asked, _| (asked.line == "POST /finalize").then(Said::default));
    assert_eq!(proved(&opened(&fake)).unwrap(), Stage::Valid);
    fake.once("POST /finalize");
    let (used, new) = nonces(&fake);
    assert_eq!(used, new, "the nonce of a request whose answer was lost is used up");
}

#[test]
fn an_order_of_an_earlier_run_goes_on_where_it_was() {
    let fake = Fake::start();
    let session = opened(&fake);
    let names = names();
    let url = session.order(&request(&names)).unwrap().url().to_owned();
    let again = opened(&fake);
    let mut order = again.resume(&url).unwrap();
    assert_eq!((order.url(), order.stage(), order.account()), (url.as_str(), Stage::Pending, again.account().as_str()));
    let proofs = order.proofs(&webroot()).unwrap();
    order.prove(&proofs, PATIENCE).unwrap();
    assert_eq!(order.stage(), Stage::Ready);
    let gone = again.resume(&format!("{}/order/7", fake.base)).err().unwrap();
    assert_eq!(gone.code(), "acme.refused");
}

#[test]
fn an_order_of_an_earlier_run_that_came_to_nothing_tells_each_name_with_its_reason() {
    let fake = Fake::with_whim(|asked, _| {
        let mut failed = authorization("a.test", "invalid", &asked.base);
        failed["challenges"][0]["error"] = json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "no A" });
        match asked.line.as_str() {
            "POST /order/1" => Some(Said::json(200, &order("invalid", &asked.base))),
            "POST /authz/1" => Some(Said::json(200, &failed)),
            _ => None,
        }
    });
    let session = opened(&fake);
    let mut order = session.resume(&format!("{}/order/1", fake.base)).unwrap();
    assert_eq!(order.stage(), Stage::Invalid);
    assert!(order.failure().to_string().ends_with("refused a.test: no A (dns)"));
}

#[test]
fn a_wish_is_asked_for_openly_and_its_lack_is_no_failure() {
    let fake = Fake::with_whim(|asked, _| {
        let window = json!({ "suggestedWindow": { "start": "2026-11-20T04:00:00Z", "end": "2026-11-21T04:00:00Z" } });
        (asked.line == format!("GET /ari/{CERTIFICATE}")).then(|| Said::json(200, &window))
    });
    let session = opened(&fake);
    assert!(session.window(CERTIFICATE).unwrap().window.is_some());
    let unknown = session.window("AAAA.BBBB").unwrap();
    assert_eq!((unknown.window, unknown.ask_again), (None, Duration::from_secs(6 * 3600)));
    let before = fake.asked().len();
    assert!(session.window("no identifier/..").is_none());
    assert_eq!(fake.asked().len(), before);
}

#[test]
fn a_certificate_is_revoked_for_its_reason() {
    let fake = Fake::start();
    opened(&fake).revoke(b"der", RevocationReason::Superseded).unwrap();
    assert_eq!(fake.once("POST /revoke").payload, json!({ "certificate": "ZGVy", "reason": 4 }));
}

#[test]
fn the_chain_of_the_chosen_issuer_is_taken_where_there_is_one() {
    let certificate = |issuer: &str| {
        let mut parameters = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, issuer);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    let chains = ["Root A", "Root B", "Root C"].map(certificate);
    let fake = Fake::with_whim(move |asked, _| {
        let other = |index| format!("<{}/certificate/{index}>;rel=\"alternate\"", asked.base);
        let chain = |index: usize| Said { status: 200, body: chains[index].clone(), ..Said::default() };
        match asked.line.as_str() {
            "POST /certificate" => Some(chain(0).with("Link", &other(1)).with("Link", &other(2))),
            "POST /certificate/1" => Some(chain(1)),
            "POST /certificate/2" => Some(chain(2)),
            _ => None,
        }
    });
    let (session, names) = (opened(&fake), names());
    for (wanted, issuer, asked) in [
        (None, "Root A", 0),
        (Some("Root A"), "Root A", 0),
        (Some("Root C"), "Root C", 1),
        (Some("Root X"), "Root A", 2),
    ] {
        let mut order = session.order(&request(&names)).unwrap();
        let proofs = order.proofs(&webroot()).unwrap();
        order.prove(&proofs, PATIENCE).unwrap();
        order.finalize(b"a signing request").unwrap();
        assert_eq!(order.certificate(wanted, PATIENCE).unwrap().facts.issuer, issuer, "{wanted:?}");
        assert_eq!(fake.count("POST /certificate/2"), asked, "{wanted:?}");
    }
}
