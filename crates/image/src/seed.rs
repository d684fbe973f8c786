//! Small read-only disks with a few files: an ISO 9660 file system (ECMA-119), which every
//! guest reads and cloud-init takes its NoCloud data from.
//!
//! ```text
//! sector 16  primary volume descriptor      19  path table, big-endian
//!        17  end of the descriptors         20  the one folder
//!        18  path table, little-endian      21… the files, each from a sector of its own
//! ```

use std::io;

/// Bytes of a sector, which is a logical block here.
const SECTOR: usize = 2048;

/// Where things are, in sectors.
const VOLUME: usize = 16;
const END: usize = 17;
const TABLE_LITTLE: usize = 18;
const TABLE_BIG: usize = 19;
const FOLDER: usize = 20;
const FILES: usize = 21;

/// The most bytes of a name. With its version and the record around it, some thirty such
/// files fit into the folder's one sector.
const MAX_NAME: usize = 30;

/// Makes a disk of some files in one folder. Names are shown by Linux in small letters,
/// whatever they are here.
///
/// # Errors
/// A name is longer than 30 bytes or has a dot or slash, or the files are too many or too
/// large.
pub fn disk(label: &str, files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let mut folder = vec![record(FOLDER, SECTOR, true, &[0])?];
    folder.push(record(FOLDER, SECTOR, true, &[1])?);
    let mut content = Vec::new();
    for (name, bytes) in files {
        if name.is_empty() || name.len() > MAX_NAME || name.contains(['.', '/', ';']) {
            return Err(wrong(&format!(
                "`{name}` cannot name a file on a small disk"
            )));
        }
        let at = FILES + content.len() / SECTOR;
        // A file without a dot in its name has one at the end, and a version.
        let name = format!("{}.;1", name.to_ascii_uppercase());
        folder.push(record(at, bytes.len(), false, name.as_bytes())?);
        content.extend_from_slice(bytes);
        content.resize(content.len().next_multiple_of(SECTOR), 0);
    }
    let folder = folder.concat();
    if folder.len() > SECTOR {
        return Err(wrong("there are too many files for a small disk"));
    }
    let mut disk = vec![0; FILES * SECTOR];
    let mut put = |sector: usize, bytes: &[u8]| {
        disk[sector * SECTOR..][..bytes.len()].copy_from_slice(bytes);
    };
    put(VOLUME, &volume(label, FILES + content.len() / SECTOR)?);
    put(END, b"\xffCD001\x01");
    put(
        TABLE_LITTLE,
        &path_table(u32::to_le_bytes, u16::to_le_bytes),
    );
    put(TABLE_BIG, &path_table(u32::to_be_bytes, u16::to_be_bytes));
    put(FOLDER, &folder);
    disk.extend(content);
    Ok(disk)
}

/// The primary volume descriptor (8.4 of the standard).
fn volume(label: &str, sectors: usize) -> io::Result<Vec<u8>> {
    let mut volume = vec![0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| volume[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x01CD001\x01");
    for text in [8..72, 190..813] {
        put(text.start, &vec![b' '; text.len()]);
    }
    put(40, label.as_bytes().get(..32).unwrap_or(label.as_bytes()));
    put(80, &both_words(sectors)?);
    put(120, &both_halves(1)?);
    put(124, &both_halves(1)?);
    put(128, &both_halves(SECTOR)?);
    put(
        132,
        &both_words(path_table(u32::to_le_bytes, u16::to_le_bytes).len())?,
    );
    put(140, &word(TABLE_LITTLE)?.to_le_bytes());
    put(148, &word(TABLE_BIG)?.to_be_bytes());
    put(156, &record(FOLDER, SECTOR, true, &[0])?);
    // Four moments that are not told: digits, and an offset from Greenwich of nothing.
    for moment in [813, 830, 847, 864] {
        put(moment, b"0000000000000000\0");
    }
    put(881, &[1]);
    Ok(volume)
}

/// The one folder, which is its own parent (9.4).
fn path_table(word: fn(u32) -> [u8; 4], half: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mut table = vec![1, 0];
    table.extend(word(FOLDER as u32));
    table.extend(half(1));
    table.extend([0, 0]);
    table
}

/// An entry of a folder (9.1).
fn record(sector: usize, bytes: usize, is_folder: bool, name: &[u8]) -> io::Result<Vec<u8>> {
    let mut record = vec![0, 0];
    record.extend(both_words(sector)?);
    record.extend(both_words(bytes)?);
    // 1970-01-01 00:00:00, at Greenwich.
    record.extend([70, 1, 1, 0, 0, 0, 0]);
    record.extend([u8::from(is_folder) << 1, 0, 0]);
    record.extend(both_halves(1)?);
    record.push(name.len() as u8);
    record.extend(name);
    record.resize(record.len().next_multiple_of(2), 0);
    record[0] = record.len() as u8;
    Ok(record)
}

/// A number as it is written in both orders of bytes.
fn both_words(number: usize) -> io::Result<[u8; 8]> {
    let mut both = [0; 8];
    both[..4].copy_from_slice(&word(number)?.to_le_bytes());
    both[4..].copy_from_slice(&word(number)?.to_be_bytes());
    Ok(both)
}

fn both_halves(number: usize) -> io::Result<[u8; 4]> {
    let half = u16::try_from(number).map_err(io::Error::other)?;
    let mut both = [0; 4];
    both[..2].copy_from_slice(&half.to_le_bytes());
    both[2..].copy_from_slice(&half.to_be_bytes());
    Ok(both)
}

fn word(number: usize) -> io::Result<u32> {
    u32::try_from(number).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_where_the_folder_says() {
        let long = vec![b'x'; SECTOR + 1];
        let files: [(&str, &[u8]); 3] = [("user-data", &long), ("empty", b""), ("meta-data", b"m")];
        let disk = disk("cidata", &files).unwrap();
        assert_eq!(disk.len() % SECTOR, 0);
        assert_eq!(&disk[VOLUME * SECTOR + 40..][..8], b"cidata  ");
        let mut at = FOLDER * SECTOR;
        let mut found = Vec::new();
        while disk[at] != 0 {
            let number = |from: usize| {
                u32::from_le_bytes(disk[at + from..][..4].try_into().unwrap()) as usize
            };
            let name = &disk[at + 33..][..disk[at + 32].into()];
            let content = &disk[number(2) * SECTOR..][..number(10)];
            found.push((String::from_utf8_lossy(name).into_owned(), content.len()));
            at += usize::from(disk[at]);
        }
        let names = ["\0", "\u{1}", "USER-DATA.;1", "EMPTY.;1", "META-DATA.;1"];
        let sizes = [SECTOR, SECTOR, SECTOR + 1, 0, 1];
        assert!(found.iter().map(|(name, _)| name.as_str()).eq(names));
        assert!(found.iter().map(|(_, size)| *size).eq(sizes));
        assert_eq!(disk.last_chunk::<2048>().unwrap()[0], b'm');
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(disk("x", &[("a.b", b"")]).is_err());
        assert!(disk("x", &[(&"a".repeat(31), b"")]).is_err());
        let names: Vec<_> = (0..60)
            .map(|n| format!("file-{n}-with-a-long-name"))
            .collect();
        let files: Vec<_> = names.iter().map(|n| (n.as_str(), &b""[..])).collect();
        assert!(disk("x", &files).is_err());
    }
}
