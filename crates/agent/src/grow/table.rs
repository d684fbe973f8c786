//! Tables of partitions, of both kinds: GPT (UEFI specification 2.10, chapter 5) and
//! MBR, of which only the four entries in the first sector can be changed.

use gptman::GPT;
use nestlab_sys::block::Extent;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// What sectors the tables count in; those of our disks.
const SECTOR: u64 = 512;

/// Where the entries of an MBR begin, how long each is, and how many there are.
const ENTRIES: u64 = 446;
const ENTRY: u64 = 16;
const PRIMARY: u32 = 4;

/// Within an entry of an MBR: its type, its first sector, its sectors.
const TYPE: usize = 4;
const FIRST: usize = 8;
const SECTORS: usize = 12;

/// The type of the entry that stands before a GPT, for those who know no such.
const PROTECTIVE: u8 = 0xee;

/// Has the table of a disk say that its last partition reaches to the end, and returns
/// its length in bytes then. Copies of the table move to the end of the disk.
///
/// # Errors
/// The table is of no kind known here, or does not know that partition.
pub(super) fn lengthen(disk: &mut (impl Read + Write + Seek), last: Extent) -> io::Result<u64> {
    let mut signature = [0; 8];
    disk.seek(SeekFrom::Start(SECTOR))?;
    disk.read_exact(&mut signature)?;
    match &signature == b"EFI PART" {
        true => lengthen_gpt(disk, last),
        false => lengthen_mbr(disk, last),
    }
}

fn lengthen_gpt(disk: &mut (impl Read + Write + Seek), last: Extent) -> io::Result<u64> {
    let damaged = |error: gptman::Error| io::Error::other(format!("its GPT: {error}"));
    disk.seek(SeekFrom::Start(0))?;
    let mut gpt = GPT::read_from(disk, SECTOR).map_err(damaged)?;
    check(gpt[last.number].starting_lba, last)?;
    gpt.header.update_from(disk, SECTOR).map_err(damaged)?;
    let end = gpt.header.last_usable_lba;
    gpt[last.number].ending_lba = end;
    gpt.write_into(disk).map_err(damaged)?;
    protect_all(disk)?;
    Ok((end + 1) * SECTOR - last.start)
}

/// Has the one entry of the MBR before a GPT cover the whole disk.
fn protect_all(disk: &mut (impl Read + Write + Seek)) -> io::Result<()> {
    let mut entry = read(disk, 1)?;
    if entry[TYPE] == PROTECTIVE {
        let sectors = disk.seek(SeekFrom::End(0))? / SECTOR - 1;
        put(&mut entry, SECTORS, sectors.min(u64::from(u32::MAX)));
        write(disk, 1, &entry)?;
    }
    Ok(())
}

fn lengthen_mbr(disk: &mut (impl Read + Write + Seek), last: Extent) -> io::Result<u64> {
    if last.number > PRIMARY {
        return Err(io::Error::other("the last partition is a logical one"));
    }
    let mut entry = read(disk, last.number)?;
    let first = u32::from_le_bytes([0, 1, 2, 3].map(|at| entry[FIRST + at]));
    check(u64::from(first), last)?;
    let sectors = disk.seek(SeekFrom::End(0))? / SECTOR - u64::from(first);
    // Beyond 2 TiB an MBR cannot count.
    let sectors = sectors.min(u64::from(u32::MAX));
    put(&mut entry, SECTORS, sectors);
    write(disk, last.number, &entry)?;
    Ok(sectors * SECTOR)
}

/// The table must mean the same partition as the kernel does.
fn check(first_sector: u64, last: Extent) -> io::Result<()> {
    match first_sector * SECTOR == last.start {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "its table does not have partition {} where the kernel has it",
            last.number
        ))),
    }
}

fn read(disk: &mut (impl Read + Seek), number: u32) -> io::Result<[u8; ENTRY as usize]> {
    let mut entry = [0; ENTRY as usize];
    disk.seek(SeekFrom::Start(place(number)))?;
    disk.read_exact(&mut entry)?;
    Ok(entry)
}

fn write(disk: &mut (impl Write + Seek), number: u32, entry: &[u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(place(number)))?;
    disk.write_all(entry)
}

fn place(number: u32) -> u64 {
    ENTRIES + u64::from(number - 1) * ENTRY
}

fn put(entry: &mut [u8], at: usize, sectors: u64) {
    let sectors = sectors as u32;
    entry[at..at + 4].copy_from_slice(&sectors.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const MEBIBYTE: u64 = 1 << 20;

    fn second(length: u64) -> Extent {
        Extent {
            number: 2,
            start: 2 * MEBIBYTE,
            length,
        }
    }

    /// A disk of 8 MiB with partitions at 1 MiB and at 2 MiB, made 64 MiB long.
    fn grown(format: impl FnOnce(&mut Cursor<Vec<u8>>)) -> Cursor<Vec<u8>> {
        let mut disk = Cursor::new(vec![0; (8 * MEBIBYTE) as usize]);
        format(&mut disk);
        disk.get_mut().resize((64 * MEBIBYTE) as usize, 0);
        disk
    }

    fn gpt(disk: &mut Cursor<Vec<u8>>) {
        let mut gpt = GPT::new_from(disk, SECTOR, [7; 16]).unwrap();
        for (number, range) in [(1, 2048..=4095), (2, 4096..=8191)] {
            gpt[number] = gptman::GPTPartitionEntry {
                partition_type_guid: [9; 16],
                unique_partition_guid: [number as u8; 16],
                starting_lba: *range.start(),
                ending_lba: *range.end(),
                attribute_bits: 0,
                partition_name: "part".into(),
            };
        }
        gpt.write_into(disk).unwrap();
        GPT::write_protective_mbr_into(disk, SECTOR).unwrap();
    }

    fn mbr(disk: &mut Cursor<Vec<u8>>) {
        for (number, first, sectors) in [(1, 2048, 2048), (2, 4096, 4096)] {
            let mut entry = [0; ENTRY as usize];
            entry[TYPE] = 0x83;
            put(&mut entry, FIRST, first);
            put(&mut entry, SECTORS, sectors);
            write(disk, number, &entry).unwrap();
        }
    }

    #[test]
    fn a_gpt_moves_its_copy_and_keeps_everything_else() {
        let mut disk = grown(gpt);
        let length = lengthen(&mut disk, second(2 * MEBIBYTE)).unwrap();
        // The copy of the table takes 33 sectors at the end.
        assert_eq!(length, 62 * MEBIBYTE - 33 * SECTOR);
        disk.set_position(0);
        let table = GPT::read_from(&mut disk, SECTOR).unwrap();
        assert_eq!(table[1].ending_lba, 4095);
        assert_eq!(table[2].starting_lba, 4096);
        assert_eq!(table[2].unique_partition_guid, [2; 16]);
        assert_eq!((table[2].ending_lba + 1) * SECTOR, 2 * MEBIBYTE + length);
        assert_eq!(table.header.backup_lba, 64 * MEBIBYTE / SECTOR - 1);
        let covered = read(&mut disk, 1).unwrap();
        assert_eq!(covered[SECTORS..], 131_071_u32.to_le_bytes());
        // The copy alone is enough.
        disk.get_mut()[SECTOR as usize..2048].fill(0);
        disk.set_position(0);
        let copy = GPT::read_from(&mut disk, SECTOR).unwrap();
        assert_eq!(copy[2].ending_lba, table[2].ending_lba);
    }

    #[test]
    fn an_mbr_says_more_sectors() {
        let mut disk = grown(mbr);
        let length = lengthen(&mut disk, second(2 * MEBIBYTE)).unwrap();
        assert_eq!(length, 62 * MEBIBYTE);
        let first = read(&mut disk, 1).unwrap();
        assert_eq!(first[SECTORS..], 2048_u32.to_le_bytes());
        let second = read(&mut disk, 2).unwrap();
        assert_eq!(second[SECTORS..], 126_976_u32.to_le_bytes());
    }

    #[test]
    fn what_does_not_fit_is_left_as_it_is() {
        for format in [gpt, mbr] {
            let mut disk = grown(format);
            let before = disk.clone();
            let elsewhere = Extent {
                start: 3 * MEBIBYTE,
                ..second(0)
            };
            let refused = lengthen(&mut disk, elsewhere).unwrap_err().to_string();
            assert!(refused.contains("partition 2"), "{refused}");
            assert!(disk.get_ref() == before.get_ref());
        }
        let mut disk = grown(mbr);
        let logical = Extent {
            number: 5,
            ..second(0)
        };
        assert!(lengthen(&mut disk, logical).is_err());
    }
}
