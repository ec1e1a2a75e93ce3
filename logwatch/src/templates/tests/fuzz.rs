//! Fuzz target of masks.

use shipshape_fuzzing::fuzz;

use super::*;

#[test]
fn a_mask_is_short_and_masking_it_again_changes_nothing() {
    let seeds = crate::fuzz::corpora();
    fuzz(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>(), |bytes| {
        let Some(([high, low], record)) = bytes.split_first_chunk() else { return };
        let message = usize::from(u16::from_be_bytes([*high, *low]) % 64);
        let text = mask(record, message);
        assert!(text.len() <= 4 << 10 && !text.chars().any(char::is_control), "{text:?}");
        assert_eq!(shape(record, message), shape(record, message));
        let once = mask(text.as_bytes(), 0);
        assert_eq!(mask(once.as_bytes(), 0), once);
        let mut templates = Templates::default();
        let id = templates.assign(&text, None);
        assert!(id.is_none_or(|id| templates.get(id).is_some()));
    });
}
