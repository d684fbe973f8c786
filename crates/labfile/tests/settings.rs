//! A user's settings, and mistakes in them.

use nestlab_labfile::{LoadedSettings, MemoryFiles, user_settings};
use std::path::Path;

fn loaded(text: &str) -> LoadedSettings {
    let files = MemoryFiles::new().with("/config.yaml", text);
    user_settings(&files, Path::new("/config.yaml")).unwrap()
}

#[test]
fn mirrors_and_aliases_are_read() {
    let loaded = loaded(
        "image_mirrors:\n  https://a.example/: http://m.example/a/\n\
         box_aliases:\n  org/Box: ubuntu-24.04\n",
    );
    assert_eq!(loaded.render(false), "");
    let mirror = loaded.settings.image_mirrors.get("https://a.example/");
    assert_eq!(mirror.map(String::as_str), Some("http://m.example/a/"));
    let alias = loaded.settings.box_aliases.get("org/Box");
    assert_eq!(alias.map(|image| image.as_str()), Some("ubuntu-24.04"));
}

#[test]
fn no_settings_are_fine() {
    let none = user_settings(&MemoryFiles::new(), Path::new("/config.yaml")).unwrap();
    assert_eq!(none.settings, Default::default());
    assert_eq!(loaded("box_aliases:\n").render(false), "");
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let loaded = loaded(
        "image_miror: {}\nimage_mirrors:\n  https://a.example: http://m.example/\n  \
         ftp://a.example/: http://m.example/\n  https://b.example/: /srv\n\
         box_aliases: { a/b: Not_A_Name }\n",
    );
    let told = loaded.diagnostics.iter();
    let told = told.map(|told| format!("{}:{} {}", told.line, told.column, told.message));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
1:1 Unknown key `image_miror` in a settings file
3:3 `https://a.example` is not how addresses of images begin
4:3 `ftp://a.example/` is not how addresses of images begin
5:23 `image_mirrors` cannot be `/srv`
6:21 `box_aliases` cannot be `Not_A_Name`
"#);
}
