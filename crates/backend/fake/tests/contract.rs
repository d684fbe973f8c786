//! The backend contract on the fake, and what only the fake can do.

use nestlab_backend::contract::{self, ContractWorld};
use nestlab_backend::{Backend, BootSpec, LinkAddress, MachineSpec, Start};
use nestlab_backend_fake::{Call, Fake, Fate};
use nestlab_model::{Accelerator, ByteSize};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

struct World {
    folder: tempfile::TempDir,
    fake: Fake,
}

impl World {
    fn new(fake: Fake) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            fake,
        }
    }
}

impl ContractWorld for World {
    fn spec(&self, name: &str) -> MachineSpec {
        MachineSpec {
            lab_id: "0a1b2c3d".into(),
            path: name.parse().unwrap(),
            run_dir: self.folder.path().join(name),
            cpus: 1,
            memory: ByteSize::mib(64),
            accelerator: Accelerator::Kvm,
            nested: false,
            balloon: false,
            boot: Start::Kernel(BootSpec {
                kernel: "/k".into(),
                initrd: "/i".into(),
                cmdline: String::new(),
            }),
            disks: Vec::new(),
            nics: Vec::new(),
            memory_file: None,
        }
    }

    fn broken(&self) -> MachineSpec {
        let spec = self.spec("broken");
        self.fake
            .script(&spec.path, [Fate::Fails("no such kernel".into())]);
        spec
    }
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let world = World::new(Fake::new());
    contract::all(&world.fake, &world).await;
    assert_eq!(world.fake.running(), []);
}

#[tokio::test]
async fn fates_are_met_in_order() {
    let world = World::new(Fake::new());
    let spec = world.spec("n");
    let die = Fate::DiesAfter(Duration::from_millis(5));
    world.fake.script(
        &spec.path,
        [
            Fate::Fails("no".into()),
            Fate::Hangs,
            die,
            Fate::IgnoresPower,
        ],
    );
    assert!(world.fake.create(&spec, None).await.is_err());
    let hangs = tokio::time::timeout(Duration::from_millis(20), world.fake.create(&spec, None));
    assert!(hangs.await.is_err());
    let dies = world.fake.create(&spec, None).await.unwrap();
    assert_eq!(dies.wait().await.description, "it died as scripted");
    assert!(dies.power_button().await.is_err());
    let stubborn = world.fake.create(&spec, None).await.unwrap();
    stubborn.power_button().await.unwrap();
    assert_eq!(world.fake.running(), std::slice::from_ref(&spec.path));
    assert!(world.fake.crash(&spec.path));
    assert_eq!(stubborn.wait().await.description, "it crashed");
    let create = Call::Create(spec.path.clone());
    let mut expected = vec![create; 4];
    expected.push(Call::Power(spec.path));
    assert_eq!(world.fake.calls(), expected);
}

#[tokio::test]
async fn a_clone_finds_the_machine_and_its_agent() {
    let fake = Fake::new().with_agent(Arc::new(|mut stream, spec| {
        Box::pin(async move {
            let _ = stream.write_all(spec.path.to_string().as_bytes()).await;
        })
    }));
    let world = World::new(fake);
    let record = world
        .fake
        .create(&world.spec("n"), None)
        .await
        .unwrap()
        .record();
    let restarted = world.fake.clone();
    let machine = restarted.adopt(&record).await.unwrap().unwrap();
    let LinkAddress::Unix(link) = machine.link();
    for _ in 0..2 {
        let mut said = String::new();
        UnixStream::connect(&link)
            .await
            .unwrap()
            .read_to_string(&mut said)
            .await
            .unwrap();
        assert_eq!(said, "n");
    }
    machine.kill().await.unwrap();
    assert!(UnixStream::connect(&link).await.is_err());
}
