use nestlab_image::*;
use nestlab_model::*;
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let store = Store::open(a[1].clone().into()).unwrap();
    let start = std::time::Instant::now();
    let progress = move |t: String| eprintln!("{:6.2} {t}", start.elapsed().as_secs_f32());
    match a[2].as_str() {
        "kit" => match store
            .ensure_kit(
                &KitSources {
                    agent: a[3].clone().into(),
                    init: a[4].clone().into(),
                },
                &progress,
            )
            .await
        {
            Ok(kit) => println!(
                "KIT={}\nKERNEL={}\nINITRD={}",
                kit.disk.display(),
                kit.kernel.display(),
                kit.initramfs.display()
            ),
            Err(e) => {
                eprintln!("{e}");
                let mut s: &dyn std::error::Error = &e;
                while let Some(n) = s.source() {
                    eprintln!("  {n}");
                    s = n;
                }
                eprintln!("hint {:?}", e.hint());
                std::process::exit(1)
            }
        },
        name => {
            let recipe = if a.len() > 3 {
                Recipe::of(
                    &a[3],
                    &a[4..].iter().map(|s| s.as_str()).collect::<Vec<_>>(),
                )
            } else {
                let ImageSpec::Recipe(r) = builtin_images()
                    .remove(&ImageName::new(name).unwrap())
                    .unwrap()
                else {
                    panic!()
                };
                r
            };
            match store
                .ensure(
                    &ImageName::new(name).unwrap(),
                    &ImageSpec::Recipe(recipe),
                    &progress,
                )
                .await
            {
                Ok(i) => println!(
                    "{}={}",
                    name.to_uppercase().replace('-', "_"),
                    i.disk.display()
                ),
                Err(e) => {
                    eprintln!("{e}");
                    let mut s: &dyn std::error::Error = &e;
                    while let Some(n) = s.source() {
                        eprintln!("  {n}");
                        s = n;
                    }
                    eprintln!("hint {:?}", e.hint());
                    std::process::exit(1)
                }
            }
        }
    }
    eprintln!("{:.2} s", start.elapsed().as_secs_f32());
}
