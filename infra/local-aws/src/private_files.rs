//! Files that hold personal data or secrets: no other user of this machine may read them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
const FOR_ITS_OWNER: u32 = 0o600;
#[cfg(unix)]
const DIRECTORY_FOR_ITS_OWNER: u32 = 0o700;

/// Makes a directory for its owner alone. One that exists gets that mode too, if all names in it are ours. Any other,
/// such as a home directory, keeps its mode: the files that we put there are private by themselves.
pub fn make_directory(path: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            if !entry?.file_name().to_str().is_some_and(&is_ours) {
                return Ok(());
            }
        }
        #[cfg(unix)]
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(DIRECTORY_FOR_ITS_OWNER))?;
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIRECTORY_FOR_ITS_OWNER);
    builder.create(path)
}

/// Opens a file, or makes it if it is missing, and keeps its content. A link, which another user may have put there, is
/// replaced by a file: the link's target is neither written nor read.
pub fn open_file(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        fs::remove_file(path)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Another user may put a link there between the check and the opening: then it fails.
        options.mode(FOR_ITS_OWNER).custom_flags(libc::O_NOFOLLOW);
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(FOR_ITS_OWNER))?;
    Ok(file)
}

/// Writes a file; replaces any content.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open_file(path)?;
    file.set_len(0)?;
    io::Write::write_all(&mut file, content)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn ours(name: &str) -> bool {
        name == "lock"
    }

    #[test]
    fn a_directory_is_for_its_owner_alone_also_if_it_was_there_before() {
        let home = tempfile::tempdir().unwrap();
        let (made, found) = (home.path().join("a/made"), home.path().join("found"));
        make_directory(&made, ours).unwrap();
        fs::create_dir(&found).unwrap();
        set_mode(&found, 0o755);
        fs::write(found.join("lock"), "").unwrap();
        make_directory(&found, ours).unwrap();
        assert_eq!((mode(&made), mode(&found)), (0o700, 0o700));
    }

    #[test]
    fn a_directory_that_others_use_as_well_keeps_its_mode() {
        let home = tempfile::tempdir().unwrap();
        set_mode(home.path(), 0o755);
        fs::write(home.path().join("somebody's"), "").unwrap();
        make_directory(home.path(), ours).unwrap();
        assert_eq!(mode(home.path()), 0o755);
    }

    #[test]
    fn a_file_is_for_its_owner_alone_and_keeps_what_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let (made, found) = (home.path().join("made"), home.path().join("found"));
        fs::write(&found, "kept").unwrap();
        set_mode(&found, 0o644);
        open_file(&made).unwrap();
        open_file(&found).unwrap();
        assert_eq!((mode(&made), mode(&found)), (0o600, 0o600));
        assert_eq!(fs::read_to_string(&found).unwrap(), "kept");
        write_file(&found, b"new").unwrap();
        assert_eq!(fs::read_to_string(&found).unwrap(), "new");
    }

    #[test]
    fn what_a_link_names_is_neither_emptied_nor_opened() {
        let home = tempfile::tempdir().unwrap();
        let (victim, link) = (home.path().join("victim"), home.path().join("lock"));
        fs::write(&victim, "precious").unwrap();
        set_mode(&victim, 0o644);
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        write_file(&link, b"ours").unwrap();
        assert_eq!((fs::read_to_string(&victim).unwrap(), mode(&victim)), ("precious".to_owned(), 0o644));
        assert_eq!(fs::read_to_string(&link).unwrap(), "ours");
    }
}
