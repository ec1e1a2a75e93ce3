//! The names of hosts and applications, as the store's folders and the reports' files carry them.

/// The longest name, in bytes: as long as a host name may be (`HOST_NAME_MAX` of Linux).
pub const LONGEST: usize = 64;

/// Whether a name can be used as it is: letters, digits, `.`, `_` and `-`, not hidden, at most [`LONGEST`] bytes.
pub fn is_valid(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name.bytes().all(is_plain)
}

/// The nearest usable name: every other byte becomes `-`. `fallback` stands for a name of which nothing is left.
pub fn mend(raw: &str, fallback: &str) -> String {
    let mut name: String =
        raw.bytes().take(LONGEST).map(|byte| if is_plain(byte) { byte as char } else { '-' }).collect();
    if name.starts_with('.') {
        name.replace_range(..1, "-");
    }
    if name.bytes().any(|byte| byte.is_ascii_alphanumeric()) { name } else { fallback.to_owned() }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        let refused = ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\0", &"x".repeat(65)].map(is_valid);
        assert_eq!(refused, [false; 9]);
        assert!(is_valid("fleet-2.eu_west"));
    }

    #[test]
    fn a_mended_name_keeps_what_it_can() {
        let mended = ["my app", ".dot", "..", "ä", "vps1.example.org"].map(|raw| mend(raw, "app"));
        assert_eq!(mended, ["my-app", "-dot", "app", "app", "vps1.example.org"]);
    }

    proptest! {
        #[test]
        fn whatever_is_mended_is_valid_and_stays_so(raw in ".{0,80}") {
            let name = mend(&raw, "app");
            prop_assert!(is_valid(&name));
            prop_assert_eq!(mend(&name, "app"), name);
        }
    }
}
