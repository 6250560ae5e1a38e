//! Writes a file so that a reader sees the old content or the new one, never a part of either.
//! Every file that convae writes goes through here; what the bytes mean is the caller's affair.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The name of a sibling: this, so many random letters and digits, and that.
const PREFIX: &str = ".";
const RANDOM: usize = 6;
const SUFFIX: &str = ".part";

/// Writes `path` through a hidden sibling (`.??????.part`), which takes its place only once `fill`
/// has succeeded and the bytes are on disk; on any failure the sibling is removed and a file that
/// was at `path` before is untouched. Only a process killed half-way leaves the sibling behind.
///
/// The file gets the permissions that the umask gives to any new file. A symbolic link at `path`
/// stays one: the file that it points to is replaced.
///
/// # Errors
/// Whatever `fill` returns; a folder that is missing, full or read-only; and a `path` that is
/// there but no regular file, since a rename over a directory fails and one over `/dev/null`
/// would be worse.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    put(path, fill, true)
}

/// The same for one of thousands of files, which would wait for the disk most of their time: the
/// system is left to bring the bytes there. What a reader sees, and what a killed process leaves, is
/// as with [`write()`]; but a machine that loses its power may later find the file without a byte.
///
/// # Errors
/// As [`write()`].
pub fn write_one_of_many(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, |file| file.write_all(bytes), false)
}

fn put(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    wait_for_disk: bool,
) -> io::Result<()> {
    let target = resolve(path)?;
    let folder = folder_of(&target);
    let part = create_part(folder)?;
    let mut writer = BufWriter::new(part.as_file());
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    if wait_for_disk {
        part.as_file().sync_all()?;
    }
    part.persist(&target).map_err(|failure| failure.error)?;
    if wait_for_disk { sync_folder(folder) } else { Ok(()) }
}

/// A file that is written bit by bit and takes its place at the end, as [`write_one_of_many`] does with one that
/// is there at once; dropped before, it is removed.
#[derive(Debug)]
pub struct Part {
    part: NamedTempFile,
    target: PathBuf,
}

impl Part {
    /// An empty sibling of `path`.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn beside(path: &Path) -> io::Result<Self> {
        let target = resolve(path)?;
        Ok(Self { part: create_part(folder_of(&target))?, target })
    }

    /// To write to.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn file(&self) -> io::Result<File> {
        self.part.as_file().try_clone()
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn persist(self) -> io::Result<()> {
        self.part.persist(&self.target).map_err(|failure| failure.error)?;
        Ok(())
    }
}

/// Makes a folder, and those above it that are missing, so that they outlast a power cut.
///
/// # Errors
/// When the system refuses.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder_of(path);
    make_folder(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }?;
    sync_folder(above)
}

/// Removes the siblings that killed processes have left in a folder. Only for one that no other process
/// writes to.
///
/// # Errors
/// When the folder cannot be read, or one of them not be removed.
pub fn remove_parts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_part) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether [`create_part`] gives such names.
fn is_part(name: &str) -> bool {
    let middle = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    middle.is_some_and(|middle| {
        middle.len() == RANDOM && middle.chars().all(|letter| letter.is_ascii_alphanumeric())
    })
}

/// The file that a write to `path` reaches: a link's target, or `path` itself when nothing is there.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(target) if target.is_file() => Ok(target),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path is taken by something that is not a regular file",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_path_buf()),
        Err(error) => Err(error),
    }
}

/// The folder of `path`; a bare file name lies in the current one, for which `parent` is empty.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Creates the sibling, in the same folder because a rename cannot cross file systems.
fn create_part(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX).rand_bytes(RANDOM);
    // tempfile's default of 0600 would make results unreadable to colleagues; the mode goes through
    // `open`, so the umask still applies.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes the rename itself durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network and FUSE file systems cannot sync a folder; the file itself is complete.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Other systems offer no way to sync a folder.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_old_content_with_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        for text in ["first, longer text", "second"] {
            write(&path, |file| file.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names_in(folder.path()), ["history.csv"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        fs::write(&path, "old").unwrap();
        let full = write(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names_in(folder.path()), ["history.csv"]);
    }

    #[test]
    fn one_of_many_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for bytes in [&b"first, longer"[..], b"second"] {
            write_one_of_many(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert!(write_one_of_many(&folder.path().join("missing/a.png"), b"x").is_err());
        assert_eq!(names_in(folder.path()), ["a.png"]);
    }

    #[test]
    fn folders_are_made_all_the_way_and_a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        for _ in 0..2 {
            make_folder(&deep).unwrap();
            assert!(deep.is_dir());
        }
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(make_folder(&folder.path().join("file")).is_err());
        assert!(make_folder(&folder.path().join("file/under")).is_err());
    }

    #[test]
    fn what_a_killed_process_leaves_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let part = create_part(folder.path()).unwrap();
        let (_, left) = part.keep().unwrap();
        let others = ["a.part", ".a.part", ".abc-ef.part", ".abcdef.pt", "abcdef.part"];
        for other in others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        fs::create_dir(folder.path().join(".abcdef.part")).unwrap();
        remove_parts(folder.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(names_in(folder.path()).len(), others.len() + 1);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/history.csv");
        let error = write(&path, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert!(names_in(folder.path()).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn a_device_is_never_replaced() {
        use std::os::unix::fs::FileTypeExt;
        assert!(write(Path::new("/dev/null"), |_| Ok(())).is_err());
        let kind = fs::metadata("/dev/null").unwrap().file_type();
        assert!(kind.is_char_device());
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        write(&link, |writer| writer.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    #[cfg(unix)]
    fn the_permissions_are_those_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write(&ours, |_| Ok(())).unwrap();
        File::create(&plain).unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(ours), mode(plain));
    }

    #[test]
    fn a_bare_file_name_lies_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("x.pt")), Path::new("."));
        assert_eq!(folder_of(Path::new("runs/x.pt")), Path::new("runs"));
    }
}
