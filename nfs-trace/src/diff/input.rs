//! A recording as it is named: a file, stdin, or what its rotated parts have in common.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{names::escape_path, recording::part_name};

/// The files to read, in their order: the file of this name, or if there is none the parts that
/// `record -o NAME --rotate` has left of it.
///
/// # Errors
/// If there is neither.
pub(super) fn files(name: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let found = match fs::metadata(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        // What else is wrong with it will be said when it is opened.
        _ => return Ok(vec![name.to_owned()]),
    };
    if name.as_os_str() == "-" {
        return Ok(vec![name.to_owned()]);
    }
    let parts = parts(name).unwrap_or_default();
    if parts.is_empty() {
        found.with_context(|| format!("failed to open `{}`", escape_path(name)))?;
    }
    Ok(parts)
}

fn parts(name: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match name.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let part = Path::new(&file).extension().and_then(|end| end.to_str());
        let Some(part) = part.and_then(|end| end.parse::<u32>().ok()) else {
            continue;
        };
        // As `record` writes it, and nothing else that ends in a number.
        let path = part_name(name, part);
        if path.file_name() == Some(&file) {
            parts.push((part, path));
        }
    }
    parts.sort_unstable();
    Ok(parts.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_rotated_recording_are_found_in_their_order() {
        let folder = std::env::temp_dir().join(format!("nfs-trace-parts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let name = folder.join("opens");
        for file in [
            "opens.000010",
            "opens.000009",
            "opens.1000000",
            "opens.7",
            "opens.txt",
            "other.000011",
        ] {
            fs::write(folder.join(file), "").unwrap();
        }
        let parts = files(&name).unwrap();
        assert_eq!(parts, [9, 10, 1_000_000].map(|part| part_name(&name, part)));
        // A file of that very name comes first.
        fs::write(&name, "").unwrap();
        assert_eq!(files(&name).unwrap(), std::slice::from_ref(&name));
        let missing = files(&folder.join("nothing")).unwrap_err().to_string();
        assert!(missing.contains("nothing"), "{missing}");
        assert_eq!(files(Path::new("-")).unwrap(), [Path::new("-")]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
