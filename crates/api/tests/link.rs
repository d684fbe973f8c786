//! The link against everything that a byte stream without sessions does to it.

use nestlab_api::link::{Link, LinkError, LinkStream, serve};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(10);

/// Answers every stream with its own bytes.
fn echo(stream: LinkStream) {
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        let _ = writer.shutdown().await;
    });
}

/// A child that serves for ever, behind a wire that tests can cut.
fn child() -> (DuplexStream, JoinHandle<std::io::Error>) {
    let (parent, child) = duplex(64 * 1024);
    (parent, tokio::spawn(serve(child, echo)))
}

async fn ask(link: &Link, text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = link.open().await.map_err(std::io::Error::other)?;
    stream.write_all(text).await?;
    stream.flush().await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Carries bytes between two streams, of which it drops or adds some.
///
/// Everything that the parent writes up to `cut` reaches the child, then the
/// wire is handed back as if the parent had been killed.
async fn carry_until(near: &mut DuplexStream, far: &mut DuplexStream, cut: usize) {
    let mut carried = 0;
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    while carried < cut {
        tokio::select! {
            count = near.read(&mut down) => {
                let Ok(count @ 1..) = count else { return };
                let count = count.min(cut - carried);
                far.write_all(&down[..count]).await.unwrap();
                carried += count;
            }
            count = far.read(&mut up) => {
                let Ok(count @ 1..) = count else { return };
                if near.write_all(&up[..count]).await.is_err() { return };
            }
        }
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("in time") })
}

/// One end of a wire that hands its other end back when dropped is not at hand:
/// the child's wire goes through here, so that parents can be replaced.
async fn first_parent(far: &mut DuplexStream, cut: usize) {
    let (ours, mut near) = duplex(64 * 1024);
    let parent = async move {
        let link = Link::connect(ours, PATIENCE).await?;
        let payload: Vec<u8> = (0..60_000_u32).map(|n| n as u8).collect();
        let _ = ask(&link, &payload).await;
        std::future::pending::<Result<(), LinkError>>().await
    };
    tokio::select! {
        _ = parent => {}
        () = carry_until(&mut near, far, cut) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_parent_killed_at_any_byte_is_replaced(cut in 1..70_000usize, garbage in proptest::collection::vec(any::<u8>(), 0..2000)) {
        run(async {
            let (mut far, _child) = child();
            first_parent(&mut far, cut).await;
            far.write_all(&garbage).await.unwrap();
            let link = Link::connect(far, PATIENCE).await.unwrap();
            assert_eq!(ask(&link, b"again").await.unwrap(), b"again");
        });
    }

    #[test]
    fn a_child_replaced_at_any_byte_is_noticed(stale in proptest::collection::vec(any::<u8>(), 0..40_000)) {
        run(async {
            // The wire holds what an old child wrote before the new one came.
            let (parent, mut wire) = duplex(64 * 1024);
            wire.write_all(&stale).await.unwrap();
            let _child = tokio::spawn(serve(wire, echo));
            let link = Link::connect(parent, PATIENCE).await.unwrap();
            assert_eq!(ask(&link, b"new").await.unwrap(), b"new");
        });
    }
}

#[test]
fn many_streams_share_a_link() {
    run(async {
        let (parent, _child) = child();
        let link = Link::connect(parent, PATIENCE).await.unwrap();
        let big: Vec<u8> = (0..500_000_u32).map(|n| (n / 7) as u8).collect();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (link, big) = (link.clone(), big.clone());
                tokio::spawn(async move {
                    let stream = link.open().await.unwrap();
                    let (mut reader, mut writer) = tokio::io::split(stream);
                    let sent = big.clone();
                    let sending = tokio::spawn(async move {
                        writer.write_all(&sent).await.unwrap();
                        writer.shutdown().await.unwrap();
                    });
                    let mut back = Vec::new();
                    reader.read_to_end(&mut back).await.unwrap();
                    sending.await.unwrap();
                    assert!(back == big);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn more_streams_than_fit_are_served_in_turn() {
    run(async {
        let (parent, _child) = child();
        let link = Link::connect(parent, PATIENCE).await.unwrap();
        let tasks: Vec<_> = (0..600)
            .map(|_| {
                let link = link.clone();
                tokio::spawn(async move { ask(&link, b"x").await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(!link.is_closed());
    });
}

#[test]
fn control_passes_bulk_that_nobody_reads() {
    run(async {
        let (parent, _child) = child();
        let link = Link::connect(parent, PATIENCE).await.unwrap();
        // Streams whose echo is never read fill their windows and stop.
        for _ in 0..5 {
            let mut stuck = link.open().await.unwrap();
            tokio::spawn(async move {
                let bytes = vec![1; 8 << 20];
                let _ = stuck.write_all(&bytes).await;
            });
        }
        // And one whose echo is read all the time keeps the wire busy.
        let busy = link.clone();
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(busy.open().await.unwrap());
            tokio::spawn(async move { while writer.write_all(&[2; 65_536]).await.is_ok() {} });
            let mut buffer = vec![0; 65_536];
            while reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let start = Instant::now();
            ask(&link, b"control").await.unwrap();
            slowest = slowest.max(start.elapsed());
        }
        assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    });
}

#[test]
fn nobody_answers() {
    run(async {
        let (parent, _kept) = duplex(100);
        let error = Link::connect(parent, Duration::from_millis(300))
            .await
            .unwrap_err();
        assert!(matches!(error, LinkError::NoAnswer(_)));
    });
}

#[test]
fn a_child_that_comes_late_is_greeted() {
    run(async {
        let (parent, wire) = duplex(64 * 1024);
        let connecting = tokio::spawn(Link::connect(parent, PATIENCE));
        tokio::time::sleep(Duration::from_millis(700)).await;
        let _child = tokio::spawn(serve(wire, echo));
        let link = connecting.await.unwrap().unwrap();
        assert_eq!(ask(&link, b"late").await.unwrap(), b"late");
    });
}

#[test]
fn a_child_that_sends_garbage_loses_the_link_at_once() {
    run(async {
        let (parent, mut near) = duplex(64 * 1024);
        let (mut far, _child) = child();
        let connecting = tokio::spawn(Link::connect(parent, PATIENCE));
        let carrying = tokio::spawn(async move {
            let copying = tokio::io::copy_bidirectional(&mut near, &mut far);
            let _ = tokio::time::timeout(Duration::from_millis(300), copying).await;
            let _ = near
                .write_all(b"\nkernel: Oops, said on the wrong port\n")
                .await;
            (near, far)
        });
        let link = connecting.await.unwrap().unwrap();
        tokio::time::timeout(Duration::from_secs(1), link.closed())
            .await
            .expect("noticed");
        let error = link.open().await.unwrap_err();
        assert!(matches!(error, LinkError::Closed));
        drop(carrying.await.unwrap());
    });
}

#[test]
fn a_flood_of_garbage_is_not_kept() {
    run(async {
        let (parent, mut wire) = duplex(64 * 1024);
        let connecting = tokio::spawn(Link::connect(parent, Duration::from_secs(2)));
        let flood = async {
            let bytes = vec![0xd1; 64 * 1024];
            while wire.write_all(&bytes).await.is_ok() {}
        };
        let _ = tokio::time::timeout(Duration::from_secs(3), flood).await;
        assert!(matches!(
            connecting.await.unwrap(),
            Err(LinkError::NoAnswer(_))
        ));
    });
}

#[test]
fn round_trips_are_quick() {
    run(async {
        let (parent, _child) = child();
        let link = Link::connect(parent, PATIENCE).await.unwrap();
        let start = Instant::now();
        for _ in 0..200 {
            ask(&link, b"ping").await.unwrap();
        }
        let each = start.elapsed() / 200;
        assert!(each < Duration::from_millis(10), "{each:?}");
        println!("a stream and a round trip: {each:?}");
    });
}

#[test]
fn whoever_waits_on_an_abandoned_link_is_told() {
    run(async {
        // Takes what is said and never answers, as a guest that stands still.
        let (ours, theirs) = duplex(64 * 1024);
        let child = tokio::spawn(serve(theirs, |stream| {
            tokio::spawn(async move {
                let _held = stream;
                std::future::pending::<()>().await
            });
        }));
        let link = Link::connect(ours, PATIENCE).await.unwrap();
        let waiting = tokio::spawn({
            let link = link.clone();
            async move { ask(&link, b"are you there").await }
        });
        tokio::task::yield_now().await;
        link.abandon();
        assert!(waiting.await.unwrap().is_err());
        link.closed().await;
        assert!(matches!(link.open().await, Err(LinkError::Closed)));
        child.abort();
    });
}
