//! The authority's own words, made fit for our reports: they come from outside, and go to terminals and mails.

/// The longest text that is passed on, in characters.
const LONGEST: usize = 300;

/// How much of a page is looked at for its text, in bytes.
const PAGE: usize = 16 << 10;

/// The longest address that is passed on, in bytes: Let's Encrypt's for lifting a pause carry a token of some hundred.
const LONGEST_ADDRESS: usize = 2000;

/// In one line, without control characters, cut where it is too long.
pub(super) fn told(text: &str) -> String {
    let mut told = String::new();
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    // A word of which nothing can be seen is none.
    for word in words.filter(|word| !word.chars().all(is_invisible)) {
        if !told.is_empty() {
            told.push(' ');
        }
        told.extend(word.chars().filter(|letter| !is_invisible(*letter)));
        // One pass over what is needed and no further, however long it is.
        if told.len() > LONGEST * 4 {
            break;
        }
    }
    match told.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &told[..end]),
        None => told,
    }
}

/// Letters that cannot be seen, or turn the direction of the text around them (Unicode, general category Cf).
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What a page says without its tags: proxies before an authority answer in HTML.
pub(super) fn of_page(body: &[u8]) -> String {
    let page = String::from_utf8_lossy(&body[..body.len().min(PAGE)]);
    let mut text = String::new();
    let mut rest = page.as_ref();
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        rest = tag.split_once('>').map_or("", |(_, behind)| behind);
    }
    text.push_str(rest);
    told(&text)
}

/// The first address in a text: pages that explain a limit, or lift a pause.
pub(super) fn address(text: &str) -> Option<String> {
    let from = &text[text.find("https://")?..];
    let end = from.find(|letter: char| !letter.is_ascii_graphic() || "\"'<>".contains(letter)).unwrap_or(from.len());
    let address = from[..end].trim_end_matches(['.', ',', ';', ':', ')', ']']);
    (address.len() <= LONGEST_ADDRESS).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_becomes_one_line_that_no_terminal_obeys() {
        assert_eq!(told(" no\r\n\tvalid \x1b[31m A\u{202e} records\0 "), "no valid [31m A records");
        assert_eq!(told("A \u{202e}\u{200b} records"), "A records", "what cannot be seen leaves no second blank");
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let cut = told(&"ü".repeat(10_000));
        assert_eq!((cut.chars().count(), cut.ends_with("ü…")), (301, true));
    }

    #[test]
    fn a_page_is_told_without_its_tags() {
        let page = b"<html><head><title>503 Slow</title></head>\r\n<body>\xff<h1 class='a'>Down</h1></body";
        assert_eq!(of_page(page), "503 Slow \u{fffd} Down");
        assert_eq!(of_page(b""), "");
    }

    #[test]
    fn the_address_in_a_text_is_found_without_what_stands_around_it() {
        let text = "retry after 1970-01-01 00:18:15 UTC: see https://a.test/docs/rate-limits/#x. Thanks";
        assert_eq!(address(text).as_deref(), Some("https://a.test/docs/rate-limits/#x"));
        assert_eq!(address("(see \"https://a.test/p?jwt=a.b\")").as_deref(), Some("https://a.test/p?jwt=a.b"));
        assert_eq!(address("see http://a.test"), None);
        assert_eq!(address(&format!("https://a.test/{}", "x".repeat(3000))), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_bounded_and_in_one_line(text in "(?s).{0,600}", body in prop::collection::vec(any::<u8>(), 0..600)) {
            for told in [told(&text), of_page(&body)] {
                prop_assert!(told.chars().count() <= LONGEST + 1 && !told.chars().any(char::is_control));
            }
            let _ = address(&text);
        }
    }
}
