//! Real builds from real packages: they need mmdebstrap and a mirror.

use nestlab_image::{Image, ImageError, Store};
use nestlab_model::{FileSource, ImageName, ImageSpec, Recipe, RecipeFile};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tells [`builds_until_it_is_killed`] where.
const STORE: &str = "NESTLAB_TEST_STORE";

fn can_build() -> bool {
    let has = |name: &str| Command::new(name).arg("--version").output().is_ok();
    let can = has("mmdebstrap") && has("curl");
    if !can {
        eprintln!("SKIPPED: mmdebstrap or curl is not installed");
    }
    can
}

fn name() -> ImageName {
    ImageName::new("test").unwrap()
}

/// The smallest recipe, told apart by a file.
fn recipe(mark: &str, packages: &[&str]) -> ImageSpec {
    let mut recipe = Recipe::of("bookworm", packages);
    recipe.files.push(RecipeFile {
        source: FileSource::Inline(mark.into()),
        target: "/etc/mark".into(),
        mode: Some(0o640),
    });
    recipe.commands.push("cp /etc/mark /etc/copied".into());
    ImageSpec::Recipe(recipe)
}

/// The recipe with a file that must be fetched.
fn with_file(spec: ImageSpec, source: &Path) -> ImageSpec {
    let ImageSpec::Recipe(mut recipe) = spec else {
        return spec;
    };
    recipe.files.push(RecipeFile {
        source: FileSource::Url {
            url: format!("file://{}", source.display()),
            // Of `fetched`.
            sha256: "0c7fcf412c36e9e1cfc3cca37cec9afedcfca86e1943f6827c36e88dfda41642"
                .parse()
                .unwrap(),
        },
        target: "/opt/fetched".into(),
        mode: None,
    });
    ImageSpec::Recipe(recipe)
}

async fn ensure(
    root: &Path,
    spec: &ImageSpec,
    said: &Mutex<Vec<String>>,
) -> Result<Image, ImageError> {
    let store = Store::open(root.into())?;
    store
        .ensure(&name(), spec, &|text| said.lock().unwrap().push(text))
        .await
}

/// What debugfs says about a file system.
fn debugfs(disk: &Path, request: &str) -> String {
    let output = Command::new("debugfs")
        .arg("-R")
        .arg(request)
        .arg(disk)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

#[tokio::test]
async fn two_at_once_build_one() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::write(&source, "fetched").unwrap();
    let said = Mutex::default();
    let spec = with_file(recipe("once", &[]), &source);
    let (one, two) = tokio::join!(
        ensure(folder.path(), &spec, &said),
        ensure(folder.path(), &spec, &said)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    let said = said.into_inner().unwrap();
    let made = said
        .iter()
        .filter(|text| text.contains("making the image"))
        .count();
    assert_eq!(made, 1, "{said:?}");
    for (file, mode) in [("/etc/mark", "0640"), ("/etc/copied", "0640")] {
        assert_eq!(debugfs(&one.disk, &format!("cat {file}")), "once");
        let stat = debugfs(&one.disk, &format!("stat {file}"));
        assert!(stat.contains(&format!("Mode:  {mode}")), "{stat}");
        assert!(stat.contains("User:     0   Group:     0"), "{stat}");
    }
    assert_eq!(debugfs(&one.disk, "cat /opt/fetched"), "fetched");
    assert!(!debugfs(&one.disk, "ls -p /proc").contains("cpuinfo"));
    let store = Store::open(folder.path().into()).unwrap();
    assert_eq!(store.list().unwrap(), [one]);
    let freed = store.prune(&[], &[]).await.unwrap();
    assert!(freed.as_mib() > 50);
    assert_eq!(store.list().unwrap(), []);
    assert!(entries(&folder.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn foreign_images_are_copied_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk.raw");
    std::fs::write(&disk, vec![7; 1 << 20]).unwrap();
    let store = folder.path().join("store");
    let spec = |sha256: Option<&str>| ImageSpec::File {
        path: disk.clone(),
        sha256: sha256.map(|text| text.parse().unwrap()),
    };
    let image = ensure(&store, &spec(None), &Mutex::default())
        .await
        .unwrap();
    assert_eq!(image.virtual_size.as_mib(), 1);
    let wrong = ensure(&store, &spec(Some(&"0".repeat(64))), &Mutex::default()).await;
    assert!(
        matches!(wrong, Err(ImageError::Checksum { .. })),
        "{wrong:?}"
    );
    let url = |sha256| ImageSpec::Url {
        url: format!("file://{}", disk.display()),
        sha256,
    };
    // The same bytes are the same image, wherever they come from.
    let fetched = ensure(&store, &url(image.digest), &Mutex::default())
        .await
        .unwrap();
    assert_eq!(fetched, image);
    let wrong = ensure(
        &store,
        &url("1".repeat(64).parse().unwrap()),
        &Mutex::default(),
    )
    .await;
    assert!(
        matches!(wrong, Err(ImageError::Checksum { .. })),
        "{wrong:?}"
    );
    assert!(entries(&store.join("downloads")).is_empty());
    // What the user does to the file later is another image.
    std::fs::write(&disk, vec![8; 1 << 20]).unwrap();
    assert_eq!(Store::open(store).unwrap().find(&spec(None)).await, None);
}

#[tokio::test]
async fn mistakes_are_explained() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unreachable = match recipe("unreachable", &[]) {
        ImageSpec::Recipe(recipe) => ImageSpec::Recipe(Recipe {
            mirror: Some("http://127.0.0.1:9/debian".into()),
            ..recipe
        }),
        other => other,
    };
    let cases = [
        (unreachable, "mirror cannot be reached"),
        (
            ImageSpec::Recipe(Recipe::of("bookwurm", &[])),
            "no such suite",
        ),
        (
            recipe("package", &["no-such-package"]),
            "Correct `packages:`",
        ),
    ];
    for (spec, hint) in cases {
        let error = ensure(folder.path(), &spec, &Mutex::default())
            .await
            .unwrap_err();
        let given = error.hint().unwrap_or_default();
        assert!(given.contains(hint), "{error}\n{given}");
    }
    assert!(entries(&folder.path().join("tmp")).is_empty());
    assert!(entries(&folder.path().join("images")).is_empty());
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn builds_until_it_is_killed() {
    let Some(root) = std::env::var_os(STORE) else {
        return;
    };
    let _ = ensure(Path::new(&root), &recipe("killed", &[]), &Mutex::default()).await;
}

#[tokio::test]
async fn killed_in_the_middle_nothing_is_left() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut builder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "builds_until_it_is_killed", "--ignored"])
        .env(STORE, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its folders carry its number; so does the command line of all it starts.
    let mark = format!("-{}-", builder.id());
    wait_until("the build is at work", || !at_work(&mark).is_empty()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    builder.kill().unwrap();
    builder.wait().unwrap();
    wait_until("everything has ended", || at_work(&mark).is_empty()).await;
    let store = Store::open(folder.path().into()).unwrap();
    assert_eq!(store.list().unwrap(), []);
    store.prune(&[], &[]).await.unwrap();
    assert!(entries(&folder.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn given_up_in_the_middle_nothing_is_left() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (spec, said) = (recipe("given up", &[]), Mutex::default());
    let build = ensure(folder.path(), &spec, &said);
    let given_up = tokio::time::timeout(Duration::from_secs(4), build).await;
    assert!(given_up.is_err(), "the build was over too soon");
    let place = folder.path().to_string_lossy().into_owned();
    wait_until("everything has ended", || at_work(&place).is_empty()).await;
    assert_eq!(
        Store::open(folder.path().into()).unwrap().list().unwrap(),
        []
    );
}

/// mmdebstrap and what it has started, by a word of their command lines.
fn at_work(mark: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains("mmdebstrap") && line.contains(mark))
        .collect()
}

async fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "Waited in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
