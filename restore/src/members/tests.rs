//! Foreign bytes, well formed and not.

mod fuzz;

use std::io::Read;

use proptest::prelude::*;
use shipshape_core::archive::entry::{Bytes, Entry, Kind, Time};
use shipshape_core::archive::tarball::{Extents, TarWriter};

use super::*;
use crate::testing::{entry, tar_of};

fn reader(bytes: &[u8]) -> Members<&[u8]> {
    Members::new(bytes, "x.tar", Origin::File)
}

fn first(bytes: &[u8]) -> Result<Option<Entry>, MemberError> {
    Ok(reader(bytes).next_member()?.map(|member| member.entry))
}

/// A member of another tool, with these PAX records.
fn with_pax(records: &[(&str, &[u8])], size: u64) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions(records.iter().copied()).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    header.set_size(size);
    header.set_cksum();
    builder.append(&header, &vec![b'x'; usize::try_from(size).unwrap()][..]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn records_win_over_the_header_and_attributes_may_hold_any_byte() {
    let records: [(&str, &[u8]); 6] = [
        ("path", b"a/longer/path"),
        ("mtime", b"7.25"),
        ("uid", b"4000000"),
        ("SCHILY.xattr.user.a", b"1\n11 path=/etc\n\xff\0"),
        ("SCHILY.xattr.system.posix_acl_access", b"\x02\0\0\0\n"),
        ("comment", b"whatever"),
    ];
    let found = first(&with_pax(&records, 5)).unwrap().unwrap();
    assert_eq!((found.path.shown().as_str(), found.uid, found.gid, found.size), ("a/longer/path", 4_000_000, 2, 5));
    assert_eq!(found.mtime, Time(7, 250_000_000));
    assert_eq!(found.xattrs[0], (Bytes(b"user.a".to_vec()), Bytes(b"1\n11 path=/etc\n\xff\0".to_vec())));
    assert_eq!(found.xattrs.len(), 2);
}

#[test]
fn a_sparse_file_in_a_form_that_is_not_read_is_refused_rather_than_mangled() {
    let refused = first(&with_pax(&[("GNU.sparse.major", b"1")], 5)).unwrap_err();
    assert!(matches!(refused.fault, Fault::Unsupported { .. }), "{refused}");
}

#[test]
fn paths_come_as_an_index_has_them_and_bad_ones_stay_bad() {
    let path = |text: &str| first(&tar_of(&[(entry(text, Kind::File), b"")])).unwrap().unwrap().path.shown();
    assert_eq!(["./a/b", "a//b", "./", "a/../b", "/a/", ".."].map(path), ["a/b", "a/b", ".", "a/../b", "/a/", ".."]);
}

#[test]
fn holes_are_zeros_again_and_a_file_is_found_by_where_it_begins() {
    let extents = Extents::new(&[(1024, 512), (8192, 512)], 10_000);
    let holes = Entry { size: 10_000, sparse: true, ..entry("holes", Kind::File) };
    let mut tar = TarWriter::new(Vec::new());
    tar.begin_file(&Entry { size: 3, ..entry("before", Kind::File) }, None).unwrap();
    tar.data(b"abc").unwrap();
    tar.end_file().unwrap();
    let offset = tar.begin_file(&holes, Some(&extents)).unwrap();
    tar.data(&[1; 512]).unwrap();
    tar.data(&[2; 512]).unwrap();
    tar.end_file().unwrap();
    let bytes = tar.finish().unwrap();
    let mut expected = vec![0; 10_000];
    expected[1024..1536].fill(1);
    expected[8192..8704].fill(2);
    let mut members = reader(&bytes);
    let mut content = Vec::new();
    members.file_at(offset).unwrap().read_to_end(&mut content).unwrap();
    assert!(content == expected);
    assert!(members.file_at(0).is_err(), "what was passed is gone");
    assert!(reader(&bytes).file_at(512).is_err(), "no file begins there");
    members.finish().unwrap();
}

/// Reads all that can be read; the number of bytes is bounded by what the sizes in it say.
fn read_all(bytes: &[u8]) -> Result<u64, MemberError> {
    let mut members = reader(bytes);
    let mut read = 0;
    while let Some(member) = members.next_member()? {
        let mut content = members.content(member);
        // A sparse file may pretend to be as large as it likes.
        read += std::io::copy(&mut (&mut content).take(1 << 20), &mut std::io::sink()).unwrap_or_default();
    }
    members.finish()?;
    Ok(read)
}

proptest! {
    #[test]
    fn altered_and_cut_archives_never_panic(
        seed in proptest::collection::vec((0usize..6000, any::<u8>()), 0..12),
        cut in 0usize..8000,
        long in 0usize..300,
    ) {
        let name = "n".repeat(long + 1);
        let link = Entry { link: Some(Bytes(vec![b'l'; long])), ..entry("link", Kind::Symlink) };
        let xattrs = vec![(Bytes(b"user.x".to_vec()), Bytes(vec![10; long]))];
        let holes = Entry { size: 9000, ..entry("holes", Kind::File) };
        let mut tar = TarWriter::new(Vec::new());
        tar.begin_file(&Entry { xattrs, size: 700, ..entry(&name, Kind::File) }, None).unwrap();
        tar.data(&[7; 700]).unwrap();
        tar.end_file().unwrap();
        tar.append_empty(&link).unwrap();
        tar.begin_file(&holes, Some(&Extents::new(&[(512, 512), (4096, 512)], 9000))).unwrap();
        tar.data(&[1; 1024]).unwrap();
        let mut bytes = tar.finish().unwrap();
        prop_assert_eq!(read_all(&bytes).unwrap(), 9700);
        prop_assert!(read_all(&bytes[..0]).is_err());
        for (at, byte) in seed {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(cut);
        let _ = read_all(&bytes);
    }
}
