//! Forwarded ports: listeners on the host whose connections travel along the
//! links to a node at any level.

use nestlab_api::message::Listener;
use nestlab_engine::{Engine, Fault};
use nestlab_model::{Layer, NodePath, PortForward, Protocol};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How long a UDP flow lives without a datagram.
const FLOW_IDLE: Duration = Duration::from_secs(60);

/// The most UDP flows of one port; a datagram of one more is dropped.
const MAX_FLOWS: usize = 256;

/// The most datagrams that wait for a flow; one more is dropped, as UDP does.
const MAX_WAITING: usize = 64;

/// The forwarded ports of a lab.
pub struct Ports {
    engine: Engine,
    open: Mutex<Vec<Door>>,
}

/// One listener.
struct Door {
    wish: Wish,
    listener: Listener,
    task: AbortHandle,
}

/// A port as the lab file asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    address: SocketAddr,
    target: NodePath,
    port: u16,
    protocol: Protocol,
}

impl Wish {
    fn of(path: &NodePath, port: &PortForward) -> Self {
        Self {
            address: SocketAddr::new(port.listen, port.host_port),
            target: path.join(&port.target),
            port: port.node_port,
            protocol: port.protocol,
        }
    }
}

impl Ports {
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            open: Mutex::default(),
        }
    }

    /// Where ports really listen.
    pub fn listeners(&self) -> Vec<Listener> {
        let doors = self.open.lock().expect("no holder panics");
        doors.iter().map(|door| door.listener.clone()).collect()
    }

    /// Opens what the layer asks for at any level, closes the rest.
    ///
    /// # Errors
    /// An address is taken or not ours. Doors that could be opened stay open.
    pub async fn open(&self, layer: &Layer) -> Result<(), Fault> {
        let wishes: Vec<Wish> = layer
            .walk()
            .iter()
            .flat_map(|(path, node)| node.ports.iter().map(|port| Wish::of(path, port)))
            .collect();
        self.close_unless(|door| wishes.contains(&door.wish));
        for wish in wishes {
            if !self.is_open(&wish) {
                let door = self.open_one(wish).await?;
                self.open.lock().expect("no holder panics").push(door);
            }
        }
        Ok(())
    }

    /// Closes all doors.
    pub fn close(&self) {
        self.close_unless(|_| false);
    }

    fn close_unless(&self, keep: impl Fn(&Door) -> bool) {
        self.open.lock().expect("no holder panics").retain(|door| {
            let kept = keep(door);
            if !kept {
                door.task.abort();
            }
            kept
        });
    }

    fn is_open(&self, wish: &Wish) -> bool {
        self.open
            .lock()
            .expect("no holder panics")
            .iter()
            .any(|door| door.wish == *wish)
    }

    async fn open_one(&self, wish: Wish) -> Result<Door, Fault> {
        let opened = match wish.protocol {
            Protocol::Tcp => self.open_tcp(&wish).await,
            Protocol::Udp => self.open_udp(&wish).await,
        };
        let (listen, task) = opened.map_err(|error| refusal(&wish, error))?;
        let listener = Listener {
            listen,
            path: wish.target.clone(),
            port: wish.port,
            protocol: wish.protocol,
        };
        Ok(Door {
            wish,
            listener,
            task,
        })
    }

    async fn open_tcp(&self, wish: &Wish) -> io::Result<(SocketAddr, AbortHandle)> {
        let listener = TcpListener::bind(wish.address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, self.engine.clone(), wish.clone()));
        Ok((address, task.abort_handle()))
    }

    async fn open_udp(&self, wish: &Wish) -> io::Result<(SocketAddr, AbortHandle)> {
        let socket = UdpSocket::bind(wish.address).await?;
        let address = socket.local_addr()?;
        let task = tokio::spawn(receive(Arc::new(socket), self.engine.clone(), wish.clone()));
        Ok((address, task.abort_handle()))
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.close();
    }
}

fn refusal(wish: &Wish, error: io::Error) -> Fault {
    let Wish {
        address,
        target,
        protocol,
        ..
    } = wish;
    let fault = Fault::caused(
        format!("Cannot forward {protocol} port {address} to `{target}`"),
        &error,
    );
    match error.kind() {
        io::ErrorKind::AddrInUse => fault.with_hint(format!(
            "Another program listens on port {0}: end it, or change the first number under `ports:` (`ss -ltnup sport = :{0}` names it)",
            address.port()
        )),
        io::ErrorKind::PermissionDenied => fault.with_hint("Ports below 1024 need root: choose a higher one"),
        _ => fault,
    }
}

async fn accept(listener: TcpListener, engine: Engine, wish: Wish) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(forward(stream, engine.clone(), wish.clone()));
            }
            // Out of descriptors: let some connections end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Carries one connection until both sides have ended.
async fn forward(stream: TcpStream, engine: Engine, wish: Wish) {
    let dialled = match engine.agent_at(&wish.target) {
        Ok(agent) => agent
            .dial(wish.port, Protocol::Tcp)
            .await
            .map_err(|error| error.to_string()),
        Err(fault) => Err(fault.message),
    };
    match dialled {
        Ok(node) => {
            let _ = stream.set_nodelay(true);
            crate::carry::carry(stream, node).await;
        }
        Err(reason) => tracing::info!(target = %wish.target, port = wish.port, reason, "refused"),
    }
}

/// Sorts datagrams into flows by their sender.
async fn receive(socket: Arc<UdpSocket>, engine: Engine, wish: Wish) {
    let mut flows: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut buffer = vec![0; 65_535];
    loop {
        let Ok((count, sender)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        flows.retain(|_, flow| !flow.is_closed());
        if !flows.contains_key(&sender) {
            if flows.len() >= MAX_FLOWS {
                continue;
            }
            let (flow, datagrams) = mpsc::channel(MAX_WAITING);
            let task = flow_of(
                socket.clone(),
                sender,
                engine.clone(),
                wish.clone(),
                datagrams,
            );
            tokio::spawn(async move {
                if let Err(error) = task.await {
                    tracing::info!(%error, "a flow has ended");
                }
            });
            flows.insert(sender, flow);
        }
        let _ = flows[&sender].try_send(buffer[..count].to_vec());
    }
}

/// Carries the datagrams of one sender, each after its length in two bytes.
async fn flow_of(
    socket: Arc<UdpSocket>,
    sender: SocketAddr,
    engine: Engine,
    wish: Wish,
    mut datagrams: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let agent = engine.agent_at(&wish.target).map_err(io::Error::other)?;
    let stream = agent
        .dial(wish.port, Protocol::Udp)
        .await
        .map_err(io::Error::other)?;
    let (mut from_node, mut to_node) = tokio::io::split(stream);
    let back = async {
        let mut buffer = vec![0; 65_535];
        loop {
            let count = usize::from(from_node.read_u16().await?);
            from_node.read_exact(&mut buffer[..count]).await?;
            socket.send_to(&buffer[..count], sender).await?;
        }
    };
    let forth = async {
        while let Ok(Some(datagram)) = tokio::time::timeout(FLOW_IDLE, datagrams.recv()).await {
            let length = u16::try_from(datagram.len()).map_err(io::Error::other)?;
            to_node.write_u16(length).await?;
            to_node.write_all(&datagram).await?;
            to_node.flush().await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        ended = back => ended,
        ended = forth => ended,
    }
}
