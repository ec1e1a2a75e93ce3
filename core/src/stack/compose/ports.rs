//! Where a service is reached from this machine, as Compose's description has it. Pure.

use serde_json::Value;

use super::super::{Port, Ports};

/// The ports of a service of the model. One that has the network of another service has that one's ports.
pub(super) fn of(model: &Value, stated: &Value) -> Ports {
    match stated.get("network_mode").and_then(Value::as_str) {
        Some("host") => Ports::Machine,
        Some(mode) => {
            let other = mode.strip_prefix("service:").and_then(|name| super::answer::service(model, name));
            published(other.unwrap_or(stated))
        }
        None => published(stated),
    }
}

fn published(stated: &Value) -> Ports {
    Ports::Published(stated.get("ports").and_then(Value::as_array).into_iter().flatten().filter_map(port).collect())
}

/// In its long form, which is the one that `config` prints. What has no fixed port (`published` is missing, 0, or a range to
/// draw from) is left out.
fn port(stated: &Value) -> Option<Port> {
    let text = |name: &str| stated.get(name).and_then(Value::as_str);
    let is_tcp = text("protocol").is_none_or(|protocol| protocol == "tcp");
    let outside = stated.get("published").and_then(number).filter(|outside| is_tcp && *outside != 0)?;
    let address = text("host_ip").filter(|address| !address.is_empty());
    Some(Port {
        inside: stated.get("target").and_then(number)?,
        outside,
        // An address that makes no sense here is not every address.
        address: address.map(str::parse).transpose().ok()?,
    })
}

/// A number, or one written as text: Compose has done both.
fn number(stated: &Value) -> Option<u16> {
    match stated {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ports(stated: &Value) -> Ports {
        of(&json!({ "services": { "tunnel": { "ports": [{ "target": 443, "published": "9443" }] } } }), stated)
    }

    #[test]
    fn fixed_ports_of_tcp_count_and_no_others() {
        let stated = json!({ "ports": [
            { "mode": "ingress", "target": 443, "published": "8443", "host_ip": "127.0.0.1", "protocol": "tcp" },
            { "mode": "ingress", "target": 80, "published": 80 },
            { "target": 443, "published": "443", "host_ip": "::1" },
            { "target": 443, "published": "443", "protocol": "udp" },
            { "target": 443 },
            { "target": 443, "published": "0" },
            { "target": 443, "published": "8000-8010" },
            { "target": 443, "published": "443", "host_ip": "nowhere" },
        ] });
        let port = |inside, outside, address: Option<&str>| Port {
            inside,
            outside,
            address: address.map(|address| address.parse().unwrap()),
        };
        let expected = vec![port(443, 8443, Some("127.0.0.1")), port(80, 80, None), port(443, 443, Some("::1"))];
        assert_eq!(ports(&stated), Ports::Published(expected));
    }

    #[test]
    fn a_network_of_the_machine_or_of_another_service_has_the_ports_of_that() {
        assert_eq!(ports(&json!({ "network_mode": "host" })), Ports::Machine);
        let shared = ports(&json!({ "network_mode": "service:tunnel" }));
        assert_eq!(shared, Ports::Published(vec![Port { inside: 443, outside: 9443, address: None }]));
        assert_eq!(ports(&json!({ "network_mode": "none" })), Ports::default());
        assert_eq!(ports(&json!({})), Ports::default());
    }
}
