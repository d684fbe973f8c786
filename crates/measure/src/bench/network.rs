//! What a network carries between two programs, by TCP and so at the path's MTU.
//!
//! A message is its length in eight bytes, the highest first, and that many bytes. The
//! other side answers each with one byte once it has all of it.

use super::{MIB, MICROSECONDS, rate, samples, time};
use nestlab_model::bench::Outcome;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Bytes of a message that fills the path.
const LARGE: usize = 1 << 20;

/// How long the other side may be silent before it counts as gone.
const SILENCE: Duration = Duration::from_secs(60);

/// How long it may take to be reached.
const REACHED: Duration = Duration::from_secs(10);

/// Answers whoever connects, until the process ends. Tells the port that it listens on.
///
/// # Errors
/// As bind(2), listen(2), accept(2).
pub fn serve(address: IpAddr, told: impl FnOnce(u16)) -> io::Result<()> {
    let listener = TcpListener::bind((address, 0))?;
    told(listener.local_addr()?.port());
    for stream in listener.incoming() {
        // One that broke off was done.
        let _ = stream.and_then(answer);
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let mut room = vec![0; LARGE];
    let mut length = [0; 8];
    while stream.read_exact(&mut length).is_ok() {
        let mut left = u64::from_be_bytes(length);
        while left > 0 {
            let most = usize::try_from(left).map_or(LARGE, |left| left.min(LARGE));
            let got = stream.read(&mut room[..most])?;
            if got == 0 {
                return Ok(());
            }
            left -= got as u64;
        }
        stream.write_all(&[0])?;
    }
    Ok(())
}

pub(super) fn measure(name: &str, address: SocketAddr, told: &mut impl FnMut(Outcome)) {
    let large = vec![0x5a; LARGE];
    let connected = || connect(address);
    let throughput = connected().and_then(|mut stream| talk(&mut stream, &large));
    told(rate(
        &format!("network.{name}.throughput"),
        ("MiB/s", LARGE as f64 / MIB),
        throughput,
    ));
    let round_trip = connected().and_then(|mut stream| talk(&mut stream, &[0]));
    told(time(
        &format!("network.{name}.round-trip"),
        MICROSECONDS,
        round_trip,
    ));
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, REACHED)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    Ok(stream)
}

fn talk(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<f64>> {
    let mut whole = (message.len() as u64).to_be_bytes().to_vec();
    whole.extend_from_slice(message);
    samples::seconds(|pieces| {
        for _ in 0..pieces {
            stream.write_all(&whole)?;
            stream.read_exact(&mut [0])?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn two_programs_talk_over_loopback() {
        let (tell, told) = mpsc::channel();
        let home = IpAddr::from([127, 0, 0, 1]);
        std::thread::spawn(move || serve(home, |port| tell.send(port).unwrap()));
        let port = told.recv_timeout(SILENCE).unwrap();
        let mut outcomes = Vec::new();
        measure("home", (home, port).into(), &mut |outcome| {
            outcomes.push(outcome);
        });
        let ids = outcomes.iter().map(|outcome| match outcome {
            Outcome::Measured(figure) if figure.median() > 0.0 => figure.id.as_str(),
            other => panic!("{other:?}"),
        });
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids, ["network.home.throughput", "network.home.round-trip"]);
    }

    #[test]
    fn nobody_there_is_told() {
        let mut outcomes = Vec::new();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        measure("nobody", nobody, &mut |outcome| outcomes.push(outcome));
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Skipped { .. }))
        );
    }
}
