//! A publisher of files on this machine's loopback, whose line can be cut.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Serves the files of a folder by HTTP, parts of them as well, until it is dropped.
pub struct Publisher {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    /// How many bytes of a file are sent before the line breaks; none if 0.
    cut: AtomicU64,
    asked: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Publisher {
    /// Begins to serve a folder.
    pub fn of(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            cut: AtomicU64::new(0),
            asked: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.over.load(Ordering::SeqCst) {
                    return;
                }
                let _ = serving.answer(stream);
            }
        });
        Self { address, shared }
    }

    /// The address of a file.
    pub fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.address)
    }

    /// From now on the line breaks after so many bytes of a file; never if 0.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.cut.store(bytes, Ordering::SeqCst);
    }

    /// What was asked for since the last time: each file, from which byte on.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.asked.lock().expect("nobody panicked with it"))
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // So that it sees that.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let (name, from) = read_head(&stream)?;
        let asked = format!("{name} from {from}");
        self.asked.lock().expect("nobody panicked").push(asked);
        let Ok(mut file) = File::open(self.folder.join(&name)) else {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let length = file.metadata()?.len();
        if from > 0 && from >= length {
            let head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n";
            return stream.write_all(head.as_bytes());
        }
        let head = match from {
            0 => "200 OK\r\n".to_owned(),
            _ => format!(
                "206 Partial Content\r\nContent-Range: bytes {from}-{}/{length}\r\n",
                length - 1
            ),
        };
        let rest = length - from;
        let head = format!("HTTP/1.1 {head}Content-Length: {rest}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        file.seek(SeekFrom::Start(from))?;
        let sent = match self.cut.load(Ordering::SeqCst) {
            0 => rest,
            cut => cut.min(rest),
        };
        io::copy(&mut file.take(sent), &mut stream).map(drop)
    }
}

/// The file that is asked for, and from where on.
fn read_head(stream: &TcpStream) -> io::Result<(String, u64)> {
    let (mut name, mut from) = (String::new(), 0);
    for line in BufReader::new(stream).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(target) = line.strip_prefix("get /") {
            name = target.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        } else if line.is_empty() {
            break;
        }
    }
    Ok((name, from))
}
