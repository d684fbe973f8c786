//! Programs run through a link.

use super::{argv, node, shell, until};
use bytes::Bytes;
use nestlab_api::client::ExecEvent;
use nestlab_api::message::{ExecControl, ExecEnd, ExecRequest, WindowSize};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};

#[tokio::test]
async fn programs_end_as_in_a_shell() {
    let node = node().await;
    let check = async |request: ExecRequest, end: ExecEnd, stdout: &str, stderr: &str| {
        let output = node.client.run(request.clone()).await.unwrap();
        assert_eq!(output.end, end, "{request:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            stdout,
            "{request:?}"
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            stderr,
            "{request:?}"
        );
    };
    let exited = ExecEnd::Exited;
    check(argv(&["true"]), exited(0), "", "").await;
    check(argv(&["false"]), exited(1), "", "").await;
    check(
        shell("echo out; echo err >&2; exit 42"),
        exited(42),
        "out\n",
        "err\n",
    )
    .await;
    check(shell("kill -TERM $$"), ExecEnd::Signalled(15), "", "").await;
    check(shell("cat"), exited(0), "", "").await;
    let env = |mut request: ExecRequest| {
        request.env.insert("WORD".into(), "said".into());
        request.cwd = Some("/tmp".into());
        request
    };
    check(
        env(shell("echo $WORD $PWD $HOME")),
        exited(0),
        "said /tmp /root\n",
        "",
    )
    .await;
    let code = async |request| node.client.run(request).await.unwrap().end.code();
    assert_eq!(code(argv(&["no-such-program"])).await, 127);
    assert_eq!(code(argv(&["/no/such/program"])).await, 127);
    assert_eq!(code(argv(&["/etc/passwd"])).await, 126);
    assert_eq!(
        code(ExecRequest {
            cwd: Some("/no/such".into()),
            ..argv(&["true"])
        })
        .await,
        126
    );
    assert_eq!(
        code(ExecRequest {
            user: Some("nobody-at-all".into()),
            ..argv(&["true"])
        })
        .await,
        126
    );
}

#[tokio::test]
async fn another_user_has_its_own_rights() {
    let node = node().await;
    let request = ExecRequest {
        user: Some("nobody".into()),
        ..shell("id -u; id -g; echo $USER")
    };
    let output = node.client.run(request).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "65534\n65534\nnobody\n"
    );
}

#[tokio::test]
async fn large_output_arrives_whole() {
    let node = node().await;
    let start = Instant::now();
    let mut session = node
        .client
        .exec(shell("seq 1 15000000 | head -c 100000000"))
        .await
        .unwrap();
    let (mut hasher, mut length) = (Sha256::new(), 0);
    while let ExecEvent::Stdout(bytes) = session.next().await.unwrap() {
        length += bytes.len();
        hasher.update(&bytes);
    }
    println!("100 MB in {:?}", start.elapsed());
    assert_eq!(length, 100_000_000);
    let expected = std::process::Command::new("sh")
        .args(["-c", "seq 1 15000000 | head -c 100000000 | sha256sum"])
        .output()
        .unwrap();
    let found: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(String::from_utf8_lossy(&expected.stdout).starts_with(&found));
}

#[tokio::test]
async fn input_is_echoed_in_full() {
    let node = node().await;
    let session = node
        .client
        .exec(ExecRequest {
            stdin: true,
            ..argv(&["cat"])
        })
        .await
        .unwrap();
    let (mut input, mut output) = session.split();
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let bytes = Bytes::from(sent.clone());
    tokio::spawn(async move {
        input.send_stdin(bytes).await.unwrap();
        input.control(ExecControl::EndOfInput).await.unwrap();
        std::future::pending::<()>().await;
    });
    let mut back = Vec::new();
    while let ExecEvent::Stdout(bytes) = output.next().await.unwrap() {
        back.extend_from_slice(&bytes);
    }
    assert!(back == sent);
}

#[tokio::test]
async fn a_signal_passes_input_that_is_not_read() {
    let node = node().await;
    let request = ExecRequest {
        stdin: true,
        ..argv(&["sleep", "60"])
    };
    let session = node.client.exec(request).await.unwrap();
    let (mut input, mut output) = session.split();
    tokio::spawn(async move {
        // As much as may be under way; more would wait.
        input
            .send_stdin(Bytes::from(vec![1; 128 * 1024]))
            .await
            .unwrap();
        input.control(ExecControl::Signal(15)).await.unwrap();
        std::future::pending::<()>().await;
    });
    let end = output.next().await.unwrap();
    assert_eq!(end, ExecEvent::End(ExecEnd::Signalled(15)));
}

#[tokio::test]
async fn input_that_is_closed_holds_up_nothing() {
    let node = node().await;
    let request = ExecRequest {
        stdin: true,
        ..shell("exec <&-; sleep 0.3; echo done")
    };
    let (mut input, mut output) = node.client.exec(request).await.unwrap().split();
    tokio::spawn(async move {
        let _ = input.send_stdin(Bytes::from(vec![1; 1 << 20])).await;
        std::future::pending::<()>().await;
    });
    assert_eq!(
        output.next().await.unwrap(),
        ExecEvent::Stdout(Bytes::from("done\n"))
    );
    assert_eq!(
        output.next().await.unwrap(),
        ExecEvent::End(ExecEnd::Exited(0))
    );
}

#[tokio::test]
async fn a_terminal_has_the_callers_size() {
    let node = node().await;
    let size = |rows, columns| WindowSize { rows, columns };
    let script = "stty size; read line; stty size; echo got:$line; tty -s && echo tty $TERM";
    let request = ExecRequest {
        tty: Some(size(30, 90)),
        stdin: true,
        ..shell(script)
    };
    let mut session = node.client.exec(request).await.unwrap();
    let mut seen = String::new();
    let mut resized = false;
    let end = loop {
        match session.next().await.unwrap() {
            ExecEvent::Stdout(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            ExecEvent::Stderr(_) => panic!("a terminal has one stream"),
            ExecEvent::End(end) => break end,
        }
        if !resized && seen.contains("30 90") {
            resized = true;
            session
                .control(ExecControl::Resize(size(40, 100)))
                .await
                .unwrap();
            session.send_stdin(Bytes::from("hello\n")).await.unwrap();
        }
    };
    assert_eq!(end, ExecEnd::Exited(0));
    for part in ["30 90", "40 100", "got:hello", "tty xterm-256color"] {
        assert!(seen.contains(part), "{part:?} in {seen:?}");
    }
}

#[tokio::test]
async fn the_end_of_the_caller_is_a_hang_up() {
    let node = node().await;
    let check = async |request: ExecRequest, name: &str| {
        let marker = node.path(name);
        let script = format!(
            "trap 'echo hup >{marker}; exit 1' HUP; echo ready; while :; do sleep 0.05; done"
        );
        let request = ExecRequest {
            argv: vec!["sh".into(), "-c".into(), script],
            ..request
        };
        let mut session = node.client.exec(request).await.unwrap();
        assert!(matches!(
            session.next().await.unwrap(),
            ExecEvent::Stdout(_)
        ));
        drop(session);
        until(|| std::fs::read_to_string(&marker).is_ok_and(|text| text == "hup\n")).await;
    };
    check(ExecRequest::default(), "plain").await;
    let tty = Some(WindowSize {
        rows: 24,
        columns: 80,
    });
    check(
        ExecRequest {
            tty,
            ..ExecRequest::default()
        },
        "terminal",
    )
    .await;
}

#[tokio::test]
async fn a_caller_that_ends_while_output_is_stuck_is_noticed() {
    let node = node().await;
    let pid_file = node.path("pid");
    let request = shell(&format!("echo $$ >{pid_file}; exec yes"));
    let session = node.client.exec(request).await.unwrap();
    until(|| std::fs::read_to_string(&pid_file).is_ok_and(|text| text.ends_with('\n'))).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(session);
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let process = format!("/proc/{}", pid.trim());
    until(|| !std::path::Path::new(&process).exists()).await;
}

#[tokio::test]
async fn a_program_in_the_background_holds_nobody_up_and_lives() {
    let node = node().await;
    let marker = node.path("later");
    let script = format!("(sleep 0.5; echo line; echo late >{marker}) & echo now");
    let start = Instant::now();
    let output = node.client.run(shell(&script)).await.unwrap();
    assert_eq!(output.stdout, b"now\n");
    assert!(
        start.elapsed() < Duration::from_millis(450),
        "{:?}",
        start.elapsed()
    );
    until(|| std::path::Path::new(&marker).exists()).await;
    let detached = node.path("detached");
    let request = ExecRequest {
        detach: true,
        ..shell(&format!("sleep 0.2; echo $$ >{detached}"))
    };
    let output = node.client.run(request).await.unwrap();
    let ExecEnd::Detached { pid } = output.end else {
        panic!("{:?}", output.end)
    };
    until(|| std::fs::read_to_string(&detached).is_ok_and(|text| text == format!("{pid}\n"))).await;
}
