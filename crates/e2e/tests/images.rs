//! Images that come from elsewhere: publishers, boxes, files carried by hand.

use nestlab_e2e::{Publisher, World, output_of, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that look like nothing else: what a raw disk may hold.
fn disk(seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) * 2 + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..3 << 20).map(|_| next()).collect()
}

/// Publishes a disk, with its checksums as a tool of this machine writes them.
fn publish(folder: &Path, bytes: &[u8]) {
    std::fs::write(folder.join("cloud.img"), bytes).unwrap();
    for (tool, list) in [("sha256sum", "sha256sums"), ("sha512sum", "sha512sums")] {
        let sums = output_of(Command::new(tool).current_dir(folder).arg("cloud.img"));
        std::fs::write(folder.join(list), format!("{sums}\n")).unwrap();
        // Some publish a file of it for every image, with nothing but the digest.
        let bare = sums.split(' ').next().unwrap();
        std::fs::write(folder.join(format!("cloud.img.{tool}")), bare).unwrap();
    }
}

/// A lab whose image is a publisher's, and the world's own store of images.
struct Published {
    world: World,
    publisher: Publisher,
    folder: PathBuf,
    lab: PathBuf,
}

impl Published {
    fn with(list: &str) -> Self {
        let mut world = World::new();
        world.keep_images_in(world.path().join("store"));
        let folder = world.path().join("published");
        std::fs::create_dir(&folder).unwrap();
        publish(&folder, &disk(1));
        let publisher = Publisher::of(&folder);
        let text = format!(
            "name: stock\nimages:\n  cloud: {{ url: '{}', checksums: '{}' }}\nnodes:\n  \
             vm: {{ image: cloud }}\n",
            publisher.url("cloud.img"),
            publisher.url(list)
        );
        let lab = world.lab("stock", &text);
        Self {
            world,
            publisher,
            folder,
            lab,
        }
    }

    fn pinned(&self) -> serde_json::Value {
        let text = std::fs::read(self.lab.join("nestlab.lock")).unwrap();
        let lock: serde_json::Value = serde_json::from_slice(&text).unwrap();
        lock["images"][self.publisher.url("cloud.img")].clone()
    }

    fn kept(&self) -> Vec<u8> {
        let images = self.world.run(&self.lab, &["image", "ls", "--json"]).json();
        let file = images["images"][0]["file"].as_str().unwrap().to_owned();
        std::fs::read(file).unwrap()
    }
}

#[test]
fn a_publishers_image_is_pinned_fetched_and_kept() {
    for list in ["sha256sums", "sha512sums", "cloud.img.sha512sum"] {
        let stock = Published::with(list);
        let pull = |more: &[&str]| {
            let words = [&["image", "pull"], more].concat();
            stock.world.run(&stock.lab, &words)
        };
        // The line breaks twice; what came is not asked for again.
        stock.publisher.cut_after(1 << 20);
        pull(&[]).exits_with(1).complains("Cannot");
        pull(&[]).exits_with(1);
        stock.publisher.cut_after(0);
        pull(&[]).ok().complains("fetching");
        let asked = stock.publisher.asked();
        let parts: Vec<_> = asked.iter().filter(|a| a.contains("cloud.img ")).collect();
        let from = |at: u32| format!("cloud.img from {at}");
        assert_eq!(parts[..], [&from(0), &from(1 << 20), &from(2 << 20)]);
        assert!(stock.kept() == disk(1));
        stock
            .world
            .run(&stock.lab, &["image", "verify"])
            .ok()
            .says("sound");

        // The publisher goes on; this lab does not, until it is asked to.
        let first = stock.pinned();
        publish(&stock.folder, &disk(2));
        pull(&[]).ok();
        assert_eq!(stock.pinned(), first);
        assert!(stock.publisher.asked().is_empty());
        pull(&["--upgrade"]).ok();
        assert_ne!(stock.pinned(), first);

        // What is not what its publisher says never becomes an image.
        std::fs::write(stock.folder.join("cloud.img"), disk(3)).unwrap();
        std::fs::remove_file(stock.lab.join("nestlab.lock")).unwrap();
        stock.world.run(&stock.lab, &["image", "prune"]).ok();
        pull(&[]).exits_with(1).complains("has the checksum");
        stock
            .world
            .run(&stock.lab, &["image", "ls"])
            .ok()
            .complains("No images");
    }
}

#[test]
fn a_list_without_the_file_is_told() {
    let stock = Published::with("sha256sums");
    std::fs::write(stock.folder.join("sha256sums"), "nothing\n").unwrap();
    let pull = ["image", "pull"];
    let told = stock.world.run(&stock.lab, &pull).exits_with(1);
    told.complains("has no SHA-256 or SHA-512 of `cloud.img`");
    std::fs::remove_file(stock.folder.join("sha256sums")).unwrap();
    stock
        .world
        .run(&stock.lab, &["up"])
        .exits_with(1)
        .complains("404");
    std::fs::write(stock.lab.join("nestlab.lock"), "{").unwrap();
    stock.world.run(&stock.lab, &["validate"]).ok();
    stock
        .world
        .run(&stock.lab, &pull)
        .exits_with(2)
        .complains("version control");
}

#[test]
fn a_mirror_stands_in_for_a_publisher() {
    let stock = Published::with("sha256sums");
    let home = "https://images.example.invalid/";
    let text = std::fs::read_to_string(stock.lab.join("nestlab.yaml")).unwrap();
    let text = text.replace(&stock.publisher.url(""), home);
    let lab = stock.world.lab("stock", &text);
    let settings = stock.world.path().join(".config/nestlab");
    std::fs::create_dir_all(&settings).unwrap();
    let settings = settings.join("config.yaml");
    let mirror = stock.publisher.url("");
    std::fs::write(&settings, format!("image_mirrors: {{ '{home}': nowhere }}")).unwrap();
    let pull = ["image", "pull"];
    let told = stock.world.run(&lab, &pull).exits_with(2);
    told.complains("config.yaml");
    std::fs::write(
        &settings,
        format!("image_mirrors: {{ '{home}': '{mirror}' }}"),
    )
    .unwrap();
    stock.world.run(&lab, &pull).ok();
    assert!(stock.kept() == disk(1));
    // Others, who have no mirror or another, find the same image by its own address.
    let lock = std::fs::read_to_string(lab.join("nestlab.lock")).unwrap();
    assert!(lock.contains(&format!("{home}cloud.img")), "{lock}");
    assert!(!lock.contains(&mirror), "{lock}");
}

#[test]
fn an_image_is_made_over_another() {
    let world = World::new();
    let lab = world.lab(
        "over",
        "name: over\nimages:\n  \
         own:\n    recipe:\n      from: debian\n      \
         files: [{ content: mine, target: /srv/deep/file, mode: '0640' }]\n      commands:\n        \
         - cat /srv/deep/file >/srv/made; chown 33:34 /srv/made; test -e /proc/1/stat; echo >/dev/null\n        \
         - grep -q . /etc/resolv.conf\n        \
         - test ! -e /proc/1/root/OUTSIDE\n        \
         - '! mknod /srv/disk b 8 0 && ! mount -t tmpfs none /mnt && ! sh -c \"echo 1 >/proc/sys/kernel/sysrq\"'\n        \
         - perl -e 'mkdir \"/srv/x\"; chroot \"/srv/x\" or die; chdir \"..\" for 1 .. 64; chroot \".\"; die \"out\" if -e \"/OUTSIDE\"; rmdir \"/srv/x\"'\n  \
         again: { recipe: { from: own, commands: ['chmod 4711 /srv/made', 'echo x >/srv/second'] } }\n\
         nodes:\n  box: { kind: container, image: again, memory: 64MiB }\n",
    );
    // A file of this machine that none of the commands may see.
    let file = lab.join("nestlab.yaml");
    let outside = file.strip_prefix("/").unwrap().display().to_string();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("OUTSIDE", &outside)).unwrap();
    let look = "cat /srv/made /srv/second; stat -c %a:%u:%g /srv/made /srv/deep/file /usr/bin/su; ls /dev/shm";
    world.run(&lab, &["up"]).ok();
    assert_eq!(
        world.inside(&lab, "box", look),
        "minex\n4711:33:34\n640:0:0\n4755:0:0"
    );
    world.run(&lab, &["destroy", "--yes"]).ok();

    // What does not work is told, and leaves nothing half-made.
    let text = std::fs::read_to_string(lab.join("nestlab.yaml")).unwrap();
    let bad = text.replace("echo x >/srv/second", "echo no such luck >&2; false");
    std::fs::write(lab.join("nestlab.yaml"), bad).unwrap();
    let told = world.run(&lab, &["image", "build", "again"]).exits_with(1);
    told.complains("no such luck");
    std::fs::write(lab.join("nestlab.yaml"), &text).unwrap();
    for name in ["own", "again"] {
        world.run(&lab, &["image", "rm", name]).ok();
    }
    world.is_empty();
}

#[test]
fn images_are_carried_by_hand() {
    let mut world = World::new();
    world.keep_images_in(world.path().join("store"));
    let lab = world.lab("carried", "name: carried\nnodes:\n  vm: { image: mine }\n");
    let file = world.path().join("Mine.img");
    std::fs::write(&file, disk(4)).unwrap();
    let file = file.to_str().unwrap();
    world
        .run(&lab, &["validate"])
        .exits_with(2)
        .complains("Unknown image");
    world.run(&lab, &["image", "import", file]).ok();
    world
        .run(&lab, &["image", "import", file, "--name", "debian"])
        .exits_with(2);
    world.run(&lab, &["validate"]).ok();
    world.run(&lab, &["image", "prune"]).ok();
    let out = world.path().join("out.img");
    let export = ["image", "export", "mine", out.to_str().unwrap()];
    world.run(&lab, &export).ok();
    assert!(std::fs::read(&out).unwrap() == disk(4));
    world
        .run(&lab, &export)
        .exits_with(2)
        .complains("there already");

    // One bit is enough.
    let images = world.run(&lab, &["image", "ls", "--json"]).json();
    let stored = images["images"][0]["file"].as_str().unwrap();
    let mut bytes = disk(4);
    bytes[1 << 20] ^= 1;
    std::fs::write(stored, bytes).unwrap();
    world
        .run(&lab, &["image", "verify"])
        .exits_with(1)
        .says("DAMAGED");
    world.run(&lab, &["image", "rm", "mine"]).ok();
    world.run(&lab, &["validate"]).exits_with(2);
}

#[test]
fn a_box_of_vagrants_comes_up() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        return skip("a_box_of_vagrants_comes_up", "there is no `qemu-img`");
    }
    let world = World::new();
    let lab = world.lab("boxed", "name: boxed\nnodes:\n  vm: { image: debian }\n");
    world.run(&lab, &["image", "build", "debian"]).ok();
    let system = world.path().join("system.raw");
    world
        .run(
            &lab,
            &["image", "export", "debian", system.to_str().unwrap()],
        )
        .ok();
    for (provider, disk, format) in [
        ("libvirt", "box.img", &["-O", "qcow2"][..]),
        (
            "virtualbox",
            "box-disk1.vmdk",
            &["-O", "vmdk", "-o", "subformat=streamOptimized"],
        ),
    ] {
        let folder = world.path().join(provider);
        std::fs::create_dir(&folder).unwrap();
        output_of(
            Command::new("qemu-img")
                .arg("convert")
                .args(format)
                .arg(&system)
                .arg(folder.join(disk)),
        );
        let metadata = format!("{{\"provider\": \"{provider}\"}}");
        std::fs::write(folder.join("metadata.json"), metadata).unwrap();
        let name = format!("{provider}-e2e");
        let packed = world.path().join(format!("{name}.box"));
        output_of(
            Command::new("tar")
                .arg("-czf")
                .arg(&packed)
                .arg("-C")
                .arg(&folder)
                .arg("."),
        );
        world
            .run(&lab, &["image", "import", packed.to_str().unwrap()])
            .ok();
        let lab = world.lab(
            "boxed",
            &format!("name: boxed\nnodes:\n  vm: {{ image: {name} }}\n"),
        );
        world.run(&lab, &["up"]).ok();
        assert_eq!(world.inside(&lab, "vm", "hostname"), "vm");
        world
            .run(&lab, &["image", "rm", &name])
            .exits_with(2)
            .complains("a lab's");
        world.run(&lab, &["destroy", "--yes"]).ok();
        world.run(&lab, &["image", "rm", &name]).ok();
    }
    world.is_empty();
}
