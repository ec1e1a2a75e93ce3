//! Commands to paste: what shows the log that a problem is about.

use super::words::{LONGEST_NAME, pasted, plain};

/// What shows the end of a source's log, by the key and the name under which it is kept; none for what came by a pipe.
pub(super) fn show(key: &str, name: &str) -> Option<String> {
    let name = plain(name, LONGEST_NAME);
    match key.split_once(':')?.0 {
        "file" => Some(format!("tail -n 200 {}", pasted(&name))),
        "container" => Some(format!("docker compose logs --since 1h {}", pasted(service(&name)))),
        "unit" => Some(format!("journalctl --since -1h --unit {}", pasted(&name))),
        _ => None,
    }
}

/// The service of a container's name: `application` of `application-1`.
fn service(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((service, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => service,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_source_has_its_command_and_no_name_runs_one() {
        let cases = [
            ("file:/var/log/a b.log", "/var/log/a b.log", Some("tail -n 200 '/var/log/a b.log'")),
            ("file:x", "$(reboot).log", Some("tail -n 200 '$(reboot).log'")),
            ("container:application-1", "application-1", Some("docker compose logs --since 1h application")),
            ("container:my-api-12", "my-api-12", Some("docker compose logs --since 1h my-api")),
            ("container:v-2x", "v-2x", Some("docker compose logs --since 1h v-2x")),
            ("unit:ssh.service:/j", "ssh.service", Some("journalctl --since -1h --unit ssh.service")),
            ("stdin", "stdin", None),
        ];
        for (key, name, expected) in cases {
            assert_eq!(show(key, name).as_deref(), expected, "of {key}");
        }
    }
}
