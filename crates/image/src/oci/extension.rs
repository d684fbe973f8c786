//! Headers that speak of the entry behind them: pax(1)'s, and GNU tar's for long names.
//!
//! The `tar` crate reads them too, but all of one into memory however long it is, and cuts
//! binary values in two at every newline. So its raw entries are taken, and these are read
//! here.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use tar::EntryType;

/// The longest header that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// How an extended attribute is called in a pax header.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// An extended attribute: its name and its value.
pub(crate) type Attribute = (Vec<u8>, Vec<u8>);

/// What was said of an entry beforehand.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub path: Option<PathBuf>,
    pub link: Option<PathBuf>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub size: Option<u64>,
    pub attributes: Vec<Attribute>,
}

impl Extension {
    /// Takes in a header; `false` if it is none, but an entry.
    pub fn take(&mut self, kind: EntryType, header: &mut impl Read) -> io::Result<bool> {
        match kind {
            EntryType::GNULongName => self.path = Some(long_name(header)?),
            EntryType::GNULongLink => self.link = Some(long_name(header)?),
            EntryType::XHeader => self.records(&bounded(header)?)?,
            // Of the whole archive: nothing that a layer needs.
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Records as pax has them: `LENGTH KEY=VALUE\n`, where the length is that of all of it.
    fn records(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let (record, after) = split(rest).ok_or_else(malformed)?;
            let equals = record.iter().position(|b| *b == b'=');
            let (key, value) = record.split_at(equals.ok_or_else(malformed)?);
            self.record(key, &value[1..])?;
            rest = after;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let path = || PathBuf::from(OsString::from_vec(value.to_vec()));
        match key {
            b"path" => self.path = Some(path()),
            b"linkpath" => self.link = Some(path()),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"size" => self.size = Some(number(value)?),
            key => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// The first record without its length and end, and what follows it.
fn split(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = rest.iter().position(|b| *b == b' ')?;
    let length = usize::try_from(number(&rest[..space]).ok()?).ok()?;
    let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &rest[length..]))
}

fn number(digits: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(digits).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(malformed)
}

fn long_name(header: &mut impl Read) -> io::Result<PathBuf> {
    let mut name = bounded(header)?;
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(OsString::from_vec(name).into())
}

fn bounded(header: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    header.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(io::Error::other("what is said of a file is too long")),
        false => Ok(bytes),
    }
}

fn malformed() -> io::Error {
    io::Error::other("what is said of a file makes no sense")
}
