use shipshape_core::config::{CertificateSection, CertrenewSection, Config};
use shipshape_core::error::Explain;
use shipshape_core::stack::{Mount, MountSource, Port, Ports, Service};

use super::*;
use crate::cli::OneArgs;
use crate::deploy::testing::{self, Fake};
use crate::wanted;

/// Where the certificate lies.
const LIVE: &str = "/srv/shop/certs/live/a.test";

/// A certificate of which nobody says who takes it, but for what is said here.
fn certificate(said: CertificateSection) -> Wanted {
    let certificate = vec![CertificateSection {
        names: vec!["a.test".to_owned()],
        webroot: Some("/srv/shop/www".into()),
        folder: Some("/srv/shop/certs".into()),
        ..said
    }];
    let certrenew = CertrenewSection { certificate, ..CertrenewSection::default() };
    wanted::wanted(&Config { certrenew, ..Config::default() }, &OneArgs::default()).unwrap().remove(0)
}

/// A service that mounts this folder.
fn service(name: &str, image: &str, source: &str) -> Service {
    let mount = Mount { source: MountSource::Path(source.into()), target: "/x".into(), read_only: true };
    Service { origin: Some(image.to_owned()), ..testing::service(name, vec![mount]) }
}

fn application(services: Vec<Service>) -> Application {
    Application::of(Box::new(Fake { services, ..Fake::default() }))
}

fn takers(said: CertificateSection, services: Vec<Service>) -> Result<Takers, DeployError> {
    Takers::of(&certificate(said), Path::new(LIVE), &application(services))
}

fn told(said: CertificateSection, services: Vec<Service>) -> Vec<(&'static str, String)> {
    let wanted = certificate(said);
    let takers = Takers::of(&wanted, Path::new(LIVE), &application(services)).unwrap();
    takers.doubts(&wanted).into_iter().map(|doubt| (doubt.code, doubt.hint)).collect()
}

fn nobody() -> CertificateSection {
    CertificateSection::default()
}

#[test]
fn the_nginx_that_mounts_the_folder_is_found_with_where_it_is_reached() {
    let port = Port { inside: 443, outside: 8443, address: None };
    let httpd = Service { ports: Ports::Published(vec![port]), ..service("httpd", "nginx:1.26", "/srv/shop/certs") };
    let found = takers(nobody(), vec![httpd.clone(), service("app", "shop:1", "/srv/shop/www")]).unwrap();
    assert_eq!((found.names(), found.is_found), (vec!["httpd".to_owned()], true));
    assert_eq!(found.look_at(&[]), ["127.0.0.1:8443".parse().unwrap()]);
    assert!(found.look_at(&["httpd".to_owned()]).is_empty(), "what does not run shows nothing");
    assert!(told(nobody(), vec![httpd.clone(), service("app", "shop:1", "/srv/shop")]).is_empty());
    let both = vec![httpd, service("edge", "openresty/openresty", "/srv/shop/certs/live/a.test")];
    assert_eq!(takers(nobody(), both).unwrap().names(), ["httpd", "edge"]);
}

#[test]
fn a_service_of_an_unknown_kind_is_named_with_what_to_say_of_it() {
    let mail = || service("mail", "postfix", "/srv/shop/certs");
    let [(code, hint)] = &told(nobody(), vec![mail()])[..] else { panic!("one doubt") };
    assert_eq!(*code, "deploy.unknown_kind");
    assert!(hint.contains("service = \"mail\"") && hint.contains("shipshape.kind = nginx"), "{hint}");
    let [(code, hint)] = &told(nobody(), vec![service("httpd", "nginx", "/srv/shop/certs"), mail()])[..] else {
        panic!("one doubt")
    };
    assert_eq!(*code, "deploy.unknown_kind");
    assert!(hint.contains("service = \"httpd\", and command"), "what is known would be lost: {hint}");
    let nginx = |name: &str| service(name, "nginx", "/srv/shop/certs");
    let [(_, hint)] = &told(nobody(), vec![nginx("a"), nginx("b"), mail()])[..] else { panic!("one doubt") };
    assert!(
        hint.contains("shipshape.kind = nginx") && !hint.contains("service ="),
        "what is known would be lost: {hint}"
    );
}

#[test]
fn where_nobody_sees_it_nobody_is_told_and_who_looks_on_is_named() {
    let [(code, hint)] = &told(nobody(), vec![service("app", "shop:1", "/srv")])[..] else { panic!("one doubt") };
    assert!(*code == "deploy.nobody" && hint.contains("(app may read it"), "{hint}");
    let [(code, hint)] = &told(nobody(), Vec::new())[..] else { panic!("one doubt") };
    assert!(*code == "deploy.nobody" && !hint.contains("may read it"), "{hint}");
}

#[test]
fn whoever_has_said_enough_is_not_asked() {
    let seen = || vec![service("httpd", "nginx", "/srv/shop/certs"), service("mail", "postfix", "/srv/shop/certs")];
    let verify = |at: &[&str]| CertificateSection {
        verify: Some(at.iter().map(|&at| at.to_owned()).collect()),
        ..CertificateSection::default()
    };
    assert_eq!(takers(verify(&[]), seen()).unwrap(), Takers::default());
    let command = CertificateSection { command: Some(vec!["true".to_owned()]), ..nobody() };
    assert_eq!(takers(command, seen()).unwrap(), Takers::default());
    assert_eq!(takers(verify(&["192.0.2.7"]), seen()).unwrap().names(), ["httpd"]);
    for said in [verify(&[]), verify(&["192.0.2.7"])] {
        assert!(told(said.clone(), seen()).is_empty() && told(said, Vec::new()).is_empty());
    }
}

#[test]
fn an_application_that_cannot_be_read_is_no_error_where_nobody_was_named() {
    let broken = || Application::of(Box::new(Fake { is_broken: true, ..Fake::default() }));
    let open = certificate(nobody());
    let known = ["httpd".to_owned()];
    for (application, why) in [(broken(), Some("yaml: line 3")), (Application::at(None), None)] {
        let takers = Takers::of(&open, Path::new(LIVE), &application).unwrap();
        assert!(takers.services.is_empty());
        assert_eq!(takers.out_of_reach(&[]).is_some(), why.is_some());
        assert!(takers.out_of_reach(&known).unwrap().contains(why.unwrap_or("no service mounts it any more")));
        let doubt = &takers.doubts(&open)[0];
        assert!(doubt.code == "deploy.nobody" && doubt.message.contains(why.unwrap_or_default()), "{}", doubt.message);
    }
    let stated = certificate(CertificateSection { service: Some("web".to_owned()), ..nobody() });
    assert_eq!(Takers::of(&stated, Path::new(LIVE), &broken()).unwrap_err().code(), "stack.invalid");
}

#[test]
fn a_service_that_is_stated_must_be_there_and_tells_by_its_ports_where_it_is() {
    let stated = |name: &str| CertificateSection { service: Some(name.to_owned()), ..nobody() };
    let ports = Ports::Published(vec![Port { inside: 443, outside: 9443, address: None }]);
    let all = || vec![Service { ports: ports.clone(), ..service("edge", "acme/edge", "/elsewhere") }];
    let takers_of = |name: &str| takers(stated(name), all());
    let edge = takers_of("edge").unwrap();
    assert_eq!((edge.names(), edge.is_found), (vec!["edge".to_owned()], false));
    assert_eq!(edge.look_at(&[]), ["127.0.0.1:9443".parse().unwrap()]);
    let inside = Service { ports: Ports::Published(Vec::new()), ..service("inside", "acme/edge", "/elsewhere") };
    let inside = takers(stated("inside"), vec![inside]).unwrap();
    assert_eq!(inside.look_at(&[]), [usual()], "whoever names it wants to know that it serves");
    let error = takers_of("egde").unwrap_err();
    assert_eq!((error.code(), error.hint().as_str()), ("deploy.no_service", "there are: edge"));
    let command = Some(vec!["/no/such/program".to_owned()]);
    let error = takers(CertificateSection { command, ..stated("edge") }, all()).unwrap_err();
    assert_eq!(error.code(), "deploy.no_command");
}
