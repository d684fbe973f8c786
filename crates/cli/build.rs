//! Puts the init for minimal images into this program, if it has been built
//! already: `make build` builds it first and names it in `NESTLAB_INIT`.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=NESTLAB_INIT");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(has_init)");
    if let Ok(init) = std::env::var("NESTLAB_INIT") {
        assert!(
            Path::new(&init).is_absolute(),
            "NESTLAB_INIT must be an absolute path"
        );
        println!("cargo:rerun-if-changed={init}");
        println!("cargo:rustc-env=NESTLAB_INIT_PATH={init}");
        println!("cargo:rustc-cfg=has_init");
    }
}
