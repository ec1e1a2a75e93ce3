//! Questions to real name servers on the loopback, some of them hostile.

use std::net::UdpSocket;

use proptest::prelude::*;
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::{Explain, chain};
use simple_dns::rdata::CNAME;
use simple_dns::{CLASS, Packet, PacketFlag, RCODE, ResourceRecord};

use super::*;
use crate::preflight::testing::{NameServer, Way, Zone, owned};

fn resolver(servers: &[SocketAddr]) -> Resolver {
    let deadline = Deadline::after(Duration::from_secs(5));
    let first = AtomicUsize::new(0);
    Resolver { servers: servers.to_vec(), patience: Duration::from_millis(300), deadline, first }
}

fn asking(server: &NameServer) -> Resolver {
    resolver(&[server.address])
}

fn found(addresses: &[&str]) -> Found<IpAddr> {
    Found::Records(addresses.iter().map(|one| one.parse().unwrap()).collect())
}

#[test]
fn addresses_of_both_families_are_found() {
    let zone =
        Zone::default().address("a.test", "192.0.2.7").address("a.test", "192.0.2.8").address("a.test", "2001:db8::7");
    let server = NameServer::of(zone);
    let resolver = asking(&server);
    assert_eq!(resolver.ipv4("a.test").unwrap(), found(&["192.0.2.7", "192.0.2.8"]));
    assert_eq!(resolver.ipv6("A.Test.").unwrap(), found(&["2001:db8::7"]));
}

#[test]
fn what_does_not_exist_is_told_from_what_has_no_records_and_from_a_failure() {
    let server = NameServer::of(Zone::default().empty("a.test").failing("broken.test", TYPE::A));
    let resolver = asking(&server);
    assert_eq!(resolver.ipv4("a.test").unwrap(), Found::NoRecords);
    assert_eq!(resolver.ipv4("none.test").unwrap(), Found::NoSuchName);
    let error = resolver.ipv4("broken.test").unwrap_err();
    assert_eq!(error.code(), "dns.server_failure");
    let told = format!("the name server {} cannot tell broken.test A: SERVFAIL", server.address);
    assert_eq!(chain(&error), told);
}

#[test]
fn the_strings_of_a_txt_record_are_joined_and_no_such_name_has_none() {
    let zone = Zone::default().txt("_acme-challenge.a.test", &["abc", "def"]).txt("_acme-challenge.a.test", &["ghi"]);
    let server = NameServer::of(zone);
    assert_eq!(txt(Some(server.address), "_acme-challenge.a.test").unwrap(), ["abcdef", "ghi"]);
    assert!(txt(Some(server.address), "_acme-challenge.b.test").unwrap().is_empty());
}

#[test]
fn aliases_are_followed_inside_the_answer() {
    let zone = Zone::default()
        .alias("www.a.test", "cdn.test")
        .alias("cdn.test", "edge.test")
        .address("edge.test", "192.0.2.9");
    let server = NameServer::of(zone);
    assert_eq!(asking(&server).ipv4("www.a.test").unwrap(), found(&["192.0.2.9"]));
    // That there is nothing at the end of them is the end of it: the zone's SOA says so.
    assert_eq!(asking(&server).ipv6("www.a.test").unwrap(), Found::NoRecords);
    assert_eq!(server.asked(), ["www.a.test A", "www.a.test AAAA"]);
}

/// A server that gives the next alias alone, and knows nothing of its target.
fn alias_alone(query: &Packet<'_>, target: &str) -> Vec<Vec<u8>> {
    let name = query.questions[0].qname.clone().into_owned();
    let mut reply = query.clone().into_reply();
    *reply.opt_mut() = None;
    reply.answers.push(ResourceRecord::new(name, CLASS::IN, 60, RData::CNAME(CNAME(owned(target)))));
    vec![reply.build_bytes_vec().unwrap()]
}

#[test]
fn the_target_of_an_alias_is_asked_for_where_the_answer_leaves_it_out() {
    let zone = Zone::default().address("edge.test", "192.0.2.9");
    let server = NameServer::raw(move |query, _| match query.questions[0].qname.to_string().as_str() {
        "www.a.test" => alias_alone(query, "edge.test"),
        _ => vec![zone.answer(query)],
    });
    assert_eq!(asking(&server).ipv4("www.a.test").unwrap(), found(&["192.0.2.9"]));
    assert_eq!(server.asked(), ["www.a.test A", "edge.test A"]);
}

#[test]
fn aliases_without_an_end_are_given_up() {
    let inside = NameServer::of(Zone::default().alias("a.test", "b.test").alias("b.test", "a.test"));
    assert_eq!(asking(&inside).ipv4("a.test").unwrap_err().code(), "dns.aliases");
    let outside = NameServer::raw(|query, _| alias_alone(query, &format!("x.{}", query.questions[0].qname)));
    assert_eq!(asking(&outside).ipv4("a.test").unwrap_err().code(), "dns.aliases");
    assert_eq!(outside.asked().len(), MOST_ALIASES + 1);
}

/// A server whose datagrams are cut, and say so (RFC 1035, 4.1.1: TC).
fn cutting(zone: Zone) -> NameServer {
    NameServer::raw(move |query, way| {
        let mut bytes = zone.answer(query);
        if way == Way::Datagram {
            bytes.truncate(40);
            bytes[2] |= 0x02;
        }
        vec![bytes]
    })
}

#[test]
fn a_cut_answer_is_asked_for_by_tcp() {
    let zone = (0..200).fold(Zone::default(), |zone, n| zone.address("a.test", &format!("10.0.{n}.1")));
    let server = cutting(zone);
    assert_eq!(asking(&server).ipv4("a.test").unwrap().into_records().len(), 200);
    assert_eq!(server.asked(), ["a.test A", "a.test A"]);
}

#[test]
fn forged_and_foreign_answers_are_passed_over() {
    let zone = Zone::default().address("a.test", "192.0.2.7").address("evil.test", "203.0.113.66");
    let forged = Zone::default().address("a.test", "203.0.113.66");
    let server = NameServer::raw(move |query, _| {
        let right = zone.answer(query);
        let mut wrong_id = forged.answer(query);
        wrong_id[0] ^= 0xff;
        let mut other = query.clone();
        other.questions[0].qname = owned("evil.test");
        let mut no_answer = forged.answer(query);
        no_answer[2] &= 0x7f;
        vec![wrong_id, zone.answer(&other), no_answer, vec![0; 5], Vec::new(), vec![0xff; 300], right]
    });
    assert_eq!(asking(&server).ipv4("a.test").unwrap(), found(&["192.0.2.7"]));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn silence_is_told_in_time_after_one_retry() {
    let server = NameServer::raw(|_, _| Vec::new());
    let watch = Stopwatch::start();
    let error = asking(&server).ipv4("a.test").unwrap_err();
    assert_eq!(error.code(), "dns.no_answer");
    assert_eq!(error.hint(), format!("see whether it answers: dig @127.0.0.1 -p {} a.test A", server.address.port()));
    assert_eq!(server.asked().len(), 2);
    assert!((Duration::from_millis(550)..Duration::from_secs(3)).contains(&watch.elapsed()), "{:?}", watch.elapsed());
}

#[test]
fn a_port_where_nobody_listens_is_told_at_once() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let watch = Stopwatch::start();
    let error = Resolver { patience: Duration::from_secs(4), ..resolver(&[address]) }.ipv4("a.test").unwrap_err();
    assert_eq!(chain(&error), format!("no answer from the name server {address} for a.test A: Connection refused"));
    assert!(watch.elapsed() < Duration::from_secs(2));
}

#[test]
fn what_one_server_cannot_tell_another_may() {
    let broken = NameServer::of(Zone::default().failing("a.test", TYPE::A));
    let silent = NameServer::raw(|_, _| Vec::new());
    let good = NameServer::of(Zone::default().address("a.test", "192.0.2.7"));
    let servers = [broken.address, silent.address, good.address];
    assert_eq!(resolver(&servers).ipv4("a.test").unwrap(), found(&["192.0.2.7"]));
    let both = resolver(&servers[1..]);
    for _ in 0..3 {
        assert_eq!(both.ipv4("a.test").unwrap(), found(&["192.0.2.7"]));
    }
    assert_eq!(silent.asked().len(), 2, "whoever is silent is not asked first again");
    // A failure says more than silence, whichever came last.
    assert_eq!(resolver(&servers[..2]).ipv4("a.test").unwrap_err().code(), "dns.server_failure");
}

#[test]
fn a_server_that_knows_no_extension_is_asked_without_it() {
    let zone = Zone::default().address("a.test", "192.0.2.7");
    let server = NameServer::raw(move |query, _| {
        if query.opt().is_none() {
            return vec![zone.answer(query)];
        }
        let mut refusal = Packet::new_reply(query.id());
        *refusal.rcode_mut() = RCODE::FormatError;
        vec![refusal.build_bytes_vec().unwrap()]
    });
    assert_eq!(asking(&server).ipv4("a.test").unwrap(), found(&["192.0.2.7"]));
}

/// A server whose datagrams are cut, and that says this by TCP.
fn cut(by_tcp: fn(Packet<'_>) -> Vec<Vec<u8>>) -> NameServer {
    NameServer::raw(move |query, way| {
        let mut reply = query.clone().into_reply();
        *reply.opt_mut() = None;
        reply.set_flags(PacketFlag::TRUNCATION);
        if way == Way::Tcp { by_tcp(reply) } else { vec![reply.build_bytes_vec().unwrap()] }
    })
}

#[test]
fn a_tcp_answer_that_breaks_off_or_is_cut_again_is_none() {
    for server in [cut(|_| Vec::new()), cut(|reply| vec![reply.build_bytes_vec().unwrap()])] {
        assert_eq!(asking(&server).ipv4("a.test").unwrap_err().code(), "dns.no_answer");
        assert_eq!(server.asked().len(), 4, "it was not asked by TCP");
    }
}

#[test]
fn an_answer_that_promises_more_records_than_make_sense_is_passed_over() {
    let zone =
        (0..1100_u32).fold(Zone::default(), |zone, n| zone.address("a.test", &std::net::Ipv4Addr::from(n).to_string()));
    let server = cutting(zone);
    assert_eq!(asking(&server).ipv4("a.test").unwrap_err().code(), "dns.no_answer");
}

#[test]
fn names_that_no_dns_can_hold_are_refused() {
    let nobody = resolver(&["127.0.0.1:9".parse().unwrap()]);
    for name in ["a".repeat(64), "a.".repeat(140)] {
        assert_eq!(nobody.ipv4(&name).unwrap_err().code(), "dns.name");
    }
}

#[test]
fn the_servers_of_the_machine_are_read_as_the_manual_says() {
    let text = "# x\nnameserver 192.0.2.1\nsearch a.test\n nameserver\t2001:db8::1 # y\nnameserver fe80::1%eth0\nnameserver 192.0.2.4\n";
    let told: Vec<_> = servers(text).into_iter().map(|one| one.map(|address| address.to_string())).collect();
    assert_eq!(told, [Some("192.0.2.1:53".to_owned()), Some("[2001:db8::1]:53".to_owned()), None]);
    assert_eq!(of_machine(Path::new("/nonexistent/resolv.conf")), ["127.0.0.1:53".parse().unwrap()]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "nameserver fe80::1%eth0\n").unwrap();
    let nobody = of_machine(file.path());
    assert_eq!(resolver(&nobody).ipv4("a.test").unwrap_err().code(), "dns.no_server");
}

proptest! {
    /// Whatever comes, it is an answer or an error, and never a panic.
    #[test]
    fn no_bytes_make_a_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..600), id: u16) {
        let question = Question::new("a.test", TYPE::CAA).unwrap();
        question.fit(id, &bytes);
        let _ = question.reply(&bytes, "127.0.0.1:53".parse().unwrap(), Caa::of);
    }

    /// The same for bytes that are nearly right.
    #[test]
    fn no_damage_to_an_answer_makes_a_reader_fall(damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let zone = Zone::default().alias("a.test", "b.test").caa("b.test", 128, "issue", "x").txt("b.test", &["y"]);
        let question = Question::new("a.test", TYPE::CAA).unwrap();
        let asked = question.bytes(7, Size::Extended).unwrap();
        let mut bytes = zone.answer(&Packet::parse(&asked).unwrap());
        prop_assert_eq!(question.fit(7, &bytes), message::Fit::Whole);
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        question.fit(7, &bytes);
        let _ = question.reply(&bytes, "127.0.0.1:53".parse().unwrap(), Caa::of);
    }

    #[test]
    fn no_file_makes_a_reader_fall(text in "\\PC{0,200}") {
        prop_assert!(servers(&text).len() <= MOST_SERVERS);
    }
}
