//! The guest services over links in memory, as a parent uses them.

mod exec;

use crate::{Guest, GuestConfig, guest_routes, serve_link, upgrade};
use axum::Router;
use axum::extract::{Path, Query, Request};
use axum::routing::get;
use nestlab_api::client::{ApiError, Client};
use nestlab_api::link::Link;
use nestlab_api::message::{Configure, ExecEnd, ExecRequest, HostEntry, Power};
use nestlab_api::{openapi, route};
use nestlab_model::{Digest, NodeName, NodePath, Protocol};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    client: Client,
    root: tempfile::TempDir,
}

impl Node {
    fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }
}

fn router(root: &std::path::Path) -> Router {
    guest_routes(Guest::new(GuestConfig {
        blobs: root.join("blobs"),
        run_dir: root.join("run"),
        root: root.to_owned(),
        log: Some(root.join("log")),
        reach: crate::Reach::Nothing,
    }))
}

fn serve(router: Router) -> DuplexStream {
    let (parent, child) = duplex(64 * 1024);
    tokio::spawn(serve_link(child, router));
    parent
}

async fn node() -> Node {
    let root = tempfile::tempdir().unwrap();
    let link = Link::connect(serve(router(root.path())), PATIENCE)
        .await
        .unwrap();
    Node {
        client: Client::link(link),
        root,
    }
}

/// A level whose only node is another level.
async fn level_above(below: Router) -> Router {
    let link = Link::connect(serve(below), PATIENCE).await.unwrap();
    let child = Client::link(link);
    let connect = move |Path(_): Path<NodeName>,
                        Query(query): Query<HashMap<String, String>>,
                        request: Request| {
        let child = child.clone();
        async move {
            let rest = query.get("path").map_or("", String::as_str);
            let stream = child
                .relay(&rest.parse::<NodePath>().unwrap())
                .await
                .unwrap();
            upgrade::splice(request, stream)
        }
    };
    Router::new().route(route::CONNECT, get(connect))
}

fn argv(words: &[&str]) -> ExecRequest {
    ExecRequest {
        argv: words.iter().map(|&w| w.to_owned()).collect(),
        ..ExecRequest::default()
    }
}

fn shell(script: &str) -> ExecRequest {
    argv(&["sh", "-c", script])
}

async fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn files_go_both_ways() {
    let node = node().await;
    let source = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(source.path().join("tree/deep")).unwrap();
    std::fs::write(source.path().join("tree/deep/file"), vec![7; 3_000_000]).unwrap();
    let mut archive = Vec::new();
    crate::pack(&mut archive, &source.path().join("tree")).unwrap();
    node.client
        .put_files(&node.path("in"), std::io::Cursor::new(archive))
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(node.path("in/tree/deep/file")).unwrap().len(),
        3_000_000
    );

    let mut reader = node.client.get_files(&node.path("in/tree")).await.unwrap();
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    crate::unpack(&back[..], target.path()).unwrap();
    assert_eq!(
        std::fs::read(target.path().join("tree/deep/file")).unwrap(),
        vec![7; 3_000_000]
    );

    let status = |error: ApiError| match error {
        ApiError::Failure { status, failure } => (status, failure.code),
        other => panic!("{other:?}"),
    };
    let missing = node.client.get_files("/no/such").await.err().unwrap();
    assert_eq!(status(missing), (404, "not-found".into()));
    let broken = std::io::Cursor::new(vec![1_u8; 100_000]);
    let error = node
        .client
        .put_files(&node.path("x"), broken)
        .await
        .unwrap_err();
    assert_eq!(status(error).0, 422);
    let relative = node.client.get_files("etc").await.err().unwrap();
    assert_eq!(status(relative).0, 400);
}

#[tokio::test]
async fn blobs_are_what_their_digest_says() {
    let node = node().await;
    let bytes = vec![9; 1_000_000];
    let digest = Digest(Sha256::digest(&bytes).into());
    assert!(!node.client.has_blob(&digest).await.unwrap());
    let wrong = node
        .client
        .put_blob(&digest, &b"other"[..])
        .await
        .unwrap_err();
    assert_eq!(wrong.failure().unwrap().code, "digest");
    assert!(!node.client.has_blob(&digest).await.unwrap());
    node.client
        .put_blob(&digest, std::io::Cursor::new(bytes.clone()))
        .await
        .unwrap();
    assert!(node.client.has_blob(&digest).await.unwrap());
    let mut back = Vec::new();
    node.client
        .get_blob(&digest)
        .await
        .unwrap()
        .read_to_end(&mut back)
        .await
        .unwrap();
    assert!(back == bytes);
    assert_eq!(std::fs::read_dir(node.path("blobs")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_node_learns_who_it_is() {
    let node = node().await;
    let mut configure = Configure {
        hostname: "consul-1".into(),
        resolvers: vec!["10.0.0.1".parse().unwrap()],
        hosts: vec![HostEntry {
            address: "10.1.1.2".parse().unwrap(),
            names: vec!["b".into()],
        }],
        env: [("ROLE".to_owned(), "server".to_owned())].into(),
        lab_id: "abc".into(),
        ..Configure::default()
    };
    for _ in 0..2 {
        node.client.configure(&configure).await.unwrap();
    }
    let read = |name: &str| std::fs::read_to_string(node.path(name)).unwrap();
    assert_eq!(read("etc/hostname"), "consul-1\n");
    assert_eq!(read("etc/resolv.conf"), "nameserver 10.0.0.1\n");
    assert_eq!(read("etc/hosts").matches("10.1.1.2 b").count(), 1);
    let output = node.client.run(shell("echo $ROLE")).await.unwrap();
    assert_eq!(output.stdout, b"server\n");
    assert_eq!(
        node.client.version().await.unwrap().lab_id.as_deref(),
        Some("abc")
    );

    // An agent that was restarted knows it still.
    let link = Link::connect(serve(router(node.root.path())), PATIENCE)
        .await
        .unwrap();
    let output = Client::link(link).run(shell("echo $ROLE")).await.unwrap();
    assert_eq!(output.stdout, b"server\n");

    configure.hosts[0].names = vec!["a\n6.6.6.6 evil".into()];
    let error = node.client.configure(&configure).await.unwrap_err();
    assert!(error.to_string().contains("is not a host name"), "{error}");
    let error = node.client.power(Power::Off).await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, "forbidden");
}

#[tokio::test]
async fn ports_are_dialled() {
    let node = node().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    let mut stream = node.client.dial(port, Protocol::Tcp).await.unwrap();
    stream.write_all(b"over the link").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "over the link");
    let error = node.client.dial(1, Protocol::Tcp).await.err().unwrap();
    assert_eq!(error.failure().unwrap().code, "refused");

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 100];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&buffer[..count], from).await.unwrap();
        }
    });
    let mut stream = node.client.dial(port, Protocol::Udp).await.unwrap();
    for word in ["one", "three"] {
        stream.write_u16(word.len() as u16).await.unwrap();
        stream.write_all(word.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut back = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, word.as_bytes());
    }
}

#[tokio::test]
async fn a_relay_reaches_two_levels_down() {
    let root = tempfile::tempdir().unwrap();
    let below = level_above(router(root.path())).await;
    let top = level_above(below).await;
    let link = Link::connect(serve(top), PATIENCE).await.unwrap();
    let client = Client::link(link).at(&"l1/l2".parse().unwrap());
    let output = client.run(shell("echo deep; exit 7")).await.unwrap();
    assert_eq!(
        (output.end, &output.stdout[..]),
        (ExecEnd::Exited(7), &b"deep\n"[..])
    );
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(
            client.run(argv(&["true"])).await.unwrap().end,
            ExecEnd::Exited(0)
        );
    }
    let each = start.elapsed() / 20;
    println!("true, two levels down: {each:?}");
    assert!(each < Duration::from_millis(100), "{each:?}");
}

#[tokio::test]
async fn every_operation_of_the_document_is_served() {
    use hyper::service::Service;
    const LAYER: [&str; 16] = [
        route::LAYER,
        route::SPEC,
        route::UP,
        route::PAUSE,
        route::RESUME,
        route::FORK,
        route::SNAPSHOTS,
        route::SNAPSHOT,
        route::RESTORE,
        route::HALT,
        route::DESTROY,
        route::EVENTS,
        route::CONNECT,
        route::CONSOLE,
        route::RESIZE,
        route::NODE_LOG,
    ];
    let root = tempfile::tempdir().unwrap();
    let service = hyper_util::service::TowerToHyperService::new(router(root.path()));
    let digest = Digest([0; 32]).to_string();
    for (method, route) in openapi::operations().filter(|(_, route)| !LAYER.contains(route)) {
        let request = Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(route.replace("{digest}", &digest))
            .body(axum::body::Body::empty())
            .unwrap();
        let response = service.call(request).await.unwrap();
        // A route that is missing says 404 in no words of ours.
        let described = response.headers().contains_key("content-type") || method == "head";
        let served = response.status() != 405 && (response.status() != 404 || described);
        assert!(served, "{method} {route}: {}", response.status());
    }
}

#[tokio::test]
async fn the_agent_shows_its_log() {
    let node = node().await;
    std::fs::write(node.path("log"), "one\ntwo\n").unwrap();
    let mut log = String::new();
    node.client
        .log(false, Some(1))
        .await
        .unwrap()
        .read_to_string(&mut log)
        .await
        .unwrap();
    assert_eq!(log, "two\n");
}
