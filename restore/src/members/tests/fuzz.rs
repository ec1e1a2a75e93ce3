//! Fuzz target of archives that somebody brings.

use shipshape_fuzzing::fuzz;

use super::*;

/// Gives a few bytes at a time, as a pipe does.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.1.min(buffer.len());
        self.0.read(&mut buffer[..size])
    }
}

/// The members with the beginning of each one's content, and how it ended.
fn told(from: impl Read) -> (Vec<(Entry, Vec<u8>)>, Option<String>) {
    let mut members = Members::new(from, "x.tar", Origin::File);
    let mut all = Vec::new();
    loop {
        match members.next_member() {
            Ok(Some(member)) => {
                let entry = member.entry.clone();
                let mut content = Vec::new();
                // A file with holes may say that it is as large as it likes.
                let _ = members.content(member).take(1 << 16).read_to_end(&mut content);
                all.push((entry, content));
            }
            Ok(None) => return (all, members.finish().err().map(|fault| fault.to_string())),
            Err(fault) => return (all, Some(fault.to_string())),
        }
    }
}

#[test]
fn the_pieces_in_which_an_archive_comes_change_nothing() {
    let holes = Entry { size: 9000, sparse: true, ..entry("holes", Kind::File) };
    let link = Entry { link: Some(Bytes(b"../x".to_vec())), ..entry("link", Kind::Symlink) };
    let mut tar = TarWriter::new(vec![7]);
    tar.begin_file(&Entry { size: 3, ..entry(&"n".repeat(120), Kind::File) }, None).unwrap();
    tar.data(b"abc").unwrap();
    tar.end_file().unwrap();
    tar.append_empty(&link).unwrap();
    tar.begin_file(&holes, Some(&Extents::new(&[(512, 512), (4096, 512)], 9000))).unwrap();
    tar.data(&[1; 1024]).unwrap();
    let ours = tar.finish().unwrap();
    let foreign =
        [&[9], &with_pax(&[("path", b"a/b"), ("mtime", b"-7.25"), ("SCHILY.xattr.user.a", b"\n\xff")], 5)[..]].concat();
    fuzz(&[&ours, &foreign], |bytes| {
        let Some((size, bytes)) = bytes.split_first() else { return };
        // Most alterations break the sum of a header, behind which nothing would be tried any more.
        let mut archive = bytes.to_vec();
        for block in archive
            .chunks_exact_mut(BLOCK_SIZE)
            .filter(|block| block[148..156] == *b"checksum" || block[257..262] == *b"ustar")
        {
            mend(block);
        }
        let whole = told(&archive[..]);
        assert_eq!(told(Drip(&archive, usize::from(*size).max(1))), whole);
        for (entry, content) in &whole.0 {
            assert!(entry.kind != Kind::File || content.len() as u64 <= entry.size);
        }
    });
}

/// Puts the sum into a header that it should have.
fn mend(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
