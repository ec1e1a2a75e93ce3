//! Bytes in PEM form (RFC 7468), as `openssl` and every web server read them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How many characters of base64 stand in a line (RFC 7468, 2).
const LINE: usize = 64;

/// What stands before and after the label of a boundary.
const DASHES: &str = "-----";

/// One section: the label between its boundaries, and the bytes in base64.
///
/// For secrets the caller wipes what comes back: it has its size from the beginning, and leaves no copies by growing.
pub(crate) fn armour(label: &str, der: &[u8]) -> String {
    let encoded = zeroize::Zeroizing::new(STANDARD.encode(der));
    let lines = encoded.len().div_ceil(LINE);
    let boundaries = 2 * (label.len() + 2 * DASHES.len() + "BEGIN \n".len());
    let mut text = String::with_capacity(encoded.len() + lines + boundaries);
    boundary(&mut text, "BEGIN", label);
    for line in encoded.as_bytes().chunks(LINE) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    boundary(&mut text, "END", label);
    text
}

fn boundary(text: &mut String, word: &str, label: &str) {
    for part in [DASHES, word, " ", label, DASHES, "\n"] {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn lines_have_the_length_of_the_standard() {
        let text = armour("CERTIFICATE", &[7; 50]);
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [27, 64, 4, 25]);
        assert!(text.ends_with("-----END CERTIFICATE-----\n"));
    }

    #[test]
    fn the_text_of_a_secret_never_grows() {
        for size in [0, 1, 47, 48, 49, 121, 4096] {
            let text = armour("PRIVATE KEY", &vec![1; size]);
            let wanted = String::with_capacity(text.len()).capacity();
            assert!(text.capacity() >= text.len() && text.capacity() <= wanted + 8, "{size}: {}", text.capacity());
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(der in proptest::collection::vec(any::<u8>(), 1..400)) {
            let text = armour("CERTIFICATE", &der);
            let read = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            prop_assert_eq!(read.as_ref(), &der[..]);
        }
    }
}
