//! Words as logrotate quotes them: `'`, `"` and `\`, as in a shell.

/// The words before the first brace that opens, and what stands behind it; none if there is no brace.
pub(super) fn words(line: &str) -> (Vec<String>, Option<&str>) {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                word.get_or_insert_default().extend(letters.next().map(|(_, letter)| letter));
            }
            (None, '{') => {
                words.extend(word);
                return (words, line.get(at + 1..));
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (words, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_spaces_that_are_not_quoted() {
        assert_eq!(words("/a '/b c' \"/d e\"").0, ["/a", "/b c", "/d e"]);
        assert_eq!(words(r"/a\ b/'x'y").0, ["/a b/xy"]);
        assert_eq!(words("").0, Vec::<String>::new());
    }

    #[test]
    fn a_brace_ends_them_unless_it_is_quoted() {
        assert_eq!(words("/a{ rotate 5 }"), (vec!["/a".to_owned()], Some(" rotate 5 }")));
        assert_eq!(words("'/a{'"), (vec!["/a{".to_owned()], None));
        assert_eq!(words("{"), (vec![], Some("")));
    }
}
