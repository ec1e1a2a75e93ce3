//! Fuzz target of what the kernel says of mounts.

use shipshape_fuzzing::fuzz;

use super::*;

#[test]
fn a_mount_point_reads_as_the_kernel_wrote_it() {
    fuzz(
        &[b"36 35 98:0 /mnt1 /srv/my\\040app rw master:1 - ext3 /dev/root rw\n", b"a b c d \\134\\1 \\777"],
        |bytes| {
            assert!(points(bytes).count() <= bytes.split(|byte| *byte == b'\n').count());
            let escaped: Vec<u8> = bytes
                .iter()
                .flat_map(|byte| match byte {
                    b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
                    other => vec![*other],
                })
                .collect();
            assert_eq!(unescaped(&escaped).into_os_string().into_vec(), bytes);
            let line = [b"36 35 98:0 / ", &escaped[..], b" rw - ext3 x rw\n"].concat();
            assert_eq!(points(&line).collect::<Vec<_>>(), [unescaped(&escaped)]);
            for theirs in mounts(bytes) {
                let own: Vec<Mount> = mounts(bytes).collect();
                assert!(seen(Path::new("/proc/7"), &theirs, &own, &[Path::new("/srv")]).len() <= own.len());
            }
        },
    );
}
