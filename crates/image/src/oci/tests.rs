//! Archives that mean ill, and some that do not. Around the root lies a folder that nobody
//! may touch: after every archive it is as it was.

use super::layer::{self, Limits};
use super::root::Root;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

const PLENTY: Limits = Limits {
    bytes: 1 << 20,
    entries: 1000,
};

/// A root, and beside it what must stay as it is.
struct Field {
    around: tempfile::TempDir,
}

impl Field {
    fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        fs::create_dir(around.path().join("root")).unwrap();
        fs::create_dir(around.path().join("outside")).unwrap();
        fs::write(around.path().join("outside/file"), "untouched").unwrap();
        Self { around }
    }

    fn root(&self) -> PathBuf {
        self.around.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.around.path().join("outside")
    }

    fn apply(&self, layer: &[u8]) -> io::Result<()> {
        layer::apply(
            layer,
            &Root::open(&self.root()).unwrap(),
            &mut PLENTY.clone(),
        )
    }

    fn attribute(&self, path: &str, name: &CStr) -> io::Result<Option<Vec<u8>>> {
        nestlab_sys::xattr::get(fs::File::open(self.root().join(path))?, name)
    }

    /// Whether nothing but the root has changed.
    fn is_safe(&self) -> bool {
        let names = |path: &Path| {
            let entries = fs::read_dir(path).unwrap().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        names(self.around.path()) == ["outside", "root"]
            && names(&self.outside()) == ["file"]
            && fs::read_to_string(self.outside().join("file")).unwrap() == "untouched"
            && fs::metadata(self.outside().join("file")).unwrap().nlink() == 1
            && !matches!(self.attribute("../outside/file", c"user.evil"), Ok(Some(_)))
    }
}

/// An archive under the pen. Names go in as they are, whatever tar's own code thinks of them.
struct Layer(Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, name: &str, says: &str, content: &str) -> Self {
        let mut header = Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..says.len()].copy_from_slice(says.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_uid(nix::unistd::geteuid().as_raw().into());
        header.set_gid(nix::unistd::getegid().as_raw().into());
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).unwrap();
        self
    }

    fn file(self, name: &str) -> Self {
        self.entry(EntryType::Regular, name, "", "evil")
    }

    fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", "")
    }

    fn link(self, name: &str, says: &str) -> Self {
        self.entry(EntryType::Symlink, name, says, "")
    }

    fn name_for(self, name: &str, other: &str) -> Self {
        self.entry(EntryType::Link, name, other, "")
    }

    /// Says something of the next entry, as pax does.
    fn said(self, key: &str, value: &[u8]) -> Self {
        let record = |length: usize| {
            let mut record = format!("{length} {key}=").into_bytes();
            record.extend_from_slice(value);
            record.push(b'\n');
            record
        };
        // The length counts its own digits.
        let length = (0..).find(|length| record(*length).len() == *length);
        self.extension(EntryType::XHeader, &record(length.unwrap()))
    }

    fn attribute(self, name: &str, value: &[u8]) -> Self {
        self.said(&format!("SCHILY.xattr.{name}"), value)
    }

    fn extension(mut self, kind: EntryType, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_path("extension").unwrap();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Ways out of a root, as archives have tried them.
fn ways_out(outside: &str) -> Vec<(String, Layer)> {
    let new = Layer::new;
    let mut ways = Vec::new();
    // By name.
    for name in [
        "../outside/file",
        "../../outside/file",
        "a/../../outside/file",
        "./../outside/file",
        "/../outside/file",
        "a/b/../../../outside/file",
        "..",
        "../",
        "a/..",
        "../outside/new",
    ] {
        ways.push((
            format!("file {name}"),
            new().folder("a").folder("a/b").file(name),
        ));
        ways.push((
            format!("folder {name}"),
            new().folder("a").folder("a/b").folder(name),
        ));
    }
    // Through a link to it, of every kind, in one step and in several.
    let absolute = outside.to_owned();
    let targets = [
        absolute.as_str(),
        "../outside",
        "./../outside",
        "x/../../outside",
        "/proc/self/root/tmp",
        "/proc/self/cwd",
    ];
    for target in targets {
        let through = |layer: Layer| layer.folder("x").link("l", target);
        ways.push((
            format!("file through {target}"),
            through(new()).file("l/file"),
        ));
        ways.push((
            format!("folder through {target}"),
            through(new()).folder("l/new"),
        ));
        ways.push((
            format!("link through {target}"),
            through(new()).link("l/new", "x"),
        ));
        ways.push((format!("link itself {target}"), through(new()).file("l")));
        ways.push((
            format!("name from {target}"),
            through(new()).name_for("n", "l/file").file("n"),
        ));
        ways.push((
            format!("whiteout through {target}"),
            through(new()).file("l/.wh.file"),
        ));
        ways.push((
            format!("opaque through {target}"),
            through(new()).file("l/.wh..wh..opq"),
        ));
        ways.push((
            format!("chain {target}"),
            new()
                .link("a", target)
                .link("b", "a")
                .link("c", "b/.")
                .file("c/file"),
        ));
        ways.push((
            format!("folder turned {target}"),
            new()
                .folder("d")
                .file("d/x")
                .link("d", target)
                .file("d/file"),
        ));
    }
    // By names that are said beforehand.
    for name in ["../outside/file", "/../outside/new", "a/../../outside/file"] {
        let said = |key, layer: Layer| layer.folder("a").said(key, name.as_bytes());
        ways.push((format!("said {name}"), said("path", new()).file("x")));
        ways.push((
            format!("said folder {name}"),
            said("path", new()).folder("x"),
        ));
        ways.push((
            format!("said other name {name}"),
            said("linkpath", new()).name_for("n", "x").file("n"),
        ));
        ways.push((
            format!("long {name}"),
            new()
                .extension(EntryType::GNULongName, format!("{name}\0").as_bytes())
                .file("x"),
        ));
    }
    ways.push((
        "attributes of a link".into(),
        new()
            .link("l", &format!("{absolute}/file"))
            .attribute("user.evil", b"1")
            .link("l", &format!("{absolute}/file"))
            .attribute("user.evil", b"1")
            .name_for("n", "l"),
    ));
    // Hard links and whiteouts.
    for other in [
        "../outside/file",
        "/../outside/file",
        &format!("{absolute}/file"),
    ] {
        ways.push((
            format!("name for {other}"),
            new().name_for("n", other).file("n"),
        ));
    }
    for hidden in [
        ".wh...",
        ".wh..",
        ".wh.",
        "a/.wh...",
        "../.wh.outside",
        "../outside/.wh.file",
        "../outside/.wh..wh..opq",
    ] {
        ways.push((format!("whiteout {hidden}"), new().folder("a").file(hidden)));
    }
    ways
}

#[test]
fn nothing_outside_is_touched() {
    let outside = Field::new();
    let ways = ways_out(&outside.outside().display().to_string());
    assert!(ways.len() >= 60, "{}", ways.len());
    for (number, (name, _)) in ways.iter().enumerate() {
        let field = Field::new();
        let outside = field.outside().display().to_string();
        let (_, layer) = ways_out(&outside).swap_remove(number);
        let _ = field.apply(&layer.bytes());
        assert!(field.is_safe(), "{name}");
    }
}

#[test]
fn links_of_a_layer_below_lead_nowhere_else_either() {
    for target in ["/", "/etc", "../outside", "/proc/self/root"] {
        let field = Field::new();
        symlink(target, field.root().join("l")).unwrap();
        let _ = field.apply(
            &Layer::new()
                .file("l/file")
                .folder("l/x")
                .file("l/x/y")
                .bytes(),
        );
        assert!(field.is_safe(), "{target}");
    }
}

#[test]
fn devices_are_left_out_and_rights_are_kept() {
    let field = Field::new();
    let devices = [EntryType::Char, EntryType::Block, EntryType::Fifo];
    let layer = devices.iter().fold(Layer::new(), |layer, kind| {
        layer.entry(*kind, "device", "", "")
    });
    field.apply(&layer.file("su").bytes()).unwrap();
    assert!(!field.root().join("device").exists());
    let mode = fs::metadata(field.root().join("su"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o4755);
}

#[test]
fn too_much_is_refused() {
    let field = Field::new();
    let root = Root::open(&field.root()).unwrap();
    let mut few = Limits {
        bytes: 6,
        entries: 1000,
    };
    let two = Layer::new().file("a").file("b").bytes();
    let error = layer::apply(two.as_slice(), &root, &mut few).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    let mut few = Limits {
        bytes: 1000,
        entries: 1,
    };
    assert!(layer::apply(two.as_slice(), &root, &mut few).is_err());
    let deep = format!("{}x", "d/".repeat(48));
    let deeper = Layer::new().file(&deep).bytes();
    field.apply(&deeper).unwrap();
    // A file that says that it is larger than the archive.
    let mut cut = Layer::new().file("a").bytes();
    cut.truncate(600);
    let _ = field.apply(&cut);
    assert!(field.is_safe());
}

#[test]
fn layers_lie_over_each_other() {
    let field = Field::new();
    let lower = Layer::new()
        .folder("usr")
        .folder("usr/bin")
        .file("usr/bin/old")
        .file("usr/bin/kept")
        .link("bin", "usr/bin")
        .folder("gone")
        .file("gone/x")
        .folder("opaque")
        .file("opaque/below");
    field.apply(&lower.bytes()).unwrap();
    let upper = Layer::new()
        .file("bin/new")
        .name_for("bin/again", "bin/new")
        .file("usr/bin/.wh.old")
        .file(".wh.gone")
        .folder("opaque")
        .file("opaque/mine")
        .file("opaque/.wh..wh..opq")
        .file("same")
        .file(".wh.same");
    field.apply(&upper.bytes()).unwrap();
    let is = |path: &str| field.root().join(path).symlink_metadata().is_ok();
    for there in [
        "bin/new",
        "usr/bin/new",
        "usr/bin/again",
        "usr/bin/kept",
        "opaque/mine",
        "same",
    ] {
        assert!(is(there), "{there}");
    }
    for gone in [
        "usr/bin/old",
        "gone",
        "opaque/below",
        "usr/bin/.wh.old",
        ".wh.gone",
        "opaque/.wh..wh..opq",
    ] {
        assert!(!is(gone), "{gone}");
    }
    assert!(
        field
            .root()
            .join("bin")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
}

/// Somebody changes a folder into a link and back while files are unpacked into it.
#[test]
fn a_swap_in_the_middle_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let field = Field::new();
    let (folder, link) = (field.root().join("d"), field.root().join("l"));
    fs::create_dir(&folder).unwrap();
    symlink(field.outside(), &link).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = nestlab_sys::dir::exchange(&folder, &link);
            }
        });
        for round in 0..300 {
            let layer = Layer::new()
                .file(&format!("d/{round}"))
                .file("d/file")
                .link("d/s", "x")
                .folder("d/f")
                .name_for("d/n", "d/file")
                .file("d/.wh.file");
            let _ = field.apply(&layer.bytes());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(field.is_safe());
}

#[test]
fn attributes_that_mean_no_harm_are_kept() {
    let field = Field::new();
    // Cuts in two what reads lines.
    let value = b"a\nb=c\0\xff";
    field
        .apply(
            &Layer::new()
                .attribute("user.mine", value)
                .file("file")
                .attribute("user.mine", value)
                .folder("folder")
                .bytes(),
        )
        .unwrap();
    match field.attribute("file", c"user.mine") {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            return eprintln!("skipped: temporary files have no attributes here");
        }
        kept => assert_eq!(kept.unwrap().as_deref(), Some(&value[..])),
    }
    let kept = field.attribute("folder", c"user.mine").unwrap();
    assert_eq!(kept.as_deref(), Some(&value[..]));

    // VFS_CAP_REVISION_2 with cap_net_raw, permitted and effective (capability.h).
    let mut capability = [0; 20];
    capability[..8].copy_from_slice(&[1, 0, 0, 2, 0, 0x20, 0, 0]);
    let capable = Layer::new()
        .attribute("security.capability", &capability)
        .file("ping");
    field.apply(&capable.bytes()).unwrap();
    let kept = field.attribute("ping", c"security.capability").unwrap();
    let expected = nestlab_sys::users::is_root().then_some(&capability[..]);
    assert_eq!(kept.as_deref(), expected);
}

#[test]
fn attributes_that_give_orders_are_left_out() {
    let field = Field::new();
    let orders = [
        c"user.overlay.redirect",
        c"user.overlay.opaque",
        c"trusted.overlay.redirect",
        c"trusted.mine",
        c"security.selinux",
        c"security.ima",
        c"security.capability.",
        c"system.posix_acl_access",
    ];
    for name in orders {
        let name_text = name.to_str().unwrap();
        let layer = Layer::new().attribute(name_text, b"/etc").file("file");
        field.apply(&layer.bytes()).unwrap();
        let kept = field.attribute("file", name);
        assert!(!matches!(kept, Ok(Some(_))), "{name_text}: {kept:?}");
    }
    // Of one that does not fit the rest still comes, and a file's attributes are its own.
    let large = vec![b'x'; 60_000];
    let layer = Layer::new()
        .attribute("user.large", &large)
        .file("large")
        .file("none");
    field.apply(&layer.bytes()).unwrap();
    for file in ["large", "none"] {
        let kept = field.attribute(file, c"user.large");
        assert!(!matches!(kept, Ok(Some(_))), "{file}");
    }
    assert_eq!(fs::read(field.root().join("large")).unwrap(), b"evil");
}

#[test]
fn what_is_said_of_files_is_bounded_and_makes_sense() {
    let huge = |kind| Layer::new().extension(kind, &vec![b'0'; (1 << 20) + 1]);
    let fails = |layer: Layer, words: &str| {
        let field = Field::new();
        let plenty = Limits {
            bytes: 1 << 30,
            entries: 1000,
        };
        let root = Root::open(&field.root()).unwrap();
        let layer = layer.file("file").bytes();
        let error = layer::apply(layer.as_slice(), &root, &mut plenty.clone()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(field.is_safe() && !field.root().join("file").exists());
    };
    fails(huge(EntryType::XHeader), "too long");
    fails(huge(EntryType::GNULongName), "too long");
    for nonsense in [
        "x",
        "0 path=a\n",
        "5 a=b\n",
        "999 path=a\n",
        "18446744073709551615 path=a\n",
        "-9 path=a\n",
        "7 path\n",
        "11 uid=-22\n",
    ] {
        let layer = Layer::new().extension(EntryType::XHeader, nonsense.as_bytes());
        fails(layer, "makes no sense");
    }
    // Whoever counts differently would take a file's bytes for entries.
    fails(Layer::new().said("size", b"0"), "8 GiB");
    // Everything counts, also what is never written.
    let field = Field::new();
    let layer = (0..20).fold(Layer::new(), |layer, _| {
        layer.said("comment", &[b'0'; 60_000])
    });
    let error = field.apply(&layer.bytes()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
}

#[test]
fn long_names_and_owners_are_those_that_are_said() {
    let long = format!("{}/{}", "a".repeat(90), "b".repeat(90));
    let field = Field::new();
    let layer = Layer::new()
        .said("path", long.as_bytes())
        .said("uid", nix::unistd::geteuid().to_string().as_bytes())
        .file("x")
        .extension(EntryType::XGlobalHeader, b"whatever")
        .extension(EntryType::GNULongLink, format!("{long}\0").as_bytes())
        .name_for("n", "x");
    field.apply(&layer.bytes()).unwrap();
    assert_eq!(fs::metadata(field.root().join("n")).unwrap().nlink(), 2);
    assert!(field.root().join(long).exists());
}

/// An archive of an OCI image layout with one layer.
struct Layout {
    members: Vec<(String, Vec<u8>)>,
}

type Pack = fn(&[u8]) -> Vec<u8>;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Two frames, with one between and before them that is to be skipped.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    let (one, two) = bytes.split_at(700);
    let pack = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
    [&skipped[..], &pack(one), skipped, &pack(two)].concat()
}

impl Layout {
    fn new(architecture: &str) -> Self {
        Self::packed(architecture, gzip)
    }

    fn packed(architecture: &str, pack: Pack) -> Self {
        let mut this = Self {
            members: Vec::new(),
        };
        let layer = this.blob(pack(&Layer::new().file("hello").bytes()));
        let manifest = format!(r#"{{"layers": [{{"digest": "{layer}"}}]}}"#);
        let manifest = this.blob(manifest.into_bytes());
        let platform =
            format!(r#""platform": {{"architecture": "{architecture}", "os": "linux"}}"#);
        let inner = format!(r#"{{"manifests": [{{"digest": "{manifest}", {platform}}}]}}"#);
        let inner = this.blob(inner.into_bytes());
        let index = format!(r#"{{"manifests": [{{"digest": "{inner}"}}]}}"#);
        this.members.push(("index.json".into(), index.into_bytes()));
        this
    }

    fn blob(&mut self, bytes: Vec<u8>) -> String {
        use sha2::Digest;
        let digest = nestlab_model::Digest(sha2::Sha256::digest(&bytes).into()).hex();
        self.members.push((format!("blobs/sha256/{digest}"), bytes));
        format!("sha256:{digest}")
    }

    fn write(&self, folder: &Path) {
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        for (name, bytes) in &self.members {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    /// The same from a folder of files.
    fn unpack_from_folder(&self) -> (io::Result<u64>, Field) {
        let (field, folder) = (Field::new(), tempfile::tempdir().unwrap());
        self.write(folder.path());
        (super::unpack(folder.path(), &field.root()), field)
    }

    /// Unpacks it and gives what came of that.
    fn unpack(&self) -> (io::Result<u64>, Field) {
        let field = Field::new();
        let archive = field.around.path().join("outside/image.tar");
        let mut builder = Builder::new(fs::File::create(&archive).unwrap());
        for (name, bytes) in &self.members {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder
                .append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        }
        builder.finish().unwrap();
        assert!(super::is_one(&archive));
        let unpacked = super::unpack(&archive, &field.root());
        fs::remove_file(archive).unwrap();
        (unpacked, field)
    }
}

const OWN: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else {
    "arm64"
};

#[test]
fn a_layout_is_read_through_its_indexes() {
    let packings: [Pack; 3] = [gzip, zstd, <[u8]>::to_vec];
    for pack in packings {
        let layout = Layout::packed(OWN, pack);
        for (unpacked, field) in [layout.unpack(), layout.unpack_from_folder()] {
            assert_eq!(unpacked.unwrap(), 4);
            let hello = fs::read_to_string(field.root().join("hello"));
            assert_eq!(hello.unwrap(), "evil");
        }
    }
    let (unpacked, _) = Layout::new("s390x").unpack();
    assert!(unpacked.unwrap_err().to_string().contains("no image for"));
}

/// What a link leads to might be anything of its owner's.
#[test]
fn links_in_the_folder_of_a_layout_are_not_followed() {
    let layout = Layout::new(OWN);
    let (layer, bytes) = &layout.members[0];
    let folder = tempfile::tempdir().unwrap();
    layout.write(folder.path());
    let target = folder.path().join("elsewhere");
    fs::write(&target, bytes).unwrap();
    fs::remove_file(folder.path().join(layer)).unwrap();
    symlink(&target, folder.path().join(layer)).unwrap();
    let field = Field::new();
    let error = super::unpack(folder.path(), &field.root()).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn what_is_damaged_or_missing_is_said() {
    let fails = |change: fn(&mut Layout), words: &str| {
        let mut layout = Layout::new(OWN);
        change(&mut layout);
        for (unpacked, field) in [layout.unpack(), layout.unpack_from_folder()] {
            let error = unpacked.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(field.is_safe());
        }
    };
    fails(
        |layout| *layout.members[0].1.last_mut().unwrap() ^= 1,
        "is damaged",
    );
    fails(|layout| layout.members[1].1.push(b' '), "is damaged");
    fails(|layout| drop(layout.members.remove(0)), "is missing");
    fails(
        |layout| drop(layout.members.pop()),
        "no image of containers",
    );
    fails(
        |layout| layout.members.last_mut().unwrap().1 = b"{}".to_vec(),
        "index.json",
    );
}
