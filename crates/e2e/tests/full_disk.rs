//! The disk of this machine is full: while a guest writes, while its memory is saved,
//! while an image builds.

use nestlab_e2e::{World, skip};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const ONE: &str = "name: one
nodes:
  a:
    image: debian
    memory: 128MiB
";

/// A hang guard.
const PATIENCE: Duration = Duration::from_secs(120);

/// Fills a disk but for so much.
fn ballast(at: &Path, mebibytes: usize) -> std::path::PathBuf {
    let file = at.join("ballast");
    std::fs::write(&file, vec![1; mebibytes << 20]).expect("there is room for that");
    file
}

#[test]
fn a_guest_waits_for_room_and_loses_nothing() {
    let mut world = World::new();
    let state = match world.small_disk("state", 96) {
        Ok(state) => state,
        Err(reason) => return skip("a_guest_waits_for_room_and_loses_nothing", &reason),
    };
    let ballast = ballast(&state, 64);
    let lab = world.lab("one", ONE);
    world.run(&lab, &["up"]).ok();

    let write = "head -c 40000000 /dev/urandom > /root/big && sync && sha256sum < /root/big > /root/sum && sync && echo written";
    let writing = world.start(&lab, &["exec", "a", "--", "sh", "-c", write]);
    world.eventually("the full disk is told", PATIENCE, || {
        world.state(&lab, "a") == "failed"
    });
    let status = world.run(&lab, &["status"]).ok();
    status.says("The disk is full").says("goes on by itself");

    std::fs::remove_file(ballast).unwrap();
    writing.wait().ok().says("written");
    world.eventually("the node is ready again", PATIENCE, || {
        world.state(&lab, "a") == "ready"
    });
    let check = "echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/big | cmp - /root/sum";
    world
        .run(&lab, &["exec", "a", "--", "sh", "-c", check])
        .ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn memory_that_does_not_fit_is_not_saved() {
    let mut world = World::new();
    let state = match world.small_disk("state", 400) {
        Ok(state) => state,
        Err(reason) => return skip("memory_that_does_not_fit_is_not_saved", &reason),
    };
    let ballast = ballast(&state, 380);
    let lab = world.lab("one", ONE);
    world.run(&lab, &["up"]).ok();
    world.inside(&lab, "a", "echo kept >/run/word");
    world
        .run(&lab, &["halt", "--save"])
        .exits_with(1)
        .complains("it goes on")
        .complains("disk space");
    assert_eq!(world.state(&lab, "a"), "ready");

    std::fs::remove_file(ballast).unwrap();
    world.run(&lab, &["halt", "--save"]).ok();
    assert_eq!(world.state(&lab, "a"), "saved");
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "a", "cat /run/word"), "kept");

    // A plain `halt` drops what was saved.
    world.run(&lab, &["halt", "--save"]).ok();
    world.run(&lab, &["halt"]).ok();
    assert_eq!(world.state(&lab, "a"), "halted");
    world.run(&lab, &["up"]).ok();
    world
        .run(&lab, &["exec", "a", "--", "test", "-e", "/run/word"])
        .exits_with(1);
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn an_image_that_does_not_fit_is_told_and_loses_nothing() {
    let mut world = World::new();
    let store = match world.small_disk("store", 3072) {
        Ok(store) => store,
        Err(reason) => {
            return skip(
                "an_image_that_does_not_fit_is_told_and_loses_nothing",
                &reason,
            );
        }
    };
    // Images are made beside the store where its folder can be entered by all.
    let passable = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(world.path(), passable).unwrap();
    world.keep_images_in(store.clone());
    let lab = world.lab("one", ONE);

    // The room goes while packages are unpacked.
    let building = world.start(&lab, &["up"]);
    world.eventually("the build is at work", PATIENCE, || {
        bytes(&store) > 40 << 20
    });
    let greedy = Greedy::on(&store);
    let up = building.wait();
    assert_ne!(up.code, 0, "{}", up.stderr);
    assert!(up.stderr.contains("disk space"), "{}", up.stderr);

    // What is there is whole: no image, and `up` goes on with what was done.
    drop(greedy);
    let images = bytes(&store.join("images"));
    assert_eq!(images, 0, "half an image is left");
    world.run(&lab, &["up"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// Takes all the room of a disk, and what others give back too, until dropped.
struct Greedy {
    file: std::path::PathBuf,
    enough: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Greedy {
    fn on(disk: &Path) -> Self {
        let file = disk.join("greedy");
        let mut room = std::fs::File::create(&file).expect("a file can be made");
        let enough = Arc::new(AtomicBool::new(false));
        let told = enough.clone();
        let writer = std::thread::spawn(move || {
            let block = vec![1; 1 << 20];
            while !told.load(Ordering::Relaxed) {
                if room.write(&block).is_err() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self {
            file,
            enough,
            writer: Some(writer),
        }
    }
}

impl Drop for Greedy {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        let _ = self.writer.take().map(JoinHandle::join);
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Bytes of all files below a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |meta| meta.len()),
        })
        .sum()
}
