//! Which of the services that see a certificate take it, and where each is looked at. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use shipshape_core::stack::{Port, Ports, Service, WebServer};

use super::super::mounts::Sight;
use super::{Taker, Takers};

/// The port of HTTPS.
const HTTPS: u16 = 443;

/// Words in the names of images that write certificates and do not serve them.
const CLIENTS: [&str; 4] = ["certbot", "acme", "lego", "dehydrated"];

/// What a service is to a certificate that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It serves it, and how it is told is known.
    Server(WebServer),
    /// It has no use for being told.
    None,
    /// Nobody knows.
    Unknown,
}

/// Sorts them: those that take it; those that may, and are to be asked about. Whoever sees it only with all that lies around
/// it (a whole project, a whole disk) counts, and is asked about, only where nobody else takes it.
pub(super) fn found(seeing: &[(&Service, Sight)]) -> Takers {
    let mut takers = Takers { is_found: true, ..Takers::default() };
    let mut above = Vec::new();
    for (service, sight) in seeing {
        match (part(service), sight) {
            (Part::Server(WebServer::Nginx), sight) => {
                let sees = if *sight == Sight::Itself { &mut takers.services } else { &mut above };
                sees.push(Taker { service: service.name.clone(), look_at: look_at(&service.ports) });
            }
            (Part::None, _) => {}
            (Part::Unknown, Sight::Itself) => takers.unknown.push(service.name.clone()),
            (Part::Unknown, Sight::Above) => takers.onlookers.push(service.name.clone()),
        }
    }
    if takers.services.is_empty() {
        takers.services = above;
    }
    takers
}

/// Its label outranks its image.
fn part(service: &Service) -> Part {
    match service.stated_kind().map(str::trim) {
        Some("none") => Part::None,
        Some(label) => WebServer::of_label(label).map_or(Part::Unknown, Part::Server),
        None => WebServer::of_image(&service.image_name()).map_or_else(|| without_server(service), Part::Server),
    }
}

fn without_server(service: &Service) -> Part {
    let image = service.image_name();
    let is_client = image.split(['-', '_', '.']).any(|word| CLIENTS.contains(&word));
    // The images of its plugins are called after those: `certbot/dns-route53`.
    let is_certbots = service.origin.as_deref().is_some_and(|origin| origin.starts_with("certbot/"));
    if is_client || is_certbots { Part::None } else { Part::Unknown }
}

/// Where a service answers with TLS, as this machine reaches it: at the ports that lead to its port 443, and at the machine's
/// own port 443, if that leads to it. Where neither does, somebody else stands before it, and what that one shows is not
/// this service's to answer for: it is looked at nowhere.
pub(super) fn look_at(ports: &Ports) -> Vec<SocketAddr> {
    let own = Port { inside: HTTPS, outside: HTTPS, address: None };
    let ports = match ports {
        Ports::Machine => std::slice::from_ref(&own),
        Ports::Published(ports) => ports,
    };
    let mut found: Vec<SocketAddr> = Vec::new();
    for port in ports.iter().filter(|port| port.inside == HTTPS || port.outside == HTTPS) {
        let address = SocketAddr::new(reached_at(port.address), port.outside);
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// All addresses are reached at the machine's own.
fn reached_at(address: Option<IpAddr>) -> IpAddr {
    match address {
        Some(IpAddr::V6(all)) if all.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(one) if !one.is_unspecified() => one,
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wanted::SERVED_AT;

    fn service(name: &str, image: &str, label: Option<&str>) -> Service {
        let labels = label.map(|label| ("shipshape.kind".to_owned(), label.to_owned()));
        Service {
            name: name.to_owned(),
            origin: Some(image.to_owned()),
            labels: BTreeMap::from_iter(labels),
            ..Service::default()
        }
    }

    fn told(services: &[(Service, Sight)]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let seeing: Vec<_> = services.iter().map(|(service, sight)| (service, *sight)).collect();
        let found = found(&seeing);
        (found.names(), found.unknown, found.onlookers)
    }

    #[test]
    fn an_nginx_that_sees_it_takes_it_by_image_and_by_label() {
        let services = [
            (service("httpd", "nginx:1.26", None), Sight::Itself),
            (service("edge", "acme/edge:7", Some("nginx")), Sight::Itself),
            (service("whole", "openresty/openresty", None), Sight::Above),
            (service("not", "nginx:1.26", Some("none")), Sight::Itself),
        ];
        let takers = ["httpd", "edge"].map(str::to_owned).to_vec();
        assert_eq!(told(&services), (takers, Vec::new(), Vec::new()), "who sees all around it serves something else");
        assert_eq!(told(&services[2..]).0, ["whole"], "unless nobody else takes it");
        assert!(found(&[]).is_found && found(&[]).services.is_empty());
    }

    #[test]
    fn what_is_not_known_is_never_guessed_at() {
        let services = [
            (service("mail", "postfix:3", None), Sight::Itself),
            (service("apache", "httpd:2.4", None), Sight::Itself),
            (service("balancer", "haproxy:3", None), Sight::Itself),
            (service("db", "nginx", Some("mariadb")), Sight::Itself),
            (service("php", "php:8-fpm", None), Sight::Above),
        ];
        let (takers, unknown, onlookers) = told(&services);
        assert_eq!(
            (takers.len(), unknown),
            (0, vec!["mail", "apache", "balancer", "db"].into_iter().map(Into::into).collect())
        );
        assert_eq!(onlookers, ["php"]);
    }

    #[test]
    fn what_writes_certificates_does_not_take_them() {
        let images = ["certbot/certbot:v3", "certbot/dns-route53", "neilpang/acme.sh", "goacme/lego:v4"];
        let services = images.map(|image| (service("client", image, None), Sight::Itself));
        assert_eq!(told(&services), Default::default());
    }

    fn at(ports: &[(u16, u16, Option<&str>)]) -> Vec<String> {
        let port = |(inside, outside, address): &(u16, u16, Option<&str>)| Port {
            inside: *inside,
            outside: *outside,
            address: address.map(|address| address.parse().unwrap()),
        };
        let found = look_at(&Ports::Published(ports.iter().map(port).collect()));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_service_is_looked_at_where_its_port_443_is_published() {
        assert_eq!(at(&[(443, 443, None), (80, 80, None)]), [SERVED_AT]);
        assert_eq!(at(&[(443, 8443, Some("0.0.0.0")), (443, 8443, Some("::"))]), ["127.0.0.1:8443", "[::1]:8443"]);
        assert_eq!(at(&[(443, 443, Some("192.0.2.7"))]), ["192.0.2.7:443"]);
        assert_eq!(at(&[(8443, 443, None), (8443, 443, Some("127.0.0.1"))]), [SERVED_AT], "a server without root");
        assert_eq!(look_at(&Ports::Machine), [SERVED_AT.parse().unwrap()]);
    }

    #[test]
    fn a_service_that_somebody_stands_before_is_looked_at_nowhere() {
        assert!(at(&[(80, 8080, None), (8443, 8443, None)]).is_empty());
        assert!(at(&[]).is_empty());
    }
}
